"""Conditions become alerts once, and go when they have been good for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.ids import counted_tokens
from voiceagent.observe.alerts import ACTIVE_MOST, KEPT, Alert, AlertConfig, AlertKind, Alerts

CONFIG = AlertConfig(latency_turns=4, calm_s=10.0)


def some_alerts(**changes: float) -> Alerts:
    return Alerts(replace(CONFIG, **changes), counted_tokens())  # type: ignore[arg-type]


def told(changes: list[Alert]) -> list[tuple[str, str]]:
    """Each change as (kind, raised or cleared)."""
    return [(one.kind.value, "raised" if one.cleared_at is None else "cleared") for one in changes]


def test_dead_air_is_told_once_and_cleared_after_calm() -> None:
    alerts = some_alerts()
    assert alerts.silence("c1", 4.9, 100.0) == []
    (raised,) = alerts.silence("c1", 5.0, 101.0)
    assert (raised.kind, raised.since, raised.call_id) == (AlertKind.DEAD_AIR, 101.0, "c1")
    assert alerts.silence("c1", 6.0, 102.0) == []
    assert alerts.silence("c1", 0.0, 103.0) == []
    assert alerts.tick(112.9) == []
    (cleared,) = alerts.tick(113.0)
    assert cleared == replace(raised, cleared_at=113.0)
    assert list(alerts) == [cleared]
    assert alerts.active(AlertKind.DEAD_AIR) == 0


def test_the_end_of_a_call_ends_its_dead_air_at_once() -> None:
    alerts = some_alerts()
    alerts.silence("c1", 9.0, 100.0)
    alerts.silence("c2", 9.0, 100.0)
    assert told(alerts.call_gone("c1", 101.0)) == [("dead_air", "cleared")]
    assert alerts.call_gone("c1", 102.0) == []
    assert alerts.active(AlertKind.DEAD_AIR) == 1


def test_a_flapping_trunk_makes_one_alert() -> None:
    alerts = some_alerts()
    changes: list[Alert] = []
    for second in range(600):
        now = 1000.0 + second
        changes += alerts.tick(now)
        changes += alerts.trunk("carrier", second % 8 < 4, "408", now)
    assert told(changes) == [("trunk_down", "raised")]
    assert changes[0].since - 1004.0 >= CONFIG.trunk_down_s
    for second in range(600, 620):
        changes += alerts.tick(1000.0 + second)
        changes += alerts.trunk("carrier", True, "", 1000.0 + second)
    assert told(changes) == [("trunk_down", "raised"), ("trunk_down", "cleared")]


def test_a_trunk_that_is_down_for_a_moment_is_not_told() -> None:
    alerts = some_alerts()
    for second in range(29):
        assert alerts.trunk("carrier", False, "", 1000.0 + second) == []
    for second in range(29, 60):
        assert alerts.trunk("carrier", True, "", 1000.0 + second) == []
    assert alerts.trunk("carrier", False, "", 1060.0) == []  # counts from the start again
    assert list(alerts) == []


def test_latency_needs_a_full_window_and_falls_well_below() -> None:
    alerts = some_alerts(latency_p95_ms=1000.0)
    for n in range(3):
        assert alerts.turn(2.0, 100.0 + n) == []
    (raised,) = alerts.turn(0.2, 103.0)
    assert "2000 ms" in raised.text
    for n in range(4):
        assert alerts.turn(0.95, 104.0 + n) == []  # neither good nor bad
    assert alerts.tick(300.0) == []
    for n in range(4):
        assert alerts.turn(0.5, 301.0 + n) == []
    assert alerts.tick(313.9) == []
    assert told(alerts.tick(314.0)) == [("latency", "cleared")]


def test_old_turns_say_nothing() -> None:
    alerts = some_alerts(latency_p95_ms=1000.0)
    for n in range(4):
        alerts.turn(2.0, 100.0 + n)
    assert alerts.tick(1001.0) == []
    assert told(alerts.tick(1011.0)) == [("latency", "cleared")]


def test_provider_errors_within_a_minute() -> None:
    alerts = some_alerts(provider_errors_per_min=4)
    for n in range(3):
        assert alerts.provider_error("server_error", 100.0 + 20 * n) == []
    assert alerts.provider_error("server_error", 161.0) == []  # the first one is too long ago
    (raised,) = alerts.provider_error("link_lost", 162.0)
    assert raised.text == "4 provider errors in a minute, the last: link_lost."
    assert alerts.tick(181.0) == []  # three: still too many
    assert alerts.tick(200.0) == []  # two: good from now on
    assert alerts.tick(209.0) == []
    assert told(alerts.tick(210.0)) == [("provider_errors", "cleared")]


def test_capacity() -> None:
    alerts = some_alerts(capacity_percent=80.0)
    assert alerts.room(79, 100, False, 100.0) == []
    assert told(alerts.room(80, 100, False, 101.0)) == [("capacity", "raised")]
    assert alerts.room(75, 100, False, 102.0) == []
    assert alerts.tick(200.0) == []  # neither
    assert alerts.room(70, 100, False, 201.0) == []
    assert alerts.room(75, 100, False, 205.0) == []
    assert alerts.room(70, 100, False, 206.0) == []
    assert alerts.tick(215.0) == []
    assert told(alerts.tick(216.0)) == [("capacity", "cleared")]
    assert "lags" in alerts.room(1, 100, True, 217.0)[0].text


def test_nothing_is_told_that_is_turned_off() -> None:
    alerts = some_alerts(
        dead_air_s=0.0,
        latency_p95_ms=0.0,
        provider_errors_per_min=0,
        capacity_percent=0.0,
        trunk_down_s=0.0,
    )
    changes = (
        alerts.silence("c1", 99.0, 1.0) + alerts.room(9, 9, True, 1.0) + alerts.trunk("t", False, "", 1.0)
    )
    for n in range(50):
        changes += alerts.turn(99.0, 2.0) + alerts.provider_error("x", 2.0) + alerts.tick(3.0 + n)
    assert changes == []


def test_memory_is_bounded_and_what_lasts_is_kept() -> None:
    alerts = some_alerts()
    alerts.trunk("carrier", False, "", 0.0)
    (lasting,) = alerts.trunk("carrier", False, "", 30.0)
    for n in range(1000):
        alerts.silence(f"c{n}", 9.0, 100.0 + n)
        alerts.call_gone(f"c{n}", 100.5 + n)
    everything = list(alerts)
    assert len(everything) == KEPT
    assert lasting in everything
    assert everything[0].call_id == "c999"
    for n in range(2 * ACTIVE_MOST):
        alerts.silence(f"d{n}", 9.0, 2000.0)
    assert alerts.active(AlertKind.DEAD_AIR) == ACTIVE_MOST


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["silence", "trunk", "turn", "error", "room", "gone", "tick"]),
        st.floats(0.0, 40.0),
        st.booleans(),
    ),
    max_size=150,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_each_alert_is_raised_once_and_cleared_at_most_once(steps: list[tuple[str, float, bool]]) -> None:
    alerts, now = some_alerts(provider_errors_per_min=2), 1000.0
    lasting: dict[str, Alert] = {}
    for what, by, flag in steps:
        now += by
        match what:
            case "silence":
                changes = alerts.silence("c1", 9.0 if flag else 0.0, now)
            case "trunk":
                changes = alerts.trunk("t", flag, "", now)
            case "turn":
                changes = alerts.turn(9.0 if flag else 0.1, now)
            case "error":
                changes = alerts.provider_error("x", now)
            case "room":
                changes = alerts.room(9 if flag else 0, 9, False, now)
            case "gone":
                changes = alerts.call_gone("c1", now)
            case _:
                changes = alerts.tick(now)
        for change in changes:
            if change.cleared_at is None:
                assert change.id not in lasting
                assert change.kind not in {one.kind for one in lasting.values()}  # one subject each here
                lasting[change.id] = change
            else:
                assert lasting.pop(change.id).since == change.since <= change.cleared_at
    assert {one.id for one in alerts if one.cleared_at is None} == set(lasting)


@pytest.mark.parametrize("kind", list(AlertKind))
def test_plain(kind: AlertKind) -> None:
    alert = Alert("alert_1", kind, 1.23456, "c1", "…", None)
    assert alert.plain() == {
        "id": "alert_1",
        "kind": kind.value,
        "since": 1.235,
        "call_id": "c1",
        "text": "…",
        "cleared_at": None,
    }


def test_a_disk_that_takes_nothing_is_told_until_it_does() -> None:
    alerts = Alerts(AlertConfig(calm_s=10.0), counted_tokens("t"))
    [raised] = alerts.disk("journals", "OSError: No space left on device", 100.0)
    assert raised.kind is AlertKind.DISK
    assert raised.text == (
        "The disk does not take the journals: OSError: No space left on device. Calls go on."
    )
    assert list(alerts.disk("journals", "OSError: No space left on device", 101.0)) == []
    assert list(alerts.disk("journals", "", 102.0)) == []
    [cleared] = alerts.tick(120.0)
    assert cleared.cleared_at is not None
