"""SIPp calls the whole service: a spoken call through a media relay, and plain load with and without loss."""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.interop import kit
from tests.kit.media_relay import media_relay
from tests.kit.service import service, until
from voiceagent.media import g711

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester"),
]

HEAD = """Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]s[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: 1 {method}
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
"""
INVITE = (
    "INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n"
    + HEAD.format(tag="", method="INVITE")
    + """Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""
)
ACK = "ACK [next_url] SIP/2.0\n" + HEAD.format(tag="[peer_tag_param]", method="ACK") + "Content-Length: 0\n\n"
OK = """SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

"""
SPEAKING = f"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="a caller who speaks">
  <send retrans="500"><![CDATA[
{INVITE}]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
{ACK}]]></send>
  <nop><action><exec rtp_stream="words.ulaw,1,0"/></action></nop>
  <recv request="BYE" timeout="40000"/>
  <send><![CDATA[
{OK}]]></send>
</scenario>
"""


async def sipp(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run SIPp to its end; its exit code (0: every call was good) and what it said."""
    process = await asyncio.create_subprocess_exec(
        "sipp",
        *arguments,
        "-i",
        "127.0.0.1",
        "-p",
        str(kit.free_port()),
        "-nostdin",
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = await kit.ended(process)
    assert process.returncode is not None
    return process.returncode, output


async def test_a_spoken_call(tmp_path: Path) -> None:
    (tmp_path / "caller.xml").write_text(SPEAKING, encoding="ascii")
    speech = await kit.words("billing please", before_s=4.0)
    (tmp_path / "words.ulaw").write_bytes(g711.encode(speech, "ulaw"))
    real = {"engine__voice": "auto", "engine__recogniser": "auto", "engine__vad": "auto"}
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **real) as running:
        assert running.addresses is not None
        async with media_relay(running.addresses.sip) as relay:
            host, port = relay.address
            code, output = await sipp(
                tmp_path, f"{host}:{port}", "-sf", "caller.xml", "-s", "100", "-m", "1", "-mi", "127.0.0.1"
            )
            assert code == 0, output[-2000:]
            await until(lambda: not running.directory.live)
            heard = kit.from_ulaw(bytes(relay.spoken))
    assert kit.said(tmp_path) == ["billing please"]
    assert kit.entries(tmp_path)[-1]["reason"] == "completed"
    assert kit.level_dbfs(heard) > -35
    assert await kit.understood(heard) == [kit.QUESTION, kit.ANSWER]


@pytest.mark.parametrize("loss", [0, 10])
async def test_fifty_calls(tmp_path: Path, loss: int, caplog: pytest.LogCaptureFixture) -> None:
    async with service(tmp_path) as running:
        assert running.addresses is not None
        lossy = ("-lost", str(loss)) if loss else ()
        code, output = await sipp(
            tmp_path,
            running.addresses.sip,
            *("-sn", "uac", "-s", "100", "-r", "20", "-m", "50", "-d", "300", *lossy),
        )
        assert code == 0, output[-2000:]
        if loss:
            # SIPp takes our repeated 200 for the answer to a BYE that it lost itself, and forgets the call.
            for call in running.directory.live:
                call.end("forgotten")
        await until(lambda: not running.directory.live)
        outcomes = Counter((call.outcome or {}).get("reason") for call in running.directory.calls())
        assert outcomes["caller_hung_up"] + outcomes["forgotten"] == 50
        assert outcomes["caller_hung_up"] >= (40 if loss else 50)
        assert running.sip is not None
        assert not running.sip.errors["internal"]
        assert not running.sip.errors["listener"]
        assert running.wheel is not None
        assert len(running.wheel) == 0
    gc.collect()
    assert "never retrieved" not in caplog.text
