"""The soak bench counts what it says: a slope, what may be left, and one short real run."""

import pytest

from voiceagent.bench.soak import run_soak_bench
from voiceagent.bench.soak_figures import goals, invalid_because, memory_of, thinned
from voiceagent.bench.stats import slope
from voiceagent.bench.usage import Used

HERE = Used(cpu_s=1.0, resident_kb=100_000.0, at=0.0, machine_s=0.0)


def figures(**changes: object) -> dict:
    usual = {
        "calls": 8640,
        "rate": 30.0,
        "reached_rate": 30.0,
        "settle_s": 40.0,
        "failed": 0,
        "load_core_percent": 20.0,
        "others_core_percent": 1.0,
        "more": {"tasks": 0, "descriptors": 0, "threads": 0},
        "memory": {"kb_per_call": 0.2, "excluded_calls": 2160},
        "left": {"transactions": 0, "legs": 0},
    }
    return {**usual, **changes}


def test_a_slope_is_that_of_the_line_that_fits_best() -> None:
    assert slope([(0, 5), (10, 25), (20, 45)]) == pytest.approx(2.0)
    assert slope([(0, 0), (1, 3), (2, 0), (3, 3)]) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="different x"):
        slope([(1, 1), (1, 2)])


def test_the_first_part_does_not_count_for_the_slope() -> None:
    climbing = [(float(calls), 50.0 * calls) for calls in range(0, 2160, 15)]
    level = [(float(calls), 108_000.0 + 0.5 * (calls - 2160)) for calls in range(2160, 8640, 15)]
    memory = memory_of([*climbing, *level], 8640, 30.0, [700, 1400])
    assert (memory["kb_per_call"], memory["excluded_calls"]) == (0.5, 2160)
    assert memory["samples"][-1] == [8625, round(level[-1][1])]


def test_a_run_that_is_over_before_all_limits_are_reached_has_no_slope() -> None:
    memory = memory_of([(float(calls), 50.0 * calls) for calls in range(900)], 900, 30.0, [100, 200])
    assert memory["kb_per_call"] is None
    assert memory["excluded_calls"] == 1500


def test_what_waits_for_the_collector_counts_in_full() -> None:
    climbing = [(float(calls), 50.0 * calls) for calls in range(3000)]
    level = [(float(calls), 150_000.0) for calls in range(3000, 4000)]
    memory = memory_of([*climbing, *level], 4000, 30.0, [1500, 3000])
    assert (memory["excluded_calls"], memory["full_collections_at"]) == (1500, [1500, 3000])
    assert memory["kb_per_call"] > 30


def test_samples_are_thinned_evenly_and_the_last_one_stays() -> None:
    kept = thinned([(float(one), 0.0) for one in range(1001)], 10)
    assert [x for x, _ in kept] == [*range(0, 1000, 100), 1000]


def test_a_quiet_settled_run_is_valid_and_keeps_its_goals() -> None:
    assert invalid_because(figures(), HERE) == []
    assert all(goal["kept"] for goal in goals(figures()).values())


@pytest.mark.parametrize(
    ("changes", "goal"),
    [
        ({"failed": 1}, "failed"),
        ({"more": {"tasks": 5, "descriptors": 8, "threads": 9}}, "tasks"),
        ({"more": {"tasks": 4, "descriptors": 9, "threads": 9}}, "descriptors"),
        ({"memory": {"kb_per_call": 1.01, "excluded_calls": 1}}, "memory_kb_per_call"),
        ({"left": {"transactions": 0, "rtp_ports": 1}}, "left"),
    ],
)
def test_each_goal_can_be_missed(changes: dict, goal: str) -> None:
    assert [name for name, one in goals(figures(**changes)).items() if one["kept"] is False] == [goal]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"others_core_percent": 40.0}, "others on this machine"),
        ({"load_core_percent": 95.0}, "the load process used"),
        ({"reached_rate": 20.0}, "20 calls a second"),
        ({"memory": {"kb_per_call": None, "excluded_calls": 960}}, "no slope"),
        ({"settle_s": 10.0}, "settled for less"),
    ],
)
def test_a_run_says_why_it_is_not_valid(changes: dict, reason: str) -> None:
    (told,) = invalid_because(figures(**changes), HERE)
    assert reason in told


def test_what_is_left_is_not_judged_before_transactions_can_be_over() -> None:
    unsettled = figures(settle_s=0.0, left={"transactions": 120, "legs": 0})
    assert goals(unsettled)["left"] == {"most": 0.0, "measured": None, "kept": None}


@pytest.mark.loopback
def test_a_short_run_loses_no_call_and_leaves_only_transactions() -> None:
    told: list[str] = []
    seen = run_soak_bench(calls=20, rate=10.0, settle=0.0, hold_s=0.1, shed=False, say=told.append)
    assert (seen["failed"], seen["answered"], seen["heard"]) == (0, 20, 20)
    assert seen["ended_by_service"] == 10
    assert seen["database_calls"] == seen["journals"] == 20
    left = {name: count for name, count in seen["left"].items() if name not in ("transactions", "timers")}
    assert set(left.values()) == {0}, left
    assert seen["more"]["tasks"] <= 4
    assert seen["more"]["descriptors"] <= 8
    assert not seen["valid"], "twenty calls say nothing of memory"
