"""When the caller's frames came, as the journal has it."""

from __future__ import annotations

import sys

from voiceagent.call.caller_marks import CallerMarks


def marks(*arrivals: tuple[float, int, int]) -> CallerMarks:
    found = CallerMarks()
    for now, frames, turn in arrivals:
        found.add(now, frames, turn)
    return found


def test_the_gaps_are_told_from_one_to_the_next() -> None:
    told = marks((5.0, 1, 0), (5.02, 1, 0), (5.0401234, 1, 0), (5.5, 1, 0)).gaps()
    assert told == [0, 20, 20.123, 459.877]
    assert [type(gap) for gap in told] == [int, int, float, float]


def test_more_frames_and_a_turn_are_told_where_they_were() -> None:
    arrivals = marks((5.0, 3, 0), (5.02, 1, 7), (5.04, 2, 9), (5.06, 1, 0))
    assert arrivals.gaps() == [[0, 3], [20, 1, 7], [20, 2, 9], 20]


def test_two_seconds_of_frames_take_a_kilobyte() -> None:
    arrivals = marks(*[(5.0 + frame * 0.02, 1, 0) for frame in range(100)])
    assert sys.getsizeof(arrivals.times) < 1024
