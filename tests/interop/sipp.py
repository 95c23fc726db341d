"""SIPp as a caller: how it is run, and scenarios put together from steps."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.interop import kit
from tests.kit.ports import free_port

PCAPS = Path("/usr/share/sip-tester")
"""RTP captures of keys that the Debian package brings."""

_HEAD = """Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]
From: <sip:{user}@[local_ip]:[local_port]>;tag=[pid]s[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:{user}@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
"""
_SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [{port}] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
"""


def request(
    method: str, *, number: int = 1, user: str = "sipp", extra: str = "", sdp_port: str = "", uri: str = ""
) -> str:
    """A ``send`` step. ``sdp_port`` is SIPp's word for an RTP port; without it there is no body."""
    first = method in ("INVITE", "OPTIONS", "REGISTER")
    target = uri or ("sip:[service]@[remote_ip]:[remote_port]" if first else "[next_url]")
    head = _HEAD.format(user=user, tag="" if first else "[peer_tag_param]", number=number, method=method)
    body = _SDP.format(port=sdp_port) if sdp_port else "Content-Length: 0\n\n"
    retrans = "" if method == "ACK" else ' retrans="500"'
    return f"<send{retrans}><![CDATA[\n{method} {target} SIP/2.0\n{head}{extra}{body}]]></send>"


def receive(status: int | str, *, optional: bool = False, attributes: str = "") -> str:
    """A ``recv`` step: a response by its status, or a request by its method."""
    kind = "request" if isinstance(status, str) else "response"
    maybe = 'optional="true"' if optional else ""
    return f'<recv {kind}="{status}" {maybe} {attributes}/>'


def answered(
    user: str = "sipp", sdp_port: str = "rtpstream_audio_port", *, routed: bool = False
) -> list[str]:
    """INVITE, 200, ACK; ``routed`` follows the Record-Route of a proxy."""
    return [
        request("INVITE", user=user, sdp_port=sdp_port),
        receive(100, optional=True),
        receive(180, optional=True),
        receive(200, attributes='rrs="true"'),
        request("ACK", user=user, extra="[routes]\n" if routed else ""),
    ]


def hangs_up(number: int = 2, *, routed: bool = False) -> list[str]:
    """BYE, 200."""
    return [request("BYE", number=number, extra="[routes]\n" if routed else ""), receive(200)]


def is_hung_up(within_ms: int = 40_000) -> list[str]:
    """The far end's BYE and our 200."""
    ok = (
        "<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n"
        "[last_CSeq:]\nContent-Length: 0\n\n]]></send>"
    )
    return [f'<recv request="BYE" timeout="{within_ms}"/>', ok]


def plays(action: str) -> str:
    """A step that plays RTP: ``rtp_stream="…"`` or ``play_pcap_audio="…"``."""
    return f"<nop><action><exec {action}/></action></nop>"


def pause(ms: int) -> str:
    """A step that waits."""
    return f'<pause milliseconds="{ms}"/>'


def scenario(folder: Path, *steps: str) -> str:
    """Write a scenario into ``folder``; return its file's name."""
    text = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="steps">\n'
    (folder / "scenario.xml").write_text(text + "\n".join(steps) + "\n</scenario>\n", encoding="ascii")
    return "scenario.xml"


async def sipp(folder: Path, *arguments: str, port: int = 0) -> tuple[int, str]:
    """Run SIPp to its end; its exit code (0: every call was good) and what it said."""
    process = await asyncio.create_subprocess_exec(
        *("sipp", *arguments, "-i", "127.0.0.1", "-p", str(port or free_port()), "-nostdin"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = await kit.ended(process)
    assert process.returncode is not None
    return process.returncode, output
