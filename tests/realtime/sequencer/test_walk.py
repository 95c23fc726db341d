"""Scenario 58: a long seeded walk through a world with every vice; I1 to I12 hold after every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.realtime.sequencer.world import World

STEPS = 120_000
LIVES: list[dict[str, Any]] = [
    {},
    {"auto_create": True},
    {"auto_create": True, "auto_interrupt": False},
    {"owns_output_buffer": True},
    {"owns_output_buffer": True, "auto_create": True},
    {"owns_output_buffer": True, "auto_interrupt": False},
    {"metadata_echo": False, "uncorrelated": True},
    {"overlap": "supersede", "auto_create": True},
]


def walk(seed: int, steps: int, **config: Any) -> World:
    """Live ``steps`` steps, then heal: all requests must end by themselves."""
    rng = random.Random(seed)
    world = World(**config)
    for _ in range(steps):
        world.step(rng)
    world.heal()
    return world


@pytest.mark.parametrize("config", LIVES, ids=lambda c: "+".join(c) or "direct")
def test_scenario_58_random_walk(config: dict[str, Any]) -> None:
    lives = 25
    for life in range(lives):
        try:
            walk(58_000 + life, STEPS // len(LIVES) // lives, **config)
        except Exception as error:
            raise AssertionError(f"seed {58_000 + life}, {config}: {error}") from error
