"""SIPp as the one who is called: running in the background, with answers put together from steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop import kit
from tests.interop.sipp import receive
from tests.kit.ports import free_port
from tests.kit.service import until
from tests.sip.test_sipp import is_taken

SDP = """v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
"""
CONTACT = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>"
INVITED = (
    '<recv request="INVITE" rrs="true"><action>'
    '<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/></action></recv>'
    '<Reference variables="via"/>'
)
"""The INVITE; its Via is kept for answers that come after another request."""


def answers(
    status: str,
    *headers: str,
    sdp: bool = False,
    to_invite: bool = False,
    tag: bool = True,
    routed: bool = False,
    retrans: bool = False,
) -> str:
    """A ``send`` step: a response.

    ``to_invite`` answers the INVITE although another request came since; ``tag`` is False where the last
    request bears it already. ``routed`` copies Record-Route, ``retrans`` repeats the response until its ACK.
    """
    lines = [
        f"SIP/2.0 {status}",
        "Via:[$via]" if to_invite else "[last_Via:]",
        *(["[last_Record-Route:]"] if routed else []),
        "[last_From:]",
        "[last_To:];tag=sipp[pid]x[call_number]" if tag else "[last_To:]",
        "[last_Call-ID:]",
        "CSeq: 1 INVITE" if to_invite else "[last_CSeq:]",
        CONTACT,
        *headers,
        *(["Content-Type: application/sdp"] if sdp else []),
        "Content-Length: [len]",
        "",
        SDP if sdp else "",
    ]
    repeated = ' retrans="500"' if retrans else ""
    return f"<send{repeated}><![CDATA[\n" + "\n".join(lines) + "\n]]></send>"


def refuses(status: str) -> list[str]:
    """The INVITE refused."""
    return [INVITED, answers(status, retrans=True), receive("ACK")]


@dataclass(frozen=True, slots=True)
class Callee:
    """A SIPp that waits for calls."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def uri(self) -> str:
        """Whom to call."""
        return f"sip:callee@127.0.0.1:{self.port}"

    async def done(self) -> None:
        """Wait until it has seen its calls through as its scenario says."""
        output = await kit.ended(self.process)
        assert self.process.returncode == 0, output[-3000:]


@asynccontextmanager
async def callee(folder: Path, *arguments: str, calls: int = 1) -> AsyncGenerator[Callee]:
    """Run SIPp as callee for so many ``calls``, with ``-sn`` or ``-sf`` among the ``arguments``."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("sipp", *arguments, "-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1"),
        *("-mp", str(free_port()), "-m", str(calls), "-nostdin", "-timeout", "110s"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        await until(lambda: is_taken(port) or process.returncode is not None)
        yield Callee(port, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
