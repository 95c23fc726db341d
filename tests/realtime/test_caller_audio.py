"""What is kept of the caller's audio for a new session: by length exactly, by sound where there is any."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from voiceagent.realtime.caller_audio import KEPT_SILENCE_MS, PIECE_MS, CallerAudio

FRAME = 160
SILENCE = {"audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}
NOISE = {"audio/pcmu": b"\xf8\x7b", "audio/pcma": b"\xd0\x55"}
"""Near to silence, but not the same code all the time."""


def told(number: int) -> bytes:
    """Return a loud frame that no other one is equal to."""
    return (b"%06d" % number) + b"\x20" * (FRAME - 6)


def kept(audio: CallerAudio) -> bytes:
    return audio.last(audio.ms)


@pytest.mark.parametrize("seed", range(20))
def test_sound_is_kept_as_it_came_and_as_long_as_it_was_ever_wanted(seed: int) -> None:
    dice = random.Random(seed)
    limit_ms = dice.choice((100, 700, 3000))
    audio, all_of_it, begin, marks = CallerAudio("audio/pcmu", limit_ms), b"", 0, dict[str, int]()
    for number in range(1500):
        frame = told(number)[: dice.choice((FRAME, FRAME, FRAME, 80))]
        audio.add(frame)
        all_of_it += frame
        match dice.randrange(40):
            case 0:
                audio.committed(f"item_{number}")
                marks[f"item_{number}"] = len(all_of_it) - KEPT_SILENCE_MS * 8
            case 1 if marks:
                item_id = dice.choice(list(marks))
                audio.understood(item_id)
                begin = max(begin, marks.pop(item_id))
            case 2 if dice.randrange(5) == 0:
                audio.answered()
                begin, marks = max([begin, *marks.values()]), {}
            case 3 if dice.randrange(5) == 0:
                audio.forget_turns()
                marks = {}
            case _:
                pass
        begin = max(begin, len(all_of_it) - limit_ms * 8)
        assert audio.ms == (len(all_of_it) - begin) // 8
        assert kept(audio) == all_of_it[len(all_of_it) - audio.ms * 8 :]
        assert audio.last(90) == kept(audio)[-720:]


def test_audio_is_kept_until_it_is_text() -> None:
    ring = CallerAudio("audio/pcmu", 10_000)
    for _ in range(100):
        ring.add(b"A" * 160)
    ring.committed("t1")
    for _ in range(50):
        ring.add(b"B" * 160)
    assert ring.ms == 3000
    ring.understood("t1")
    assert 1000 <= ring.ms <= 1200
    assert ring.last(500) == b"B" * 4000
    ring.understood("unknown")
    for _ in range(1000):
        ring.add(b"C" * 160)
    assert ring.ms == 10_000


def test_what_is_kept_does_not_depend_on_its_frames() -> None:
    whole = bytes(index % 251 for index in range(8 * 2600))
    kept: set[tuple[int, bytes, bytes, bytes]] = set()
    for size in (80, 160, 320, 800, 8 * 1300):
        ring = CallerAudio("audio/pcmu", 1000)
        for start in range(0, len(whole), size):
            if start == 8 * 1300:
                ring.committed("t")
            ring.add(whole[start : start + size])
        full = ring.last(5000)
        assert ring.ms == 1000
        ring.understood("t")
        ring.committed("u")
        ring.understood("u")
        kept.add((ring.ms, full, ring.last(5000), ring.last(100)))
    assert kept == {(200, whole[-8000:], whole[-1600:], whole[-800:])}


@pytest.mark.parametrize("law", ["audio/pcmu", "audio/pcma"])
def test_a_silence_has_its_length_between_sounds(law: str) -> None:
    audio, noise = CallerAudio(law, 60_000), NOISE[law] * (FRAME // 2)
    audio.add(told(1))
    for _ in range(500):
        audio.add(noise)
    audio.add(told(2))

    assert audio.ms == 502 * 20
    heard = kept(audio)
    edge = PIECE_MS * 8
    assert heard.startswith(told(1) + noise)
    assert heard.endswith(told(2))
    assert heard[edge:-edge] == SILENCE[law] * (502 * FRAME - 2 * edge)


@pytest.mark.parametrize("silent_s", [1, 10, 3600])
def test_of_silence_the_newest_is_kept_and_the_limit_holds(silent_s: int) -> None:
    audio, noise = CallerAudio("audio/pcmu", 10_000), NOISE["audio/pcmu"] * (FRAME // 2)
    for _ in range(silent_s * 50 - 5):
        audio.add(noise)
    for number in range(5):
        audio.add(told(number))
    assert audio.ms == min(silent_s, 10) * 1000
    assert len(kept(audio)) == audio.ms * 8
    assert audio.last(100) == b"".join(told(number) for number in range(5))


def test_a_turn_that_is_understood_leaves_the_silence_before_the_next() -> None:
    audio, silence = CallerAudio("audio/pcmu", 10_000), SILENCE["audio/pcmu"] * FRAME
    for _ in range(100):
        audio.add(silence)
    audio.committed("item_1")
    for _ in range(50):
        audio.add(silence)
    audio.understood("item_1")
    assert audio.ms == 1000 + KEPT_SILENCE_MS
    assert kept(audio) == SILENCE["audio/pcmu"] * (audio.ms * 8)


def test_pcm_is_always_taken_for_sound() -> None:
    audio = CallerAudio("audio/pcm", 1000)
    for number in range(100):
        audio.add(bytes((number,)) * 960)
    assert audio.ms == 1000
    assert kept(audio) == b"".join(bytes((number,)) * 960 for number in range(50, 100))


def test_a_caller_who_only_listens_takes_little_room() -> None:
    noise = NOISE["audio/pcmu"] * (FRAME // 2)
    tracemalloc.start()
    try:
        audio = CallerAudio("audio/pcmu", 10_000)
        for _ in range(3000):
            audio.add(bytes(bytearray(noise)))  # frames of their own, as from a socket
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert audio.ms == 10_000
    assert used < 2 * PIECE_MS * 8
