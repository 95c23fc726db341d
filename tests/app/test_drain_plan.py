"""How a node drains, by events and times alone."""

from __future__ import annotations

import itertools

from voiceagent.app.drain_plan import DrainPlan, Phase, Step

LIMIT, GOODBYE = 600.0, 30.0


def plan() -> DrainPlan:
    return DrainPlan(LIMIT, GOODBYE)


def test_calls_end_by_themselves() -> None:
    one = plan()
    assert one.begin(10, 2) == (Step.CLOSE_DOORS,)
    assert (one.phase, one.wake_at) == (Phase.DRAINING, 610)
    assert one.calls_left(1) == ()
    assert one.calls_left(0) == (Step.LEAVE,)
    assert (one.phase, one.wake_at, one.outlasted) == (Phase.DRAINED, None, False)


def test_an_empty_node_leaves_at_once() -> None:
    assert plan().begin(0, 0) == (Step.CLOSE_DOORS, Step.LEAVE)


def test_at_the_limit_the_rest_is_said_goodbye_to() -> None:
    one = plan()
    one.begin(0, 1)
    assert one.wake(599.9, 1) == ()
    assert one.wake(600, 1) == (Step.SAY_GOODBYE,)
    assert (one.phase, one.wake_at) == (Phase.GOODBYE, 630)
    assert one.calls_left(0) == (Step.LEAVE,)
    assert one.outlasted


def test_goodbyes_that_do_not_end_are_not_waited_for() -> None:
    one = plan()
    one.begin(0, 1)
    one.wake(600, 1)
    assert one.wake(630, 1) == (Step.LEAVE,)


def test_a_second_signal_waits_for_nobody() -> None:
    for wakes in (0, 1):
        one = plan()
        one.begin(0, 1)
        for _ in range(wakes):
            one.wake(600, 1)
        assert one.hurry() == (Step.LEAVE,)
        assert one.hurry() == ()
    assert plan().hurry() == (), "nobody asked it to go"


def test_another_wish_changes_the_limit_and_nothing_else() -> None:
    one = plan()
    one.begin(0, 1)
    assert one.begin(100, 1, 200) == ()
    assert one.wake_at == 200
    assert one.begin(120, 1) == ()
    assert one.wake_at == 200, "a signal, which names no limit, takes an operator's for granted"
    assert one.begin(150, 1, 50) == (Step.SAY_GOODBYE,), "that long is over"
    assert one.begin(151, 1) == (), "the goodbyes are not taken back"
    assert one.wake_at == 150 + GOODBYE


def test_it_is_taken_back_until_the_goodbyes_begin() -> None:
    one = plan()
    assert one.resume() == ()
    one.begin(0, 1)
    assert one.resume() == (Step.OPEN_DOORS,)
    assert (one.phase, one.wake_at) == (Phase.SERVING, None)
    assert one.calls_left(0) == (), "a node that serves does not leave with its last call"
    assert one.wake(600, 1) == ()
    assert one.begin(700, 1) == (Step.CLOSE_DOORS,)
    assert one.wake(1300, 1) == (Step.SAY_GOODBYE,)
    assert one.resume() == ()


def test_whatever_the_order_it_leaves_once_and_never_before_the_doors_are_closed() -> None:
    deeds = ("begin", "resume", "call ended", "limit", "second signal")
    for order in itertools.product(deeds, repeat=6):
        one, now, calls, said = plan(), 0.0, 2, list[Step]()
        for deed in order:
            now += 1
            if deed == "begin":
                said += one.begin(now, calls)
            elif deed == "resume":
                said += one.resume()
            elif deed == "call ended" and calls:
                calls -= 1
                said += one.calls_left(calls)
            elif deed == "limit" and one.wake_at is not None:
                now = one.wake_at
                said += one.wake(now, calls)
            elif deed == "second signal":
                said += one.hurry()
        closed = said.count(Step.CLOSE_DOORS) - said.count(Step.OPEN_DOORS)
        assert closed == (one.phase is not Phase.SERVING), order
        assert said.count(Step.LEAVE) == (one.phase is Phase.DRAINED), order
        assert Step.LEAVE not in said or said[-1] is Step.LEAVE, order
        assert said.count(Step.SAY_GOODBYE) <= 1, order
        if one.phase is Phase.DRAINING:
            assert calls, (order, "an idle node has left")
