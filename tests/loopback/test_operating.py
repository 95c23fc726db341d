"""An operator's hand on real calls: HTTP on one side, a phone on the other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.service import operator, service, until
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
"""


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


async def events(client: httpx.AsyncClient) -> AsyncIterator[tuple[str, Any]]:
    """Yield type and data of what the live stream tells."""
    async with client.stream("GET", "/v1/events", timeout=60) as stream:
        kind = ""
        async for line in stream.aiter_lines():
            name, _, rest = line.partition(": ")
            if name == "event":
                kind = rest
            elif name == "data":
                yield kind, json.loads(rest)


async def test_a_phone_is_held_resumed_sent_keys_and_handed_on(tmp_path: Path, flows: list[str]) -> None:
    noted: list[str] = []
    async with (
        Phone(follows=True, note=lambda _now, _direction, label: noted.append(label)) as ann,
        Phone(user="ben", answer=PhoneCall.pick_up) as ben,
    ):
        desk = f"sip:ben@127.0.0.1:{ben.address.port}"
        async with (
            service(tmp_path, flows=flows, call__transfer_targets=[desk]) as running,
            operator(running) as client,
        ):
            assert running.addresses is not None
            call = ann.dial(f"sip:100@{running.addresses.sip}")
            await call.answered()
            await call.until_speaking()
            (shown,) = (await client.get("/v1/calls")).json()["calls"]
            actions = shown["links"]["actions"]
            assert shown["abilities"] == ["hold", "transfer", "consult", "send_digits", "listen", "take_over"]

            held = await client.post(f"{actions}/hold")
            assert (held.status_code, held.json()["held_by"]) == (200, ["us"])
            assert call.held
            back = await client.post(f"{actions}/resume")
            assert (back.status_code, back.json()["held_by"]) == (200, [])
            assert not call.held
            assert (await client.post(f"{actions}/send_digits", json={"digits": "7#"})).status_code == 200
            await until(lambda: "digit #" in noted)

            refused = await client.post(f"{actions}/transfer", json={"target": "sip:eve@127.0.0.1:9"})
            assert refused.status_code == 403
            assert (refused.json()["code"], refused.json()["field"]) == ("target_not_allowed", "target")
            begun = await client.post(f"{actions}/transfer", json={"target": desk})
            assert (begun.status_code, begun.json()["transfer"]["target"]) == (202, desk)
            assert (await call.over(45)).by == "peer"
            await until(lambda: not running.directory.live)
            ended = (await client.get(shown["links"]["self"])).json()
            assert (ended["outcome"]["reason"], ended["transfer"]["state"]) == ("transferred", "done")
            assert not ben.received[0].ended.done()
            late = await client.post(f"{actions}/hold")
            assert (late.status_code, late.json()["code"]) == (409, "call_ended")
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    told = [entry["type"] for entry in read_journal(journal) if entry["type"].startswith("operator.")]
    assert told == ["operator.hold", "operator.resume", "operator.send_digits", "operator.transfer"]


async def test_a_trunk_whose_server_is_silent_is_told_live_and_its_cap_is_shown(
    tmp_path: Path, flows: list[str]
) -> None:
    gone = {
        "host": "127.0.0.1",
        "port": 9,
        "transport": "tcp",
        "register": True,
        "username": "u",
        "secret": "p",
    }
    trunks = [{"name": "carrier", "max_calls": 30, **gone}]
    async with service(tmp_path, flows=flows, trunks=trunks) as running, operator(running) as client:
        carrier, default = (await client.get("/v1/trunks")).json()["trunks"]
        assert (carrier["name"], carrier["max_calls"], carrier["calls"]) == ("carrier", 30, 0)
        assert (default["name"], default["max_calls"]) == ("default", 0)
        async for kind, told in events(client):
            if kind == "snapshot":
                assert running.sip is not None
                running.sip.close_trunks()
            if kind == "trunk.changed":
                assert (told["call_id"], told["data"]["name"]) == ("", "carrier")
                assert told["data"]["up"] is False
                break
        else:
            pytest.fail("nothing was told")


RECORDED = """
from voiceagent.ivr import Call, flow

@flow("talker", numbers=["100"])
async def talker(call: Call) -> None:
    await call.record()
    while True:
        await call.say("One two three four five.")
"""


async def test_a_call_is_noted_tagged_and_found_again_with_its_recording(tmp_path: Path) -> None:
    path = tmp_path / "flows.py"
    path.write_text(RECORDED, encoding="utf-8")
    folder = str(tmp_path / "recordings")
    async with (
        Phone() as phone,
        service(tmp_path, flows=[str(path)], recordings_dir=folder) as running,
        operator(running) as client,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.until_speaking()
        (shown,) = (await client.get("/v1/calls")).json()["calls"]
        here, there = shown["links"]["self"], f"/v1/history/{shown['id']}"
        assert (await client.get(there)).json()["code"] == "not_in_history"
        assert (await client.post(f"{here}/tags", json={"tag": "vip"})).json() == {"tags": ["vip"]}
        note = {"instructions": "The parcel is late.", "note_only": True}
        assert (await client.post(f"{here}/responses", json=note)).json()["state"] == "noted"
        for what, state in (("pause", "paused"), ("resume", "running")):
            done = await client.post(f"{here}/actions/{what}_recording")
            assert done.json()["recording"] == {"state": state, "files": [f"{shown['id']}.wav"]}
        assert (await client.post(f"{here}/actions/hangup")).json()["tags"] == ["vip"]
        await call.over(45)
        await until(lambda: not running.directory.live)  # the phone hears of it first, the archive last
        assert await running.archive.flush(45)
        (found,) = (await client.get("/v1/history?q=parcel&tag=vip&recorded=true")).json()["calls"]
        assert found["id"] == shown["id"]
        kept = (await client.get(there)).json()
        assert ("note", "The parcel is late.") in [
            (one["speaker"], one["text"]) for one in kept["transcript"]
        ]
        assert "noted" in [one["state"] for one in kept["responses"]]
        sound = await client.get(kept["links"]["recording"], headers={"Range": "bytes=0-3"})
        assert (sound.status_code, sound.content) == (206, b"RIFF")
        lines = (await client.get(kept["links"]["journal"])).text.splitlines()
        told = [json.loads(line)["type"] for line in lines]
        assert told[-1] == "call.ended"
        assert {"operator.tag", "operator.note", "operator.pause_recording"} <= set(told)
        exported = await client.get("/v1/history/export")
        assert found["id"] in exported.text
        log = (await client.get("/v1/audit?action=call.")).json()["lines"]
        assert {line["action"] for line in log} >= {"call.tag", "call.note", "call.pause_recording"}
