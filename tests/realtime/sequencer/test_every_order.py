"""Every order in which ten sources can act, to a stated depth: I1 to I12 after each step."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from voiceagent.bench.interleavings import KINDS, OrderBroken, replay_order, walk_exhaustively
from voiceagent.bench.planted import NoFlush, NoWatchdog
from voiceagent.bench.world_state import fingerprint

DEPTH = 5


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_order_of_events(kind: str, record_property: Callable[[str, object], None]) -> None:
    walked = walk_exhaustively(DEPTH, kind)
    record_property("states", walked.states)
    print(f"{kind}: depth {DEPTH}, {walked.states} states, {walked.orders} orders, {walked.healed} healed")
    assert walked.states > 4_000
    assert walked.new_states[-1] > walked.new_states[-2] > 0
    assert walked.orders == walked.states + walked.merged - 1


@pytest.mark.parametrize("fault", ["swallow", "lost_created", "lost_done", "anonymous"])
def test_every_order_with_a_fault_in_the_provider(fault: str) -> None:
    walked = walk_exhaustively(4, "provider answers", fault)
    assert walked.states > 900


@pytest.mark.parametrize("kind", list(KINDS))
def test_states_taken_for_the_same_have_the_same_futures(kind: str) -> None:
    """Merging is only honest if the fingerprint leaves out nothing that matters later."""
    rng = random.Random(11)
    first: dict[int, bytes] = {fingerprint(replay_order(b"", kind)): b""}
    frontier, compared = [b""], 0
    for depth in range(4):
        found: list[bytes] = []
        for before in frontier:
            for act in range(10):
                order = before + bytes((act,))
                state = fingerprint(replay_order(order, kind))
                if state not in first:
                    first[state] = order
                    found.append(order)
                elif depth and rng.random() < 0.25:
                    tail = bytes(rng.randrange(10) for _ in range(rng.randrange(1, 7)))
                    one, other = replay_order(order + tail, kind), replay_order(first[state] + tail, kind)
                    assert fingerprint(one) == fingerprint(other), (order, first[state], tail)
                    compared += 1
        frontier = found
    assert compared > 100


def test_the_walk_finds_the_shortest_way_to_a_defect() -> None:
    with pytest.raises(OrderBroken, match="I12: Q2 waits on") as caught:
        walk_exhaustively(4, machine=NoFlush)
    assert caught.value.order.startswith("flow → caller → ")
    with pytest.raises(OrderBroken, match="I8: create Q1 is unanswered") as caught:
        walk_exhaustively(4, machine=NoWatchdog)
    assert caught.value.order == "clock → clock"
