"""Scenario 58: random orders of events in a world with every vice; I1 to I12 hold after every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from voiceagent.bench.interleavings import RANDOM_KINDS, OrderBroken, live_randomly, one_life
from voiceagent.bench.planted import SettleTwice
from voiceagent.bench.world import World

LIVES = 100_000
LONG_STEPS = 60_000


def test_a_hundred_thousand_random_interleavings() -> None:
    lived = live_randomly(LIVES)
    print(f"{lived.lives} lives, {lived.steps} steps, {lived.requests} requests, {lived.healed} healed")
    assert lived.lives == LIVES
    assert lived.requests > LIVES / 2


@pytest.mark.parametrize("config", RANDOM_KINDS, ids=lambda c: "+".join(c) or "direct")
def test_scenario_58_long_random_walks(config: dict[str, Any]) -> None:
    lives = 12
    for life in range(lives):
        try:
            rng = random.Random(58_000 + life)
            world = World(**config)
            for _ in range(LONG_STEPS // len(RANDOM_KINDS) // lives):
                world.step(rng)
            world.heal()
        except Exception as error:
            raise AssertionError(f"seed {58_000 + life}, {config}: {error}") from error


def test_a_broken_life_can_be_lived_again() -> None:
    with pytest.raises(OrderBroken, match=r"I2: .* ends twice") as caught:
        live_randomly(2_000, machine=SettleTwice)
    name = int(caught.value.order.split()[2])
    with pytest.raises(Exception, match="ends twice"):
        one_life(name, machine=SettleTwice).heal()
