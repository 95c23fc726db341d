"""The dead-air meter against a plain frame-by-frame count."""

from __future__ import annotations

import math
import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.call.dead_air import BLINK_S, FRAME_S, DeadAir, is_sound, runs_of_sound
from voiceagent.media.g711 import ALAW_TO_LINEAR, ULAW_TO_LINEAR, encode
from voiceagent.realtime.wire import MAX_FRAME_BYTES


def tone(db: float, seconds: float = 0.02) -> bytes:
    peak = 32768 * 10 ** (db / 20) * math.sqrt(2)
    count = int(8000 * seconds)
    samples = [round(peak * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(count)]
    return encode(struct.pack(f"<{count}h", *samples))


@pytest.mark.parametrize(("db", "sound"), [(-20, True), (-45, True), (-56, False), (-70, False)])
def test_energy_decides(db: float, sound: bool) -> None:
    assert is_sound(tone(db), "audio/pcmu") is sound


def test_digital_silence_is_silence_in_both_laws() -> None:
    assert not is_sound(b"\xff" * 160, "audio/pcmu")
    assert not is_sound(b"\xd5" * 160, "audio/pcma")
    assert not is_sound(b"", "audio/pcmu")


QUIET_CODES = {"audio/pcmu": (0xFF, 0x7F, 0xE8, 0x6A), "audio/pcma": (0xD5, 0x55, 0xD0, 0x5A)}


@given(
    st.sampled_from(["audio/pcmu", "audio/pcma"]),
    st.sampled_from([1, 7, 80, 160, 320, 1600]),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.02, 0.2, 1.0]),
)
def test_what_need_not_be_added_up_is_judged_as_if_it_were(
    audio_format: str, size: int, seed: int, share: float
) -> None:
    dice = random.Random(seed)
    table = ULAW_TO_LINEAR if audio_format == "audio/pcmu" else ALAW_TO_LINEAR
    some = QUIET_CODES[audio_format]
    audio = bytes(dice.randrange(256) if dice.random() < share else dice.choice(some) for _ in range(size))
    power = sum(table[code] ** 2 for code in audio[::5]) / len(audio[::5])
    assert is_sound(audio, audio_format) is (power >= (32768 * 10 ** (-50 / 20)) ** 2)


def test_runs() -> None:
    audio = tone(-20, 0.04) + b"\xff" * 480 + tone(-20) + b"\xff" * 10
    assert runs_of_sound(audio, "audio/pcmu") == ((320, True), (480, False), (160, True), (10, False))


@given(
    st.sampled_from(["audio/pcmu", "audio/pcma"]),
    st.lists(st.tuples(st.sampled_from("lmqx"), st.sampled_from([0.0, 0.03, 0.5, 1.0])), max_size=6),
    st.sampled_from([0, 0, 1, 80]),
    st.integers(0, 2**32),
)
def test_runs_are_what_its_frames_are_one_by_one(
    audio_format: str, parts: list[tuple[str, float]], more: int, seed: int
) -> None:
    dice = random.Random(seed)
    quiet = QUIET_CODES[audio_format]
    kinds = {"l": (0x00, 0x80), "m": (0xE0, 0x62), "q": quiet, "x": tuple(range(256))}
    audio = b"".join(
        bytes(dice.choice(kinds[kind] if dice.random() < share else quiet) for _ in range(160))
        for kind, share in parts
    )
    audio += bytes(dice.choice(kinds["x"]) for _ in range(more))
    frames = [audio[at : at + 160] for at in range(0, len(audio), 160)]
    runs = runs_of_sound(audio, audio_format)
    assert [sound for size, sound in runs for _ in range(-(-size // 160))] == [
        is_sound(frame, audio_format) for frame in frames
    ]
    assert sum(size for size, _ in runs) == len(audio)
    assert all(one[1] is not other[1] for one, other in pairwise(runs))


def test_silence_before_and_between() -> None:
    meter = DeadAir()
    meter.our_turn(10, True)
    meter.queue(10.8, 1.0, True)
    assert meter.longest_s == pytest.approx(0.8)
    meter.queue(11.0, 2.0, False)
    meter.queue(11.0, 1.0, True)
    assert meter.so_far(12.0) == pytest.approx(0.8)
    assert meter.so_far(14.0) == pytest.approx(2.0)
    meter.our_turn(15.5, False)
    assert meter.so_far(99) == pytest.approx(2.0)


def test_the_callers_turn_does_not_count() -> None:
    meter = DeadAir()
    meter.queue(1, 1, True)
    meter.our_turn(100, True)
    assert meter.so_far(101) == pytest.approx(1.0)


def test_what_is_dropped_was_not_heard() -> None:
    meter = DeadAir()
    meter.our_turn(0, True)
    meter.queue(0, 1.0, True)
    meter.queue(0, 5.0, True)
    meter.flushed(0.5)
    assert meter.so_far(3.5) == pytest.approx(3.0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["sound", "quiet", "ours", "theirs", "flush"]), st.integers(0, 60)), max_size=30
)


@given(STEPS)
def test_it_agrees_with_a_count_of_frames(steps: list[tuple[str, int]]) -> None:
    meter = DeadAir()
    queue: list[bool] = []
    ours, run, longest, tick, away = False, 0, 0, 0, 1000
    for what, ticks in steps:
        now = tick * 0.02
        match what:
            case "sound" | "quiet":
                meter.queue(now, ticks * 0.02, what == "sound")
                queue.extend([what == "sound"] * ticks)
            case "flush":
                meter.flushed(now)
                queue.clear()
            case _:
                meter.our_turn(now, what == "ours")
                ours = what == "ours"
                if ours:
                    longest = max(longest, run)
        for _ in range(ticks):
            tick += 1
            away = 0 if ours else away + 1
            sound = bool(queue) and queue.pop(0)
            run = 0 if sound or away * FRAME_S > BLINK_S else run + 1
            if ours:
                longest = max(longest, run)
    assert meter.so_far(tick * 0.02) == pytest.approx(longest * 0.02, abs=1e-6)


def test_the_silence_that_goes_on() -> None:
    meter = DeadAir()
    assert meter.lasting(1.0) == 0.0
    meter.our_turn(1.0, True)
    assert meter.lasting(3.0) == pytest.approx(2.0)
    meter.queue(3.0, 1.0, True)
    assert meter.lasting(3.5) == 0.0, "we are heard"
    assert meter.lasting(6.0) == pytest.approx(2.0)
    assert meter.so_far(6.0) == pytest.approx(2.0)
    meter.our_turn(7.0, False)
    assert meter.lasting(9.0) == 0.0
    assert meter.so_far(9.0) == pytest.approx(3.0)


def test_what_is_remembered_of_long_pieces_stays_small() -> None:
    most = runs_of_sound.cache_info().maxsize
    assert most is not None
    assert most * MAX_FRAME_BYTES * 3 // 4 < 16 << 20
