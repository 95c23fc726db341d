"""baresip calls the whole service: a spoken call, keys, hold and resume."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.baresip import G722, OPUS, PCMA, Ways, baresip, press
from tests.kit.certificates import Authority
from tests.kit.service import service, until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("baresip") is None, reason="BARESIP MISSING: install baresip-core"),
]


SPOKEN = "a spoken call, its words recognised at both ends"


@pytest.mark.parametrize(
    "ways",
    [
        pytest.param(Ways(), marks=pytest.mark.matrix("baresip", "G.711 µ-law", SPOKEN), id="pcmu"),
        pytest.param(Ways(PCMA), marks=pytest.mark.matrix("baresip", "G.711 A-law", SPOKEN), id="pcma"),
        pytest.param(Ways(G722), marks=pytest.mark.matrix("baresip", "G.722", SPOKEN), id="g722"),
        pytest.param(Ways(OPUS), marks=pytest.mark.matrix("baresip", "Opus", SPOKEN), id="opus"),
    ],
)
async def test_a_spoken_call(tmp_path: Path, ways: Ways) -> None:
    speech = await kit.words("billing please", before_s=1.0)
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **kit.REAL) as running:
        assert running.addresses is not None
        async with baresip(tmp_path / "phone", kit.silence(60), ways) as phone:
            await phone.command("dial", f"sip:100@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            (live,) = running.directory.live
            await until(lambda: any(entry.outcome is not None for entry in live.ledger))
            await phone.say(speech)  # the question has been asked, however long that took
            await phone.event("CALL_CLOSED", within_s=60)
        await until(lambda: not running.directory.live)
    heard = phone.recording()
    assert kit.said(tmp_path) == ["billing please"]
    assert kit.entries(tmp_path)[-1]["reason"] == "completed"
    assert kit.level_dbfs(heard) > -35
    assert await kit.understood(heard) == [kit.QUESTION, kit.ANSWER]


@pytest.mark.matrix("baresip", "hold, resume, RFC 4733 keys", "held, taken back, four keys")
async def test_hold_resume_and_keys(tmp_path: Path) -> None:
    async with service(tmp_path, flows=kit.flow_file(tmp_path)) as running:
        assert running.addresses is not None
        async with baresip(tmp_path / "phone", kit.silence(60)) as phone:
            await phone.command("dial", f"sip:200@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            live = running.directory.live[0]
            await phone.command("hold")
            await until(lambda: live.held)
            await phone.command("resume")
            await until(lambda: not live.held)
            await press(phone, live, "4711")
            await phone.event("CALL_CLOSED", within_s=60)
        await until(lambda: not running.directory.live)
    entries = kit.entries(tmp_path)
    assert "".join(str(entry["digit"]) for entry in entries if entry["type"] == "caller.digit") == "4711"
    assert [entry["type"] for entry in entries if str(entry["type"]).startswith("caller.")][:2] == [
        "caller.held",
        "caller.resumed",
    ]
    assert (entries[-1]["outcome"], entries[-1]["reason"]) == ("success", "completed")


@pytest.mark.parametrize(
    "transport",
    [
        pytest.param(
            "tcp", marks=pytest.mark.matrix("baresip", "TCP", "four keys, our BYE by its connection")
        ),
        pytest.param(
            "tls", marks=pytest.mark.matrix("baresip", "TLS", "four keys, our BYE by its connection")
        ),
    ],
)
async def test_over_a_connection(tmp_path: Path, transport: str) -> None:
    ours = Authority(tmp_path).sign("127.0.0.1", "127.0.0.1")
    settings = {
        "sip__listen": (f"{transport}:127.0.0.1:0",),
        "sip__tls__certificate": ours.certificate,
        "sip__tls__key": ours.key,
    }
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **settings) as running:
        assert running.addresses is not None
        async with baresip(tmp_path / "phone", kit.silence(60), Ways(transport=transport)) as phone:
            await phone.command("dial", f"sip:200@{running.addresses.sip};transport={transport}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            await press(phone, running.directory.live[0], "4711")
            await phone.event("CALL_CLOSED", within_s=60)
        await until(lambda: not running.directory.live)
    assert kit.entries(tmp_path)[-1]["reason"] == "completed"


@pytest.mark.matrix("baresip", "REFER from us", "it dials the new number, NOTIFY tells us")
async def test_it_is_transferred(tmp_path: Path) -> None:
    flows = kit.flow_file(tmp_path)
    async with service(tmp_path, flows=flows, call__transfer_targets=("*",)) as running:
        assert running.addresses is not None
        # The number to transfer to is part of the one dialled: the flow knows no ports.
        port = running.addresses.sip.rpartition(":")[2]
        async with baresip(tmp_path / "phone", kit.silence(60)) as phone:
            await phone.command("dial", f"sip:9{port}@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: any(call.info.called == "200" for call in running.directory.live))
            await until(lambda: len(running.directory.live) == 1)
            await press(phone, running.directory.live[0], "4711")
            await until(lambda: not running.directory.live)
            ended = {call.called: call.outcome for call in running.directory.calls()}
    assert (ended[f"9{port}"] or {})["reason"] == "transferred"
    assert (ended["200"] or {})["reason"] == "completed"


@pytest.mark.matrix("baresip", "BYE", "the phone hangs up in mid-question")
async def test_the_phone_hangs_up(tmp_path: Path) -> None:
    async with service(tmp_path, flows=kit.flow_file(tmp_path)) as running:
        assert running.addresses is not None
        async with baresip(tmp_path / "phone", kit.silence(60)) as phone:
            await phone.command("dial", f"sip:200@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            await until(lambda: running.directory.live)
            await phone.command("hangup")
            await until(lambda: not running.directory.live)
    assert kit.entries(tmp_path)[-1]["reason"] == "caller_hung_up"
