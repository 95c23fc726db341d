"""The overload guard: new calls are turned away while the loop lags, and taken again after calm."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

from voiceagent.call.admission import Admission
from voiceagent.call.config import AdmissionConfig
from voiceagent.call.overload import Overload, OverloadConfig, spread

SAMPLE = 0.05


def changes(guard: Overload, lags: list[float], start: float = 100.0) -> Iterator[tuple[float, bool]]:
    """Feed one sample per period (plus its lag); yield the seconds since the start of each change."""
    now = start
    for lag in lags:
        now += SAMPLE + lag
        if guard.lagged(lag, now):
            yield round(now - start, 2), guard.shedding


STRICT = OverloadConfig(lag_s=0.020)


def test_a_node_that_is_merely_busy_takes_calls() -> None:
    assert list(changes(Overload(OverloadConfig()), [0.004, 0.037, 0.089, 0.1] * 200)) == []
    assert [on for _, on in changes(Overload(OverloadConfig()), [0.11] * 20)] == [True]


def test_a_second_of_lag_sheds_and_ten_seconds_of_calm_end_it() -> None:
    guard = Overload(STRICT)
    lags = [0.001] * 20 + [0.025] * 30 + [0.002] * 260
    # 20 calm samples end at 1.02 s; the first late one covers the time from 1.07 s on.
    assert list(changes(guard, lags)) == [(2.07, True), (13.36, False)]


@pytest.mark.parametrize("lag", [0.019, 0.020])
def test_up_to_the_limit_nothing_is_shed(lag: float) -> None:
    assert list(changes(Overload(STRICT), [lag] * 400)) == []


def test_one_sample_in_time_begins_the_second_anew() -> None:
    assert list(changes(Overload(STRICT), ([0.03] * 11 + [0.0]) * 30)) == []


def test_one_long_pause_is_no_overload() -> None:
    assert list(changes(Overload(STRICT), [0.0, 3.0, 0.0, 2.0, 0.0])) == []
    assert [on for _, on in changes(Overload(STRICT), [0.3] * 5)] == [True]


def test_half_the_lag_is_not_yet_calm() -> None:
    guard = Overload(STRICT)
    assert [on for _, on in changes(guard, [0.1] * 20 + [0.011] * 1000)] == [True]
    assert [on for _, on in changes(guard, [0.010] * 300, start=1000.0)] == [False]


@pytest.mark.parametrize("seed", range(20))
def test_it_never_flaps_faster_than_once_in_ten_seconds(seed: int) -> None:
    dice = random.Random(seed)
    lags = [dice.choice((0.0, 0.005, 0.03, 0.2)) for _ in range(20)]
    lags = [lag for lag in lags for _ in range(dice.choice((1, 20, 150, 300)))] * 4
    seen = list(changes(Overload(STRICT), lags))
    begun = [at for at, on in seen if on]
    assert all(later - earlier >= 10.0 for earlier, later in itertools.pairwise(begun))


def test_it_can_be_turned_off() -> None:
    assert list(changes(Overload(OverloadConfig(lag_s=0)), [5.0] * 100)) == []


def test_only_new_calls_are_refused() -> None:
    admission = Admission(AdmissionConfig(max_calls=3), dice=random.Random(1).randrange)
    assert admission.enter() is None
    admission.overload.shedding = True
    refusal = admission.enter()
    assert refusal is not None
    assert (refusal.status, refusal.code, admission.live) == (503, "overload", 1)
    admission.overload.shedding = False
    assert admission.enter() is None


def test_retry_after_is_spread_from_half_to_one_and_a_half() -> None:
    dice = random.Random(2).randrange
    assert {spread(10, dice) for _ in range(500)} == set(range(5, 16))
    assert {spread(1, dice) for _ in range(50)} <= {1, 2}
