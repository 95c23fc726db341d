"""The vigil alone: when silence is bridged, when a session is given up, and when neither."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from voiceagent.call.vigil import (
    Alive,
    Answered,
    Asked,
    Audio,
    Begun,
    Caller,
    Event,
    Finished,
    Flushed,
    Hold,
    ItemOpen,
    LinePlayed,
    LinkLost,
    NewSession,
    Notice,
    Order,
    PlayLine,
    Recover,
    StopLine,
    ToldToWait,
    Tool,
    Vigil,
    VigilConfig,
)

LINE_S = {"moment": 1.4, "patience": 4.6}


class Bench:
    """A vigil on a clock of its own; lines are played as a driver would."""

    def __init__(self, config: VigilConfig | None = None) -> None:
        self.vigil = Vigil(config)
        self.now = 100.0
        self.start = self.now
        self.orders: list[tuple[float, Order]] = []
        self.tell(NewSession())

    def tell(self, event: Event) -> None:
        self._take(self.vigil.handle(event, self.now))

    def _take(self, orders: list[Order]) -> None:
        for order in orders:
            self.orders.append((round(self.now - self.start, 2), order))
            if isinstance(order, PlayLine):
                self.tell(LinePlayed(LINE_S[order.name]))

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(200):
            due = self.vigil.wake_at()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self._take(self.vigil.wake(self.now))
        else:
            raise AssertionError("the vigil never rests")
        self.now = end

    def shape(self) -> list[tuple[float, str]]:
        names: list[tuple[float, str]] = []
        for at, order in self.orders:
            match order:
                case PlayLine():
                    names.append((at, order.name))
                case Recover():
                    names.append((at, order.reason))
                case Notice():
                    names.append((at, order.code))
                case StopLine():
                    names.append((at, "stop"))
        return names


def test_silence_is_bridged_twice_and_then_ends_the_session() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.wait(30)
    assert bench.shape() == [(1.2, "moment"), (4.0, "patience"), (4.0, "provider_suspect"), (10.0, "frozen")]


def test_a_provider_that_shows_life_is_slow_and_not_frozen() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    for _ in range(12):
        bench.wait(1)
        bench.tell(Alive())
    assert bench.shape() == [(1.2, "moment"), (4.0, "patience"), (10.0, "slow")]


def test_an_answer_in_time_is_not_talked_over() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.wait(1.1)
    bench.tell(Audio("resp", 400))
    bench.tell(Answered("r1"))
    bench.wait(30)
    assert bench.shape() == []


def test_a_line_gives_way_to_the_voice_and_comes_once() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.wait(1.5)
    bench.tell(Audio("resp", 400))
    bench.tell(Answered("r1"))
    bench.wait(10)
    assert bench.shape() == [(1.2, "moment"), (1.5, "stop")]


def test_silence_counts_from_the_end_of_what_is_heard() -> None:
    bench = Bench()
    bench.tell(Audio("resp", 5000))
    bench.tell(Asked("r2"))
    bench.wait(4.9)
    assert bench.shape() == []
    bench.wait(1.4)
    assert bench.shape() == [(5.0, "provider_suspect"), (6.2, "moment")]


def test_never_over_the_caller() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.wait(1.3)
    bench.tell(Caller(True))
    bench.wait(20)
    assert bench.shape() == [(1.2, "moment"), (1.3, "stop")]
    bench.tell(Caller(False))
    bench.wait(3.9)
    assert bench.shape()[2:] == [], "the moment was promised once already"
    bench.wait(0.2)
    assert bench.shape()[2:] == [(25.3, "patience"), (25.3, "provider_suspect")]


def test_a_held_call_waits_without_a_clock() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.tell(Hold(True))
    bench.wait(60)
    assert bench.shape() == []
    bench.tell(Hold(False))
    bench.wait(1.3)
    assert bench.shape() == [(61.2, "moment")]


def test_a_line_that_a_hold_has_stopped_is_still_stopped_for_the_voice() -> None:
    """What waits behind the rest of it would be late."""
    bench = Bench()
    bench.tell(LinePlayed(4.0))
    bench.wait(1.0)
    bench.tell(Hold(True))
    bench.wait(8.0)
    bench.tell(Hold(False))
    bench.wait(1.0)
    bench.tell(Audio("r1", 400.0, 0.0))
    assert [order for _, order in bench.orders] == [StopLine()]


def test_nothing_is_due_nothing_happens() -> None:
    bench = Bench()
    bench.wait(3600)
    assert bench.vigil.wake_at() is None
    bench.tell(Asked("r1"))
    bench.tell(Begun("resp"))
    bench.tell(Finished("resp"))
    bench.tell(Answered("r1"))
    bench.wait(3600)
    assert bench.shape() == []


def test_a_frozen_socket_behind_long_audio_is_given_up_when_that_was_heard() -> None:
    bench = Bench()
    bench.tell(Begun("resp"))
    bench.tell(Audio("resp", 20_000))
    bench.wait(40)
    assert (21.0, "frozen") in bench.shape()


def test_a_voice_that_runs_dry_in_mid_item_is_given_up_soon() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.tell(Begun("resp"))
    bench.tell(Audio("resp", 1000))
    bench.tell(ItemOpen(True))
    bench.tell(Answered("r1"))
    bench.wait(10)
    assert bench.shape() == [(2.8, "stalled")]


def test_audio_of_silence_is_no_voice() -> None:
    bench = Bench()
    bench.tell(Begun("resp"))
    for _ in range(11):
        bench.tell(Audio("resp", 200, quiet_ms=200))
    assert bench.shape() == [(0.0, "silent_audio")]


def test_short_silent_responses_add_up() -> None:
    bench = Bench()
    for number in range(3):
        bench.tell(Audio(f"resp{number}", 900, quiet_ms=900))
        bench.wait(2)
    assert bench.shape() == [(4.0, "silent_audio")]


def test_a_pause_in_a_voice_is_allowed() -> None:
    bench = Bench()
    bench.tell(Audio("resp", 600))
    bench.tell(Audio("resp", 3900, quiet_ms=3900))
    bench.tell(Audio("resp", 600, quiet_ms=100))
    assert bench.shape() == []
    bench.tell(Audio("resp", 4000, quiet_ms=4000))
    assert bench.shape() == [(0.0, "silent_audio")]


def test_a_rate_limit_is_told_at_once() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.wait(0.2)
    bench.tell(ToldToWait())
    bench.wait(0.1)
    assert bench.shape() == [(0.2, "moment")]


def test_a_slow_tool_is_bridged_and_never_blamed_on_the_provider() -> None:
    bench = Bench()
    bench.tell(Tool(True))
    bench.wait(60)
    assert bench.shape() == [(1.2, "moment"), (4.0, "patience")]
    bench.tell(Tool(False))
    assert not bench.vigil.waiting


def test_a_new_session_begins_with_patience() -> None:
    bench = Bench()
    bench.tell(Asked("r1"))
    bench.tell(LinkLost())
    bench.wait(30)
    assert bench.shape() == [], "whoever restores the session cares for the caller"
    bench.tell(NewSession())
    bench.wait(3)
    assert bench.shape() == [(31.2, "moment")]


def test_measures_can_be_turned_off() -> None:
    bench = Bench(
        VigilConfig(
            filler_s=0, patience_s=0, give_up_s=0, suspect_s=0, dead_s=0, dry_s=0, quiet_audio_s=0, pause_s=0
        )
    )
    bench.tell(Asked("r1"))
    bench.tell(Audio("resp", 9000, quiet_ms=9000))
    bench.tell(ItemOpen(True))
    bench.wait(100)
    assert bench.shape() == []


EVENTS = st.one_of(
    st.sampled_from(
        [
            Asked("a"),
            Asked("b"),
            Answered("a"),
            Answered("b"),
            ToldToWait(),
            Begun("x"),
            Begun("y"),
            Finished("x"),
            Finished("y"),
            Alive(),
            ItemOpen(True),
            ItemOpen(False),
            Flushed(),
            Caller(True),
            Caller(False),
            Hold(True),
            Hold(False),
            Tool(True),
            Tool(False),
            LinkLost(),
            NewSession(),
        ]
    ),
    st.builds(Audio, st.sampled_from("xy"), st.integers(1, 3000), st.just(0)),
    st.builds(lambda rid, ms: Audio(rid, ms, ms), st.sampled_from("xy"), st.integers(1, 900)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 6)), max_size=40))
def test_whatever_happens(steps: list[tuple[Event, float]]) -> None:
    """No line over the caller or a voice, none on hold; given up once per session; it rests at last."""
    bench = Bench()
    speaking = held = False
    given_up = 0
    for event, seconds in steps:
        match event:
            case Caller():
                speaking = event.speaking
            case Hold():
                held = event.on
            case NewSession():
                given_up = 0
            case _:
                pass
        before = len(bench.orders)
        bench.tell(event)
        bench.wait(seconds)
        for _, order in bench.orders[before:]:
            if isinstance(order, PlayLine):
                assert not speaking
                assert not held
            if isinstance(order, Recover):
                given_up += 1
        assert given_up <= 1


class LazyBench(Bench):
    """Looks for the next deadline only when the vigil says that it may be earlier, or has passed."""

    due: float | None = None

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(200):
            if self.vigil.nearer:
                due = self.vigil.wake_at()
                self.due = due if self.due is None or (due is not None and due < self.due) else self.due
            if self.due is None or self.due > end:
                break
            self.now = max(self.now, self.due)
            self.due = None
            self._take(self.vigil.wake(self.now))
            self.vigil.nearer = True
        else:
            raise AssertionError("the vigil never rests")
        self.now = end


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 6)), max_size=40))
@example([(Asked("a"), 5.0), (Alive(), 6.0)])
@example([(Asked("a"), 2.0), (Audio("x", 100), 6.0)])
def test_looking_only_when_it_says_so_misses_nothing(steps: list[tuple[Event, float]]) -> None:
    eager, lazy = Bench(), LazyBench()
    for event, seconds in steps:
        for bench in (eager, lazy):
            bench.tell(event)
            bench.wait(seconds)
        assert lazy.orders == eager.orders


def test_most_events_ask_for_no_look() -> None:
    vigil = Vigil()
    vigil.handle(Asked("r1"), 0.0)
    assert vigil.nearer
    assert vigil.wake_at() == 1.2
    assert not vigil.nearer
    for event in (Alive(), Audio("resp", 200), Answered("r1"), Alive(), Finished("resp")):
        vigil.handle(event, 0.5)
        assert not vigil.nearer
    vigil.handle(Begun("resp"), 1.0)
    assert vigil.nearer
