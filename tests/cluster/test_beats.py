"""PURE: when to beat, who may bury, and what time it is in the fleet."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from voiceagent.cluster.beats import Beats, FleetClock


def beats(chance: float = 0.0) -> Beats:
    return Beats(6.0, lambda: chance)


def test_three_beats_for_each_lease() -> None:
    kept = beats()
    assert kept.wait(100.0) == 0
    kept.succeeded(100.0)
    assert kept.wait(100.5) == 1.5
    kept.hurry(100.5)
    assert kept.wait(100.5) == 0


def test_retries_slow_down_but_all_are_back_within_a_quarter_of_a_lease() -> None:
    waits: dict[float, list[float]] = {}
    for chance in (0.0, 0.999):
        kept = beats(chance)
        for _ in range(40):
            kept.failed(0.0, "down")
            waits.setdefault(chance, []).append(kept.wait(0.0))
    assert waits[0.0][:4] == [0.05, 0.1, 0.2, 0.4]
    assert waits[0.0][-1] == 0.75
    assert 1.49 < max(waits[0.999]) <= 1.5
    assert kept.why == "down"
    kept.succeeded(1.0)
    assert kept.why == ""
    kept.failed(1.0, "down")
    assert kept.wait(1.0) < 0.11


def test_nobody_buries_before_a_whole_lease_of_unbroken_beats() -> None:
    kept = beats()
    assert not kept.may_bury(1000.0)
    for now in (0.0, 2.0, 4.0):
        kept.succeeded(now)
        assert not kept.may_bury(now)
    assert kept.may_bury(6.0)
    kept.failed(6.0, "down")
    assert not kept.may_bury(6.0)
    kept.succeeded(7.0)
    assert not kept.may_bury(12.9)
    assert kept.may_bury(13.0)
    kept.succeeded(13.0, late=True)
    assert not kept.may_bury(13.0)


def test_an_answer_that_took_half_a_lease_is_not_acted_on() -> None:
    assert beats().trusts(10.0, 13.0)
    assert not beats().trusts(10.0, 13.1)


@given(st.integers(), st.floats(-1e6, 1e6))
def test_their_clock_is_always_within_the_bounds_and_these_only_narrow(seed: int, offset: float) -> None:
    chance, here = random.Random(seed), [0.0]
    clock, width = FleetClock(lambda: here[0]), float("inf")
    for _ in range(20):
        sent = here[0]
        here[0] += chance.random()
        theirs = here[0] + offset
        here[0] += chance.random()
        clock.learned(theirs, sent, here[0])
        here[0] += chance.random() * 10
        assert clock.earliest() - 1e-6 <= here[0] + offset <= clock.latest() + 1e-6
        assert clock.latest() - clock.earliest() <= width + 1e-6
        width = clock.latest() - clock.earliest()


@given(st.integers(), st.floats(0, 1e6))
def test_a_clock_told_in_whole_milliseconds_is_still_within_the_bounds(seed: int, offset: float) -> None:
    chance, here = random.Random(seed), [0.0]
    clock = FleetClock(lambda: here[0], step_s=0.001)
    for _ in range(20):
        sent = here[0]
        here[0] += chance.random() / 10_000
        theirs = math.floor((here[0] + offset) * 1000) / 1000
        here[0] += chance.random() / 10_000
        clock.learned(theirs, sent, here[0])
        assert clock.earliest() - 1e-6 <= here[0] + offset <= clock.latest() + 1e-6


def test_a_clock_that_was_set_is_believed_at_once() -> None:
    here = [50.0]
    clock = FleetClock(lambda: here[0])
    clock.learned(1000.0, 50.0, 50.0)
    assert clock.earliest() == clock.latest() == 1000.0
    clock.learned(400.0, 50.0, 50.5)
    assert (clock.earliest(), clock.latest()) == (399.5, 400.0)
