"""SIPp calls the whole service: a spoken call, keys from captures, and load with and without loss."""

from __future__ import annotations

import gc
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.sipp import PCAPS, answered, is_hung_up, pause, plays, scenario, sipp
from tests.kit.media_relay import media_relay
from tests.kit.ports import free_port
from tests.kit.service import service, until
from voiceagent.media import g711

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPP MISSING: install sip-tester"),
]


@pytest.mark.matrix("sipp", "G.711 RTP", "a spoken call, its words recognised at both ends")
async def test_a_spoken_call(tmp_path: Path) -> None:
    speech = await kit.words("billing please", before_s=4.0)
    (tmp_path / "words.ulaw").write_bytes(g711.encode(speech, "ulaw"))
    steps = [*answered(), plays('rtp_stream="words.ulaw,1,0"'), *is_hung_up()]
    caller = scenario(tmp_path, *steps)
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **kit.REAL) as running:
        assert running.addresses is not None
        async with media_relay(running.addresses.sip) as relay:
            host, port = relay.address
            code, output = await sipp(
                tmp_path, f"{host}:{port}", "-sf", caller, "-s", "100", "-m", "1", "-mi", "127.0.0.1"
            )
            assert code == 0, output[-2000:]
            await until(lambda: not running.directory.live)
            heard = kit.from_ulaw(bytes(relay.spoken))
    assert kit.said(tmp_path) == ["billing please"]
    assert kit.entries(tmp_path)[-1]["reason"] == "completed"
    assert kit.level_dbfs(heard) > -35
    assert await kit.understood(heard) == [kit.QUESTION, kit.ANSWER]


@pytest.mark.matrix("sipp", "RFC 4733 keys", "four keys from packet captures of a real phone, each told once")
@pytest.mark.skipif(os.geteuid() != 0, reason="SIPP NEEDS ROOT to play captures")
async def test_keys_from_captures(tmp_path: Path) -> None:
    keys = "1469"  # the captures are pieces of one recording: in another order time would run backwards
    steps = answered(sdp_port="media_port")
    for key in keys:
        steps += [pause(300), plays(f'play_pcap_audio="{PCAPS}/dtmf_2833_{key}.pcap"')]
    caller = scenario(tmp_path, *steps, *is_hung_up())
    async with service(tmp_path, flows=kit.flow_file(tmp_path)) as running:
        assert running.addresses is not None
        code, output = await sipp(
            tmp_path,
            running.addresses.sip,
            *("-sf", caller, "-s", "200", "-m", "1", "-mi", "127.0.0.1", "-mp", str(free_port())),
        )
        assert code == 0, output[-2000:]
        await until(lambda: not running.directory.live)
    told = "".join(str(entry["digit"]) for entry in kit.entries(tmp_path) if entry["type"] == "caller.digit")
    assert told == keys


@pytest.mark.parametrize(
    ("how", "loss"),
    [
        pytest.param((), 0, marks=pytest.mark.matrix("sipp", "UDP", "50 calls, 20 a second")),
        pytest.param(
            ("-lost", "10"), 10, marks=pytest.mark.matrix("sipp", "UDP, 10 % loss", "50 calls, `-lost 10`")
        ),
        pytest.param(
            ("-t", "t1"), 0, marks=pytest.mark.matrix("sipp", "TCP", "50 calls on one connection, `-t t1`")
        ),
        pytest.param(
            ("-t", "tn", "-max_socket", "100", "-l", "20"),  # one address may have 32 connections
            0,
            marks=pytest.mark.matrix("sipp", "TCP, many", "50 calls on one each, `-t tn`"),
        ),
    ],
)
async def test_fifty_calls(
    tmp_path: Path, how: tuple[str, ...], loss: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with service(tmp_path) as running:
        assert running.addresses is not None
        code, output = await sipp(
            tmp_path,
            running.addresses.sip,
            *("-sn", "uac", "-s", "100", "-r", "20", "-m", "50", "-d", "300", *how),
        )
        assert code == 0, output
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
        await until(lambda: not len(running.wheel or ()))
    gc.collect()
    assert "never retrieved" not in caplog.text
