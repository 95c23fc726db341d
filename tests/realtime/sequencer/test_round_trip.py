"""The round trip is measured on the create that was answered, and on no other."""

from __future__ import annotations

import asyncio

import pytest

from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.virtual_loop import virtual
from tests.realtime.kit import open_room
from voiceagent.realtime.requests import ResponseRequest


@virtual
async def test_a_lost_create_does_not_lend_its_time_to_the_next_one() -> None:
    provider = ScriptedProvider(latency_s=0.05)
    provider.default = Reply("Yes.", audio_ms=200)
    async with open_room(provider=provider) as room:
        provider.faults.swallow_creates = 1
        for number in range(12):
            handle = room.session.submit(ResponseRequest(id=f"r{number}", instructions="Speak."))
            assert (await handle.outcome()).completed
            await asyncio.sleep(5.0)
        assert len(provider.creates()) == 13
        seen = room.model.link.sequencer.snapshot()
    assert seen.round_trip_s == pytest.approx(0.1, abs=0.01)
