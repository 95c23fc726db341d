"""The parent of several workers, by events and times alone."""

from __future__ import annotations

from voiceagent.app.workforce import BACKOFF_MAX_S, AllReady, Order, Quit, Signal, Start, Workforce

SILENT_S = 20.0


def working(count: int = 2, silent_s: float = SILENT_S) -> Workforce:
    """All have started and take calls."""
    one = Workforce(count, silent_s)
    one.begin(0.0)
    for index in range(count):
        one.heard(index, 1.0, ready=True)
    return one


def lives(one: Workforce, until: float) -> None:
    """Every worker is heard of, all the time."""
    for index in range(2):
        one.heard(index, until)


def test_it_is_ready_once_when_all_are() -> None:
    one = Workforce(2, SILENT_S)
    assert one.begin(0.0) == [Start(0), Start(1)]
    assert one.heard(1, 1.0) == []
    assert one.heard(1, 2.0, ready=True) == []
    assert one.heard(0, 3.0, ready=True) == [AllReady()]
    assert one.heard(0, 3.0, ready=True) == []
    assert (one.running, one.ready) == (2, 2)


def test_the_dead_are_replaced_later_each_time_they_die_young() -> None:
    one, now, waits = working(silent_s=1000), 2.0, list[float]()
    for _ in range(9):
        assert one.ended(0, -9, now) == []
        lives(one, now)
        again = one.wake_at()
        assert again is not None
        waits.append(again - now)
        assert one.wake(again - 0.01) == []
        assert one.wake(again) == [Start(0)]
        now = again + 1
        lives(one, now)
    assert waits == [0.5, 1, 2, 4, 8, 16, *[BACKOFF_MAX_S] * 3]
    now += 100
    lives(one, now)
    one.ended(0, 1, now)
    assert one.wake_at() == now + 0.5, "it had lived long enough"


def test_one_that_was_drained_is_replaced_at_once() -> None:
    one = working()
    assert one.ended(1, 0, 50.0) == [Start(1)]


def test_the_first_signal_drains_all_the_second_is_told_on_and_the_last_to_go_ends_it() -> None:
    one = working()
    both: list[Order] = [Signal(0, "SIGTERM"), Signal(1, "SIGTERM")]
    assert one.stop() == both
    assert one.stop() == both
    assert one.ended(0, 0, 9.0) == []
    assert one.stop() == [Signal(1, "SIGTERM")]
    assert one.ended(1, 0, 10.0) == [Quit(0)]


def test_whoever_ends_badly_while_all_drain_is_not_replaced_and_not_forgotten() -> None:
    one = working()
    one.stop()
    assert one.ended(0, -9, 5.0) == []
    assert one.wake_at() == 1.0 + SILENT_S, "only the other is watched"
    assert one.ended(1, 0, 6.0) == [Quit(1)]


def test_one_that_our_signal_ends_before_it_can_heed_it_has_not_failed() -> None:
    one = Workforce(2, SILENT_S)
    one.begin(0.0)
    assert one.stop() == [Signal(0, "SIGTERM"), Signal(1, "SIGTERM")]
    assert one.ended(0, -15, 1.0) == []
    assert one.ended(1, 0, 1.0) == [Quit(0)]


def test_a_signal_while_the_only_one_waits_to_be_replaced_ends_it() -> None:
    one = working(1)
    one.ended(0, 1, 5.0)
    assert one.stop() == [Quit(0)]


def test_one_that_never_came_up_ends_the_whole_with_its_status() -> None:
    one = Workforce(2, SILENT_S)
    one.begin(0.0)
    one.heard(0, 1.0, ready=True)
    assert one.ended(1, 2, 1.5) == [Signal(0, "SIGTERM")]
    assert one.ended(0, 0, 2.0) == [Quit(2)]
    alone = Workforce(1, SILENT_S)
    alone.begin(0.0)
    assert alone.ended(0, -11, 1.0) == [Quit(1)]


def test_one_that_hangs_is_killed_and_replaced() -> None:
    one = working()
    one.heard(0, 10.0)
    assert one.wake_at() == 1.0 + SILENT_S
    assert one.wake(21.0) == [Signal(1, "SIGKILL")]
    assert one.wake(22.0) == []
    one.ended(1, -9, 22.0)
    assert one.wake(22.5) == [Start(1)]


def test_one_that_starts_slowly_is_let_be_the_first_time() -> None:
    one = Workforce(1, SILENT_S)
    one.begin(0.0)
    assert one.wake_at() is None
    assert one.wake(100.0) == []


def test_a_reload_goes_to_those_that_live() -> None:
    one = working()
    one.ended(0, 1, 5.0)
    assert one.reload() == [Signal(1, "SIGHUP")]


def test_a_reload_waits_for_one_that_is_being_started_which_the_signal_would_kill() -> None:
    one = Workforce(2, SILENT_S)
    one.begin(0.0)
    one.heard(0, 1.0, ready=True)
    assert one.reload() == [Signal(0, "SIGHUP")]
    assert one.reload() == [Signal(0, "SIGHUP")]
    assert one.heard(1, 2.0) == []
    assert one.heard(1, 3.0, ready=True) == [Signal(1, "SIGHUP"), AllReady()], "it may have read the old ones"
    assert one.heard(1, 4.0, ready=True) == []
    one.ended(1, 1, 5.0)
    one.wake(5.5)
    one.reload()
    one.ended(1, 1, 6.0)
    again = one.wake_at()
    assert again is not None
    assert one.wake(again) == [Start(1)]
    assert one.heard(1, again + 1, ready=True) == [], "whoever starts after it reads the new ones"
