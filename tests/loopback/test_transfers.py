"""Transfers, Replaces and hold between phones and the service, over real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import service, until
from voiceagent.app.service import Service
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from pathlib import Path
from voiceagent.ivr import Call, flow

@flow("talker", numbers=["100"])
async def talker(call: Call) -> None:
    while True:
        await call.say("One two three four five.")
        await asyncio.sleep(0.5)

@flow("holder", numbers=["200"])
async def holder(call: Call) -> None:
    await call.hold()
    while not Path("heard").exists():
        await asyncio.sleep(0.05)
    await call.resume()
    await call.send_digits("12")
    await asyncio.Event().wait()

@flow("attended", numbers=["*"])
async def attended(call: Call) -> None:
    await call.transfer(f"sip:desk@127.0.0.1:{call.called.raw}", attended=True)
    await call.say("Nobody is there.")
"""
TARGETS = ("sip:*@127.0.0.1:*",)


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW.replace('"heard"', repr(str(tmp_path / "heard"))), encoding="utf-8")
    return [str(path)]


def sip_of(running: Service) -> str:
    assert running.addresses is not None
    return running.addresses.sip


def journal(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    found = next((folder / "journals").glob("*.jsonl"))
    return [entry for entry in read_journal(found) if entry["type"] == kind]


async def test_a_phone_hands_the_agent_to_another_phone(tmp_path: Path, flows: list[str]) -> None:
    async with Phone() as ann, Phone(user="ben", answer=PhoneCall.pick_up) as ben:
        desk = f"sip:ben@127.0.0.1:{ben.address.port}"
        async with service(
            tmp_path, flows=flows, sip__accept_refer=True, call__transfer_targets=[desk]
        ) as running:
            call = ann.dial(f"sip:100@{sip_of(running)}")
            await call.answered()
            await call.until_speaking()
            call.transfer("sip:other@127.0.0.1:9")
            await until(lambda: call.referred == [403])
            call.transfer(desk)
            ended = await call.over(45)
            assert ended.by == "peer"
            assert call.referred[-1] == 200
            await ben.received[0].until_speaking()
            await until(lambda: [live.info.caller for live in running.directory.live] == ["ben"])
            ben.received[0].hang_up()
            await until(lambda: not running.directory.live)
    assert journal(tmp_path, "call.party_changed")[0]["before"] == "caller"


async def test_a_phone_picks_up_the_call_of_another(tmp_path: Path, flows: list[str]) -> None:
    async with service(tmp_path, flows=flows) as running, Phone() as ann, Phone(user="ben") as ben:
        call = ann.dial(f"sip:100@{sip_of(running)}")
        await call.answered()
        await call.until_speaking()
        nobody = ben.dial(f"sip:100@{sip_of(running)}", headers=[("Replaces", "x;to-tag=1;from-tag=2")])
        assert (await nobody.over()).status == 481
        picked = ben.dial(f"sip:100@{sip_of(running)}", headers=[("Replaces", call.replaces)])
        await picked.answered()
        assert (await call.over()).by == "peer"
        await picked.until_speaking()
        await until(lambda: [live.info.caller for live in running.directory.live] == ["ben"])


async def test_the_agent_consults_and_joins_two_phones(tmp_path: Path, flows: list[str]) -> None:
    async with Phone(follows=True) as ann, Phone(user="ben", answer=PhoneCall.pick_up) as ben:
        async with service(tmp_path, flows=flows, call__transfer_targets=TARGETS) as running:
            call = ann.dial(f"sip:{ben.address.port}@{sip_of(running)}")
            await call.answered()
            assert (await call.over(45)).by == "peer"
            await until(lambda: not running.directory.live)
            outcome = running.directory.calls()[0].outcome
            assert outcome is not None
            assert (outcome["reason"], outcome["status"]) == ("transferred", 200)
            consulted, joined = ben.received
            assert consulted.ended.done()
            assert not joined.ended.done(), "ann and ben speak with each other"
            assert not ann.received[0].ended.done()
            assert running.sip is not None
            await until(lambda: running.sip is not None and running.sip.endpoint.figures().legs == 0)
        assert [entry["status"] for entry in journal(tmp_path, "transfer.progress")][-1] == 200


async def test_a_consultation_in_vain_brings_the_caller_back(tmp_path: Path, flows: list[str]) -> None:
    async with (
        Phone() as ann,
        Phone(user="ben") as busy,
        service(tmp_path, flows=flows, call__transfer_targets=TARGETS) as running,
    ):
        call = ann.dial(f"sip:{busy.address.port}@{sip_of(running)}")
        await call.answered()
        assert (await call.over(45)).by == "peer"
        await until(lambda: not running.directory.live)
    told = journal(tmp_path, "transfer.ended")
    assert [(entry["accepted"], entry["status"]) for entry in told] == [(False, 486)]
    assert journal(tmp_path, "call.resumed")[0]["agreed"] is True


async def test_on_hold_there_is_music_and_afterwards_there_are_keys(tmp_path: Path, flows: list[str]) -> None:
    noted: list[str] = []
    async with (
        service(tmp_path, flows=flows) as running,
        Phone(note=lambda _now, _direction, label: noted.append(label)) as ann,
    ):
        call = ann.dial(f"sip:200@{sip_of(running)}")
        await call.answered()
        await until(lambda: call.held)
        await call.until_speaking()
        (tmp_path / "heard").touch()
        await until(lambda: not call.held)
        await until(lambda: "digit 2" in noted)
        call.hang_up()
    assert [label for label in noted if label.startswith("digit")] == ["digit 1", "digit 2"]
