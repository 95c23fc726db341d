"""Two sides on one time line: whatever the frames' timing, time stays true."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.media.tracks import AHEAD, PATIENCE, PIECE, RATE, SLACK, Tracks

SILENCE = 0xFF
FRAME = 160


def whole(tracks: Tracks, now: float) -> tuple[bytes, bytes]:
    pieces = list(tracks.finish(now))
    return b"".join(one for one, _ in pieces), b"".join(two for _, two in pieces)


def test_frames_in_time_stand_one_after_the_other() -> None:
    tracks = Tracks(SILENCE, 10.0)
    for index in range(50):
        now = 10.0 + (index + 1) * 0.02
        tracks.caller(bytes((index,)) * FRAME, now)
        tracks.agent(bytes((index + 100,)) * FRAME, now + 0.004)
    caller, agent = whole(tracks, 11.0)
    assert caller == b"".join(bytes((index,)) * FRAME for index in range(50))
    assert agent == b"".join(bytes((index + 100,)) * FRAME for index in range(50))
    assert tracks.seconds == 1.0


def test_jitter_moves_nothing_and_a_gap_is_silence() -> None:
    tracks = Tracks(SILENCE, 0.0)
    for index, late in enumerate((0.0, 0.05, 0.03, 0.0)):
        tracks.caller(b"a" * FRAME, (index + 1) * 0.02 + late)
    tracks.caller(b"b" * FRAME, 1.0)
    caller, agent = whole(tracks, 1.0)
    assert caller == b"a" * 4 * FRAME + bytes((SILENCE,)) * (RATE - 5 * FRAME) + b"b" * FRAME
    assert agent == bytes((SILENCE,)) * RATE


def test_a_side_that_runs_ahead_comes_back_in_its_silence() -> None:
    tracks = Tracks(SILENCE, 0.0)
    for _ in range(30):
        tracks.agent(b"a" * FRAME, 0.02)
    assert tracks.left_out == 30 * FRAME - (AHEAD // FRAME + 1) * FRAME
    before = tracks.left_out
    tracks.agent(bytes((SILENCE,)) * FRAME, 0.04)
    assert tracks.left_out == before + FRAME
    _, agent = whole(tracks, 1.0)
    assert len(agent) == RATE


def test_what_is_not_settled_yet_is_waited_for() -> None:
    tracks = Tracks(SILENCE, 0.0)
    tracks.caller(b"a" * FRAME, 0.02)
    assert list(tracks.take(0.1)) == []
    [(caller, agent)] = tracks.take(0.02 + PATIENCE / RATE)
    assert (caller, agent) == (b"a" * FRAME, bytes((SILENCE,)) * FRAME)


def test_hours_of_nothing_come_in_pieces() -> None:
    sizes = [len(caller) for caller, _ in Tracks(SILENCE, 0.0).finish(3600.0)]
    assert sizes == [PIECE] * (3600 * RATE // PIECE)


@settings(max_examples=60)
@given(
    events=st.lists(
        st.tuples(st.floats(0, 0.5), st.sampled_from(("caller", "agent", "take")), st.integers(1, 4)),
        max_size=80,
    )
)
def test_both_sides_are_always_as_long_as_the_time(events: list[tuple[float, str, int]]) -> None:
    tracks, now = Tracks(SILENCE, 0.0), 0.0
    caller = agent = 0
    for wait, what, frames in events:
        now += wait
        if what == "take":
            pieces = list(tracks.take(now))
            assert all(len(one) == len(two) <= PIECE for one, two in pieces)
            caller += sum(len(one) for one, _ in pieces)
            assert caller <= max(0, round(now * RATE) - PATIENCE) or not pieces
        elif what == "caller":
            tracks.caller(b"c" * FRAME * frames, now)
        else:
            tracks.agent(b"a" * FRAME * frames, now)
    rest = list(tracks.finish(now))
    total = caller + sum(len(one) for one, _ in rest)
    agent = caller + sum(len(two) for _, two in rest)
    assert total == agent == round(now * RATE)
    assert abs(tracks.seconds - now) < 1 / RATE
    assert SLACK < AHEAD
