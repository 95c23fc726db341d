"""Every order of a small model's events, to a stated depth: I1 to I12 after each step.

Eight things can happen. Every sequence of five of them is lived through (8^5 = 32 768 lives, each prefix
checked on the way); other kinds of session live a third of them. Every eleventh life is then healed: nothing
may be stuck.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tests.realtime.sequencer.world import World
from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Origin, ResponseRequest

DEPTH = 5


def _submit(world: World, origin: Origin, policy: BargePolicy) -> None:
    world.count += 1
    world.submit(
        ResponseRequest(f"Q{world.count}", origin=origin, instructions="Say it.", barge_policy=policy)
    )


def _travel(world: World) -> None:
    world.serve()
    world.deliver()
    world.deliver()


def _speak(world: World) -> None:
    _ = world.speak() or world.hush()
    world.deliver()


def _reply(world: World) -> None:
    if not world.auto_reply() and world.active is not None and not world.active.audio:
        world.audio()
    elif world.active is not None:
        world.done()
    world.ear_start()


ACTIONS: list[Callable[[World], Any]] = [
    lambda world: _submit(world, Origin.IVR, BargePolicy.DROP),
    lambda world: _submit(world, Origin.OPERATOR, BargePolicy.REQUEUE),
    _travel,
    _speak,
    _reply,
    lambda world: world.interrupt(InterruptedBy.OPERATOR, False),
    lambda world: world.advance(2.1),
    lambda world: world.reattach() or world.drop(),
]


@pytest.mark.parametrize(
    "config", [{}, {"auto_create": True}, {"owns_output_buffer": True}], ids=lambda c: "+".join(c) or "direct"
)
def test_every_order_of_events(
    config: dict[str, Any], record_property: Callable[[str, object], None]
) -> None:
    steps = 0
    for number, life in enumerate(product(range(len(ACTIONS)), repeat=DEPTH)):
        if config and number % 3:
            continue  # the other kinds of session live every third life
        world = World(**config)
        _submit(world, Origin.TURN, BargePolicy.KEEP)
        try:
            for action in life:
                ACTIONS[action](world)
                steps += 1
            if number % 11 == 0:
                world.heal()
        except Exception as error:
            raise AssertionError(f"order {life}: {error}") from error
    record_property("steps", steps)
    print(f"{steps} steps, depth {DEPTH}, {config}")
    assert steps > 50_000
