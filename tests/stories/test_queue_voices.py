"""What the caller hears while waiting in a queue: music and positions, and nothing over them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kit.voices import after_ms, play_call
from voiceagent.ivr import Call, flow
from voiceagent.simulate.scenario import Scenario, Transfer
from voiceagent.simulate.sim_call import SimCall


@pytest.mark.parametrize("away_ms", [0, 4_000, 60_000])
@pytest.mark.parametrize("at_ms", [200, 1_500, 6_000])
def test_the_sound_of_a_lost_provider_does_not_cover_the_music(at_ms: int, away_ms: int) -> None:
    had: list[Any] = []

    @flow("waits")
    async def waits(call: Call) -> None:
        had.append(await call.queue("sales", timeout_s=20))

    async def lost(sim: SimCall) -> None:
        sim.provider.settings = sim.provider.settings.model_copy(update={"away_ms": away_ms})
        sim.provider.lose()

    busy = Scenario(transfer=Transfer(status=486))
    played = play_call(waits, after_ms(at_ms, lost), scenario=busy)
    assert played.faults == []
    assert played.entries("provider.lost")
    assert [one.reason for one in had] == (["timed_out"] if away_ms < 10_000 else [])


def test_who_is_cancelled_twice_leaves_the_queue_all_the_same() -> None:
    """The provider is given up while a target rings, and then the flow's own time is over.

    The end of the call cancels the flow again, which is just about to leave: the next in line must not wait
    behind somebody who is gone.
    """

    @flow("impatient")
    async def impatient(call: Call) -> None:
        async with asyncio.timeout(15):
            await call.queue("sales")

    async def lost(sim: SimCall) -> None:
        sim.provider.settings = sim.provider.settings.model_copy(update={"away_ms": 60_000})
        sim.provider.lose()

    rings = Scenario(transfer=Transfer(status=486, after_ms=3_000))
    played = play_call(impatient, after_ms(4_500, lost), scenario=rings)
    assert played.faults == []
    assert [one["state"] for one in played.entries("call.state")] == ["talking", "closing"]
    assert len(played.entries("transfer.ended")) == 2
    assert played.entries("recovery.failed")[0]["t"] < played.entries("transfer.ended")[1]["t"]
    assert len(played.entries("queue.left")) == 1
    assert not played.sim.call.holding.in_queue
