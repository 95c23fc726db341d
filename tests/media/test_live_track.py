"""Frames for listeners: each names its track and its place, and no place comes twice."""

from __future__ import annotations

import pytest

from voiceagent.media.g711 import ULAW_SILENCE, ulaw_to_alaw
from voiceagent.media.live_track import AGENT, CALLER, FRAME_SIZE, LiveTrack, split

TONE = bytes(range(0x10, 0x10 + 160))


def places(track: LiveTrack, *times: float) -> list[int]:
    return [split(frame)[1] for now in times for frame in track.frames(TONE, "ulaw", now)]


def test_a_frame_names_track_place_and_sound() -> None:
    [frame] = LiveTrack(AGENT, 10.0).frames(TONE, "ulaw", 10.02)
    assert len(frame) == FRAME_SIZE
    assert split(frame) == (AGENT, 0, TONE)
    assert frame[:5] == b"\x01\x00\x00\x00\x00"


def test_places_go_on_although_timers_jitter() -> None:
    assert places(LiveTrack(CALLER, 0.0), 0.02, 0.055, 0.05, 0.08) == [0, 160, 320, 480]


def test_silence_that_was_left_out_is_a_gap() -> None:
    assert places(LiveTrack(CALLER, 0.0), 0.02, 1.02, 1.04) == [0, 8000, 8160]


def test_what_comes_at_once_keeps_its_order_and_no_place_comes_twice() -> None:
    track = LiveTrack(CALLER, 0.0)
    first = [split(one)[1] for one in track.frames(TONE * 3, "ulaw", 0.02)]
    assert first == [0, 160, 320]
    assert places(track, 0.04, 0.06) == [480, 640]


def test_alaw_becomes_ulaw_and_what_is_muted_is_silence_with_its_place() -> None:
    track = LiveTrack(CALLER, 0.0)
    [heard] = track.frames(ulaw_to_alaw(bytes((0x20,)) * 160), "alaw", 0.02)
    assert set(split(heard)[2]) == {0x20}
    [muted] = track.frames(TONE, "alaw", 0.04, muted=True)
    assert split(muted)[1:] == (160, bytes((ULAW_SILENCE,)) * 160)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="165"):
        split(b"\x00" * 164)
