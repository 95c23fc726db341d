"""baresip calls the whole service: a spoken call, keys, hold and resume."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop import kit
from tests.interop.baresip import PCMA, Ways, baresip
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
    ],
)
async def test_a_spoken_call(tmp_path: Path, ways: Ways) -> None:
    real = {"engine__voice": "auto", "engine__recogniser": "auto", "engine__vad": "auto"}
    speech = await kit.words("billing please", before_s=5.0)
    async with service(tmp_path, flows=kit.flow_file(tmp_path), **real) as running:
        assert running.addresses is not None
        async with baresip(tmp_path / "phone", speech, ways) as phone:
            await phone.command("dial", f"sip:100@{running.addresses.sip}")
            await phone.event("CALL_ESTABLISHED")
            await phone.event("CALL_CLOSED", within_s=40)
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
            for digit in "4711":
                count = live.digits_pressed
                await phone.command("sndcode", digit)
                await until(lambda count=count: live.digits_pressed > count)
            await phone.event("CALL_CLOSED", within_s=40)
        await until(lambda: not running.directory.live)
    entries = kit.entries(tmp_path)
    assert "".join(str(entry["digit"]) for entry in entries if entry["type"] == "caller.digit") == "4711"
    assert [entry["type"] for entry in entries if str(entry["type"]).startswith("caller.")][:2] == [
        "caller.held",
        "caller.resumed",
    ]
    assert (entries[-1]["outcome"], entries[-1]["reason"]) == ("success", "completed")


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
