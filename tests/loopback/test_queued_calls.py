"""Real phones in a queue: music without a hold, a key that leaves it, a desk that is busy at first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import service, until
from voiceagent.media.levels import g711_dbfs
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOW = """
from voiceagent.ivr import Call, flow

@flow("waiting", numbers=["100"])
async def waiting(call: Call) -> None:
    outcome = await call.queue("sales", announce=False, leave="9", whisper="A caller.")
    await call.hangup(f"Goodbye, {outcome.reason}.")
"""


def settings(tmp_path: Path, desk: Phone) -> dict[str, Any]:
    (tmp_path / "flows.py").write_text(FLOW, encoding="utf-8")
    target = f"sip:desk@127.0.0.1:{desk.address.port}"
    return {
        "flows": [str(tmp_path / "flows.py")],
        "call__transfer_targets": [target],
        "queues": [{"name": "sales", "targets": [target], "retry_s": 1, "ring_s": 30}],
    }


def journal(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    found = next((folder / "journals").glob("*.jsonl"))
    return [entry for entry in read_journal(found) if entry["type"] == kind]


def loud(call: PhoneCall, since: float) -> bool:
    heard = call.timeline.since(1, since)
    return len(heard) >= 4000 and g711_dbfs(heard[:4000]) > -45


async def test_a_busy_desk_is_tried_again_and_takes_the_caller(tmp_path: Path) -> None:
    def busy_then_there(call: PhoneCall) -> None:
        if len(desk.received) == 1:
            call.refuse(486)
        else:
            call.pick_up()

    async with Phone(follows=True) as ann, Phone(user="desk", answer=busy_then_there) as desk:
        async with service(tmp_path, **settings(tmp_path, desk)) as running:
            assert running.addresses is not None
            call = ann.dial(f"sip:100@{running.addresses.sip}")
            await call.answered()
            await until(lambda: len(desk.received) == 1)
            began = call._loop.time()
            await until(lambda: loud(call, began))
            assert not call.held, "music, but no hold"
            assert running.directory.live[0].step == "queue sales 1/1"
            assert 'queue_waiting{queue="sales"} 1.0' in running.metrics.render()
            await until(lambda: not running.directory.live)
            assert 'queue_waiting{queue="sales"} 0.0' in running.metrics.render()
        assert len(desk.received) == 3, "busy; picked up and whispered to; joined with the caller"
    offered = journal(tmp_path, "queue.offered")
    assert [one["accepted"] for one in offered] == [False, True]
    assert journal(tmp_path, "queue.left")[0]["reason"] == "connected"
    assert journal(tmp_path, "call.ended")[0]["reason"] == "transferred"


async def test_a_key_leaves_the_queue_while_the_desk_rings(tmp_path: Path) -> None:
    async with (
        Phone() as ann,
        Phone(user="desk", answer=PhoneCall.ring) as desk,
        service(tmp_path, **settings(tmp_path, desk)) as running,
    ):
        assert running.addresses is not None
        call = ann.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await until(lambda: len(desk.received) == 1)
        await call.press("9")
        ended = await call.over(45)
        assert ended.by == "peer"
        await until(lambda: not running.directory.live)
    assert journal(tmp_path, "queue.left")[0]["reason"] == "left"
    assert journal(tmp_path, "call.ended")[0]["outcome"] == "success"
