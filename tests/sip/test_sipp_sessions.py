"""SIPp and we: session timers with refresh and 422, 100rel with PRACK."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.kit.ports import free_port
from tests.kit.service import until
from tests.sip.ladder import ANSWER
from tests.sip.test_sipp import is_taken, sipp
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Address, Answered, Ended, InviteReceived, SipEvent
from voiceagent.sip.net.transport import SipTransport

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester"),
]

CONFIG = EndpointConfig(session_expires=1800, reliable_provisionals="supported")
SDP = """v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 40000 RTP/AVP 0
"""


def request(method: str, number: int, *headers: str, body: str = "", fresh: bool = False) -> str:
    """A request of SIPp as caller; ``fresh`` begins the call."""
    uri = "sip:100@[remote_ip]:[remote_port]" if fresh else "[next_url]"
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]",
        "From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]s[call_number]",
        f"To: <sip:100@[remote_ip]:[remote_port]>{'' if fresh else '[peer_tag_param]'}",
        "Call-ID: [call_id]",
        f"CSeq: {number} {method}",
        "Contact: <sip:sipp@[local_ip]:[local_port]>",
        "Max-Forwards: 70",
        *headers,
        *(["Content-Type: application/sdp"] if body else []),
        "Content-Length: [len]",
        "",
        body,
    ]
    return "\n".join(lines)


def response(status: str, *headers: str, body: str = "", tag: bool = True) -> str:
    """A response of SIPp as callee; ``tag`` where the request has none in To yet."""
    to = "[last_To:];tag=[pid]s[call_number]" if tag else "[last_To:]"
    copied = ["[last_Via:]", "[last_From:]", to, "[last_Call-ID:]"]
    lines = [
        f"SIP/2.0 {status}",
        *copied,
        "[last_CSeq:]",
        "Contact: <sip:sipp@[local_ip]:[local_port]>",
        *headers,
        *(["Content-Type: application/sdp"] if body else []),
        "Content-Length: [len]",
        "",
        body,
    ]
    return "\n".join(lines)


def send(text: str, *, once: bool = False) -> str:
    repeat = "" if once else ' retrans="500"'
    return f"<send{repeat}><![CDATA[\n{text}\n]]></send>"


def must_have(status: int, header: str, pattern: str, **attributes: str) -> str:
    """Expect a response whose ``header`` matches; a call without it fails."""
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    look = f'<ereg regexp="{pattern}" search_in="hdr" header="{header}:" check_it="true" assign_to="1"/>'
    return f'<recv response="{status}"{more}><action>{look}</action></recv>'


def scenario(folder: Path, *steps: str) -> str:
    """Write a scenario file; its name."""
    path = folder / "scenario.xml"
    inner = "\n".join(steps)
    path.write_text(
        f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="x">\n{inner}\n'
        '<Reference variables="1"/>\n</scenario>\n',
        encoding="utf-8",
    )
    return path.name


async def called_by(folder: Path, *steps: str) -> tuple[str, list[Ended]]:
    """Have SIPp run ``steps`` three times against us: we give early media and answer."""
    ended: list[Ended] = []

    def hear(event: SipEvent) -> None:
        if isinstance(event, InviteReceived):
            transport.ring(event.leg, status=183, sdp=ANSWER)
            transport.accept(event.leg, ANSWER)
        elif isinstance(event, Ended):
            ended.append(event)
        elif type(event).__name__ == "OfferReceived":
            transport.answer_offer(event.leg, ANSWER)  # type: ignore[union-attr]

    transport = SipTransport(CONFIG, hear)
    host, port = (await transport.start())[:2]
    try:
        code, output = await sipp(
            folder, f"{host}:{port}", "-sf", scenario(folder, *steps), "-m", "3", "-r", "10"
        )
    finally:
        await transport.close()
    assert code == 0, output[-3000:]
    return output, ended


@pytest.mark.matrix("sipp", "session timer (RFC 4028)", "it refreshes by re-INVITE")
async def test_sipp_refreshes_its_session_by_reinvite(tmp_path: Path) -> None:
    timer = ("Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90")
    _, ended = await called_by(
        tmp_path,
        send(request("INVITE", 1, *timer, body=SDP, fresh=True)),
        '<recv response="100" optional="true"/><recv response="183" optional="true"/>',
        must_have(200, "Session-Expires", "90;refresher=uac", rrs="true"),
        send(request("ACK", 1), once=True),
        '<pause milliseconds="100"/>',
        send(request("INVITE", 2, *timer, body=SDP)),
        '<recv response="100" optional="true"/>',
        must_have(200, "Session-Expires", "90;refresher=uac"),
        send(request("ACK", 2), once=True),
        send(request("BYE", 3)),
        '<recv response="200"/>',
    )
    assert [one.by for one in ended] == ["peer"] * 3


@pytest.mark.matrix("sipp", "100rel (RFC 3262)", "it requires it; our 183 repeated until its PRACK")
async def test_sipp_requires_100rel_and_acknowledges_early_media(tmp_path: Path) -> None:
    look = '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" check_it="true" assign_to="1"/>'
    _, ended = await called_by(
        tmp_path,
        send(request("INVITE", 1, "Require: 100rel", body=SDP, fresh=True)),
        '<recv response="100" optional="true"/>',
        f'<recv response="183" rrs="true"><action>{look}</action></recv>',
        '<pause milliseconds="700"/>',
        send(request("PRACK", 2, "RAck: [$1] 1 INVITE")),
        '<recv response="183" optional="true"/>',
        '<recv response="200"><action><ereg regexp="2 PRACK" search_in="hdr" header="CSeq:" '
        'check_it="true" assign_to="1"/></action></recv>',
        '<recv response="200"><action><ereg regexp="1 INVITE" search_in="hdr" header="CSeq:" '
        'check_it="true" assign_to="1"/></action></recv>',
        send(request("ACK", 1), once=True),
        send(request("BYE", 3)),
        '<recv response="200"/>',
    )
    assert [one.by for one in ended] == ["peer"] * 3


@pytest.mark.matrix("sipp", "session timer: 422", "our interval raised to its Min-SE")
async def test_sipp_finds_our_session_too_short(tmp_path: Path) -> None:
    wanted = '<ereg regexp="{0}" search_in="hdr" header="Session-Expires:" check_it="true" assign_to="1"/>'
    steps = (
        f'<recv request="INVITE"><action>{wanted.format("1800")}</action></recv>',
        send(response("422 Session Interval Too Small", "Min-SE: 3600")),
        '<recv request="ACK"/>',
        f'<recv request="INVITE"><action>{wanted.format("3600")}</action></recv>',
        send(response("200 OK", "Session-Expires: 3600;refresher=uas", "Require: timer", body=SDP)),
        '<recv request="ACK"/>',
        '<recv request="BYE"/>',
        send(response("200 OK", tag=False), once=True),
    )
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", scenario(tmp_path, *steps), "-i", "127.0.0.1", "-p", str(port)),
        *("-m", "1", "-nostdin"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    await until(lambda: is_taken(port))
    intervals: list[int | None] = []

    def hear(event: SipEvent) -> None:
        if isinstance(event, Answered):
            intervals.append(transport.session_interval(event.leg))
            transport.hang_up(event.leg)

    transport = SipTransport(CONFIG, hear)
    await transport.start()
    try:
        transport.invite(
            f"sip:service@127.0.0.1:{port}",
            from_uri="sip:a@127.0.0.1",
            sdp=ANSWER,
            destination=Address("127.0.0.1", port),
        )
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        assert process.returncode == 0, output.decode("utf-8", "replace")[-3000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await transport.close()
    assert intervals == [3600]
