"""What the caller hears while waiting in a queue: music and positions, and nothing over them."""

from __future__ import annotations

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
