"""Every call of ours to a bare number goes over a trunk, by its rules: placed, consulted, referred to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import operator, service, until
from voiceagent.app.service import Service
from voiceagent.media.srtp import srtp_available
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("talker", numbers=["100"])
async def talker(call: Call) -> None:
    while True:
        await call.say("One two three four five.")
        await asyncio.sleep(0.5)

@flow("attended", numbers=["101"])
async def attended(call: Call) -> None:
    await call.transfer("200", attended=True)
    await call.say("Nobody is there.")
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


def pbx(phone: Phone, **rules: Any) -> dict[str, Any]:
    """A trunk whose server is ``phone``, for numbers that begin with 2."""
    server = f"127.0.0.1:{phone.address.port}"
    return {"name": "pbx", "servers": [server], "numbers_out": ["2*"], "from_user": "desk", **rules}


def sip_of(running: Service) -> str:
    assert running.addresses is not None
    return running.addresses.sip


def journal(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    found = next((folder / "journals").glob("*.jsonl"))
    return [entry for entry in read_journal(found) if entry["type"] == kind]


@pytest.mark.parametrize("srtp", [False, True], ids=["plain", "encrypted"])
async def test_a_call_has_the_codecs_and_the_encryption_of_its_trunk(
    tmp_path: Path, flows: list[str], *, srtp: bool
) -> None:
    if srtp and not srtp_available():
        pytest.skip("SRTP MISSING: install pylibsrtp")
    async with Phone(user="ben", answer=PhoneCall.pick_up, srtp="sdes" if srtp else None) as ben:
        trunk = pbx(ben, codecs=["PCMA"], srtp="required" if srtp else "off")
        settings = {"outbound__allowed": ["2*"], "media__sdes_over": "any", "media__srtp": "optional"}
        async with service(tmp_path, flows=flows, trunks=[trunk], **settings) as running:
            async with operator(running) as client:
                answer = await client.post("/v1/calls", json={"to": "200", "flow": "talker"})
                assert answer.status_code == 202, answer.text
            await until(lambda: ben.received)
            call = ben.received[0]
            await call.until_speaking()
            assert call.invite is not None
            offer = (call.invite.offer or b"").decode()
            (audio,) = (line for line in offer.splitlines() if line.startswith("m=audio"))
            assert audio.split()[2:4] == ["RTP/SAVP" if srtp else "RTP/AVP", "8"]
            assert "PCMU" not in offer
            assert call.invite.caller_user == "desk"
            assert running.directory.live[0].info.trunk == "pbx"
            assert running.trunks is not None
            assert running.trunks.status()[0].calls == 1
            call.hang_up()
            await call.over()
            assert (call.codec, bool(call.figures.srtp)) == ("PCMA", srtp)
            await until(lambda: not running.directory.live)
    assert journal(tmp_path, "call.dialled")[0]["protocol_call_id"] == call.invite.call_id


async def test_who_is_consulted_by_number_is_called_over_the_trunk(tmp_path: Path, flows: list[str]) -> None:
    async with Phone(follows=True) as ann, Phone(user="ben", answer=PhoneCall.pick_up) as ben:
        settings = {"trunks": [pbx(ben)], "call__transfer_targets": ["2*"]}
        async with service(tmp_path, flows=flows, **settings) as running:
            call = ann.dial(f"sip:101@{sip_of(running)}")
            await call.answered()
            assert (await call.over(45)).by == "peer"
            await until(lambda: not running.directory.live)
            outcome = running.directory.calls()[0].outcome
            assert outcome is not None
            assert (outcome["reason"], outcome["status"]) == ("transferred", 200)
            consulted, joined = ben.received
            assert consulted.invite is not None
            assert (consulted.invite.called_user, consulted.invite.caller_user) == ("200", "desk")
            assert consulted.ended.done()
            assert not joined.ended.done(), "ann and ben speak with each other"


async def test_a_referral_to_a_number_goes_over_the_trunk(tmp_path: Path, flows: list[str]) -> None:
    async with Phone() as ann, Phone(user="ben", answer=PhoneCall.pick_up) as ben:
        settings = {
            "trunks": [pbx(ben)],
            "call__transfer_targets": ["2*", "3*"],
            "sip__accept_refer": True,
        }
        async with service(tmp_path, flows=flows, **settings) as running:
            call = ann.dial(f"sip:100@{sip_of(running)}")
            await call.answered()
            await call.until_speaking()
            call.transfer("tel:300;phone-context=example.com")  # no trunk takes it
            await until(lambda: call.referred and call.referred[-1] >= 300)
            assert call.referred[-1] == 404
            call.transfer("tel:200;phone-context=example.com")
            assert (await call.over(45)).by == "peer"
            assert call.referred[-1] == 200
            await ben.received[0].until_speaking()
            assert ben.received[0].invite is not None
            assert ben.received[0].invite.called_user == "200"
            assert running.trunks is not None
            assert running.trunks.status()[0].calls == 1
            ben.received[0].hang_up()
            await until(lambda: not running.directory.live)
            await until(lambda: running.trunks is not None and running.trunks.status()[0].calls == 0)
