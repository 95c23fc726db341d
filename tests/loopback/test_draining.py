"""A node told to go at any point of a call's set-up: the call is answered, or refused for another node."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.kit.service import service, until
from voiceagent.errors import SipError
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("anyone", numbers=["*"])
async def anyone(call: Call) -> None:
    await asyncio.Event().wait()
"""
POINTS = 20


async def test_whenever_it_comes_in_a_set_up_no_call_is_lost(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    outcomes: Counter[str] = Counter()
    async with (
        service(tmp_path, flows=[str(tmp_path / "flow.py")], call__connect_timeout_s=20) as running,
        Phone() as phone,
    ):
        assert running.addresses is not None
        target = f"sip:100@{running.addresses.sip}"
        anchor = phone.dial(target)
        await anchor.answered(45)
        for point in range(POINTS):
            call = phone.dial(target)
            for _ in range(point):  # one more turn of the loop each time
                await asyncio.sleep(0)
            running.drainer.begin("test")
            try:
                await call.answered(45)
            except SipError as refused:
                outcomes[str(refused.status)] += 1
            else:
                outcomes["answered"] += 1
                call.hang_up()
                await call.over()
            await until(lambda: len(running.directory.live) == 1)
            assert running.drainer.resume("test")
        late = phone.dial(target)
        await late.answered(45)
        draining = asyncio.ensure_future(running.drain())
        for one in (late, anchor):
            await asyncio.sleep(0)
            assert not draining.done()
            one.hang_up()
            await one.over()
        assert await draining
    assert set(outcomes) <= {"answered", "503"}
    assert outcomes.total() == POINTS
    assert min(outcomes["answered"], outcomes["503"]) > 0, "before the INVITE was taken, and after"
    ends = [
        [entry["type"] for entry in read_journal(path)] for path in (tmp_path / "journals").glob("*.jsonl")
    ]
    assert len(ends) == outcomes["answered"] + 2
    assert all(types.count("call.ended") == 1 and types[-1] == "call.ended" for types in ends)
