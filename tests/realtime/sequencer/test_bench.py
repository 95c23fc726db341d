"""The synthetic traffic keeps its promises, and the bench says what it measured."""

from __future__ import annotations

import pytest

from voiceagent.bench.sequencer import percentile, run_sequencer_bench
from voiceagent.bench.traffic import SyntheticCall, simulate


@pytest.mark.parametrize("auto_create", [True, False])
def test_nothing_vanishes_and_nothing_collides(auto_create: bool) -> None:
    tally = simulate(6, 300.0, 7, auto_create=auto_create)
    assert tally.requests > 200
    assert tally.vanished == 0
    assert tally.collisions == 0
    assert tally.heard_twice == 0
    assert tally.starts_over_speech <= tally.requests * 0.04


def test_swallowed_creates_are_recovered() -> None:
    tally = SyntheticCall(3, 300.0, swallow=0.2).run()
    assert tally.swallowed > 3
    assert tally.vanished == 0
    assert tally.heard_twice == 0


def test_the_same_seed_is_the_same_traffic() -> None:
    assert simulate(2, 60.0, 5) == simulate(2, 60.0, 5)


def test_bench_has_stable_keys() -> None:
    figures = run_sequencer_bench(0.05, seed=2)
    assert figures["decisions_per_second"] > 0
    assert {
        "requests",
        "vanished",
        "collisions",
        "starts_over_speech",
        "request_to_speech_s",
        "refusals",
    } <= set(figures["simulation"])
    assert set(figures["simulation"]["request_to_speech_s"]) == {"p50", "p95"}
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
