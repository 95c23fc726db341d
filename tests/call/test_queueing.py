"""The pure core of queues: order, turns, rounds, and what every history has in common."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.call.queueing import QueueBook, QueueConfig, QueueView

ANN, BEN = "sip:ann@example.com", "sip:ben@example.com"
SALES = QueueConfig((ANN, BEN), max_waiting=3, retry_s=10.0)


def book(**queues: QueueConfig) -> QueueBook:
    return QueueBook(queues or {"sales": SALES})


def test_only_the_first_in_line_is_offered_to_one_target_after_the_other() -> None:
    one = book()
    one.enter("sales", "a", 0.0)
    one.enter("sales", "b", 1.0)
    assert one.view("a") == QueueView(1, 2, ANN, 1)
    assert one.view("b") == QueueView(2, 2)
    one.tried("a", 2.0)
    assert one.view("a") == QueueView(1, 2, BEN, 2)
    one.tried("a", 3.0)
    assert one.view("a") == QueueView(1, 2, None, 2)
    assert one.wake_at() == 13.0
    one.wake(12.9)
    assert one.view("a").target is None
    one.wake(13.0)
    assert one.view("a") == QueueView(1, 2, ANN, 3)
    one.leave("a", 14.0)
    assert one.view("b") == QueueView(1, 1, ANN, 1)
    assert one.waiting("sales") == 1


def test_nobody_is_tried_for_two_callers_at_once_whatever_queue_they_wait_in() -> None:
    one = book(sales=QueueConfig((ANN,)), service=QueueConfig((ANN, BEN)))
    one.enter("sales", "a", 0.0)
    one.enter("service", "b", 0.0)
    assert one.view("a").target == ANN
    assert one.view("b").target == BEN
    one.tried("b", 1.0)
    assert one.view("b").target is None, "Ann is being tried for somebody else"
    assert one.wake_at() is None
    one.leave("a", 5.0)
    assert one.view("b").target == ANN, "as soon as Ann is free"


def test_a_full_queue_and_a_closed_one_say_so() -> None:
    one = book()
    for ticket in "abcd":
        one.enter("sales", ticket, 0.0)
    assert one.view("d") == QueueView(0, 0, refused="full")
    one.leave("d", 0.0)
    one.close(1.0)
    assert one.view("a").refused == "closed"
    one.enter("sales", "e", 2.0)
    assert one.view("e") == QueueView(0, 0, refused="closed")
    assert one.wake_at() is None
    one.leave("c", 3.0)
    one.leave("e", 3.0)
    one.open(4.0)
    one.enter("sales", "e", 5.0)
    assert one.view("e") == QueueView(3, 3)
    assert one.view("a").target is not None, "and the first in line is tried for again"


def test_who_is_not_in_it_disturbs_nobody() -> None:
    one = book()
    one.leave("ghost", 0.0)
    one.tried("ghost", 0.0)
    one.enter("sales", "a", 0.0)
    one.enter("sales", "a", 1.0)
    assert one.waiting("sales") == 1
    assert one.config("support") is None
    assert one.waiting("support") == 0


class World:
    """Plays a history against a plain model: lists of who waits where, in order."""

    def __init__(self) -> None:
        self.configs: Mapping[str, QueueConfig] = {
            "sales": QueueConfig((ANN, BEN), max_waiting=4, retry_s=5.0),
            "service": QueueConfig((BEN,), max_waiting=4, retry_s=3.0),
        }
        self.book = QueueBook(self.configs)
        self.lines: dict[str, list[str]] = {"sales": [], "service": []}

    def check(self) -> None:
        tried: list[str] = []
        for name, line in self.lines.items():
            assert self.book.waiting(name) == len(line)
            for place, ticket in enumerate(line, 1):
                view = self.book.view(ticket)
                assert (view.position, view.waiting) == (place, len(line)), "first come, first served"
                if view.target is not None:
                    assert place == 1, "only the first in line"
                    assert view.target in self.configs[name].targets
                    tried.append(view.target)
        assert len(set(tried)) == len(tried), "nobody is tried for two"


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "leave", "tried", "wake"]),
            st.sampled_from(["sales", "service"]),
            st.integers(0, 7),
            st.floats(0, 4),
        ),
        max_size=60,
    )
)
def test_every_history_keeps_the_order_and_never_forgets_the_first(
    history: list[tuple[str, str, int, float]],
) -> None:
    world, now = World(), 0.0
    for what, queue, who, wait in history:
        now += wait
        ticket = f"{queue}-{who}"
        line = world.lines[queue]
        match what:
            case "enter" if ticket not in line:
                world.book.enter(queue, ticket, now)
                if len(line) < 4:
                    line.append(ticket)
                else:
                    assert world.book.view(ticket).refused == "full"
                    world.book.leave(ticket, now)
            case "leave":
                world.book.leave(ticket, now)
                if ticket in line:
                    line.remove(ticket)
            case "tried":
                world.book.tried(ticket, now)
            case _:
                world.book.wake(now)
        world.check()
    for line in world.lines.values():
        # Whoever is first is being tried for, waits for a time to come, or for a target that is taken.
        if line and world.book.view(line[0]).target is None:
            others = [one[0] for one in world.lines.values() if one and one is not line]
            taken = any(world.book.view(other).target for other in others)
            assert taken or world.book.wake_at() is not None
