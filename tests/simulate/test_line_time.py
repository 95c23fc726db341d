"""What is heard when, reckoned: starts, ends, cuts to the millisecond, holds."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from voiceagent.call.leg import Heard
from voiceagent.media.playout import Heard as PlayoutHeard
from voiceagent.media.playout import Playout
from voiceagent.media.playout import Started as PlayoutStarted
from voiceagent.simulate.line_time import LineTime, Started


def test_items_start_and_end_in_order() -> None:
    line = LineTime()
    line.write(8000, "r1", "a", 10.0)
    line.write(4000, "r1", "b", 10.2)
    assert line.wake_at() == 10.0
    assert line.wake(10.0) == [Started("r1", "a")]
    assert line.wake_at() == 11.0
    assert line.wake(11.0) == [Heard("r1", "a", 1000, False), Started("r1", "b")]
    assert line.wake_at() is None, "more of it may come"
    line.end("r1")
    assert line.wake(11.5) == [Heard("r1", "b", 500, False)]
    assert line.wake_at() is None


def test_a_cut_counts_to_the_millisecond() -> None:
    line = LineTime()
    line.write(8000, "r1", "a", 0.0)
    line.write(8000, "r1", "b", 0.0)
    line.wake(0.0)
    assert line.flush(0.3337) == [Heard("r1", "a", 333, True), Heard("r1", "b", 0, True)]
    line.write(800, "r1", "c", 0.4)
    assert line.wake_at() is None, "late audio of a cut response is dropped"
    line.write(800, "r2", "d", 0.4)
    assert line.wake(0.4) == [Started("r2", "d")]


def test_a_gap_in_the_audio_is_a_gap_on_the_line() -> None:
    line = LineTime()
    line.write(800, "r1", "a", 0.0)
    line.wake(0.0)
    line.write(800, "r1", "a", 5.0)
    assert line.flush(5.05)[0].heard_ms == 150


def test_a_held_line_plays_nothing_and_loses_nothing() -> None:
    line = LineTime()
    line.write(8000, "r1", "a", 0.0)
    line.end("r1")
    line.wake(0.0)
    line.hold(True, 0.25)
    assert line.wake_at() is None
    line.hold(True, 2.0)
    line.hold(False, 10.25)
    assert line.wake_at() == 11.0
    assert line.flush(10.5) == [Heard("r1", "a", 500, True)]


def test_what_was_heard_whole_is_not_cut() -> None:
    line = LineTime()
    line.write(800, "r1", "a", 0.0)
    line.end("r1")
    line.wake(0.0)
    assert line.flush(0.1) == [Heard("r1", "a", 100, False)]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2000)), max_size=12),
    st.integers(0, 60),
)
@example([(0, 1), (0, 1), (0, 1), (0, 1), (0, 1919), (0, 1918), (0, 2000), (0, 2000)], 50)
def test_it_agrees_with_the_playout_of_real_legs(writes: list[tuple[int, int]], frames: int) -> None:
    """Both are given the same audio at once; after whole frames they have played the same items as far."""
    line, playout = LineTime(), Playout()
    for item, size in writes:
        line.write(size, "r", f"i{item}", 0.0)
        playout.write(bytes(size), "r", f"i{item}")
    line.end("r")
    playout.end("r")
    facts = line.wake(frames * 0.02)
    started = {fact.item_id for fact in facts if isinstance(fact, Started)}
    ended = [fact for fact in facts if isinstance(fact, Heard)]
    for _ in range(frames):
        playout.take()
    began = {fact.item_id for fact in playout.facts if isinstance(fact, PlayoutStarted)}
    assert began <= started
    # An item ends a frame later there than here: what has ended counts on both sides.
    reckoned = sum(one.heard_ms for one in [*ended, *line.flush(frames * 0.02)])
    played = sum(one.heard_ms for one in [*_ended(playout), *playout.flush()])
    assert abs(reckoned - played) <= 20 + len(writes)


def _ended(playout: Playout) -> list[PlayoutHeard]:
    return [fact for fact in playout.facts if isinstance(fact, PlayoutHeard)]
