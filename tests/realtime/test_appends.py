"""How much of the caller's audio goes into one append: nothing that decides about a turn may come later."""

from __future__ import annotations

import asyncio
import base64
import random

import pytest

from tests.kit.virtual_loop import virtual
from tests.realtime.kit import Room, open_room
from voiceagent.media.g711 import ALAW_TO_LINEAR, ULAW_TO_LINEAR
from voiceagent.realtime.appends import QUIET_AFTER_MS, Appends
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_inputs import RealtimeModelSendRawMessage

SILENCE, SOUND = b"\xff" * 160, b"\x20" * 160
FRAME_S = 0.02


def sizes(appends: Appends, *frames: bytes) -> list[int]:
    """Return what goes out after each of ``frames``, in ms of G.711."""
    return [len(appends.add(frame)) // 8 for frame in frames]


def quiet_line() -> Appends:
    """Return a line that has been quiet for long, and has nothing waiting."""
    appends = Appends("audio/pcmu")
    while len(appends.add(SILENCE)) // 8 < 100:
        pass
    return appends


def test_sound_goes_out_in_40_ms() -> None:
    assert sizes(Appends("audio/pcmu"), *[SOUND] * 6) == [0, 40, 0, 40, 0, 40]


def test_a_line_that_nobody_has_spoken_on_begins_with_40_ms() -> None:
    assert sizes(Appends("audio/pcmu"), *[SILENCE] * 4) == [0, 40, 0, 40]


def test_a_quiet_line_goes_out_in_100_ms() -> None:
    assert sizes(quiet_line(), *[SILENCE] * 10) == [0, 0, 0, 0, 100] * 2


@pytest.mark.parametrize("waiting", range(5))
def test_the_first_sound_leaves_at_once_with_the_silence_before_it(waiting: int) -> None:
    appends = quiet_line()
    assert sizes(appends, *[SILENCE] * waiting) == [0] * waiting
    assert appends.add(SOUND) == SILENCE * waiting + SOUND
    assert sizes(appends, SOUND, SOUND, SILENCE, SILENCE) == [0, 40, 0, 40]


def test_for_a_second_and_a_half_after_a_sound_silence_goes_out_in_40_ms() -> None:
    appends = quiet_line()
    appends.add(SOUND)
    frames = QUIET_AFTER_MS // 20
    assert sizes(appends, *[SILENCE] * (frames - 1)) == ([0, 40] * frames)[: frames - 1]
    assert sizes(appends, *[SILENCE] * 10) == [0, 0, 0, 0, 100] * 2


def test_while_the_provider_holds_the_turn_open_silence_goes_out_in_40_ms_however_long() -> None:
    appends = quiet_line()
    appends.turn_began()
    assert sizes(appends, *[SILENCE] * 6) == [0, 40, 0, 40, 0, 40]
    appends.turn_ended()
    assert sizes(appends, *[SILENCE] * 5) == [0, 0, 0, 0, 100]


def test_silence_that_has_ended_the_turn_decides_nothing_more() -> None:
    appends = Appends("audio/pcmu")
    appends.turn_began()
    assert sizes(appends, *[SOUND] * 4, *[SILENCE] * 4) == [0, 40] * 4
    appends.turn_ended()
    assert sizes(appends, *[SILENCE] * 6) == [0, 0, 0, 0, 100, 0]
    assert sizes(appends, SOUND, SILENCE, SILENCE, SILENCE, SILENCE) == [40, 0, 40, 0, 40]


def test_sound_that_waits_goes_out_in_40_ms_when_the_turn_ends_behind_it() -> None:
    appends = Appends("audio/pcmu")
    appends.turn_began()
    assert sizes(appends, *[SOUND] * 3) == [0, 40, 0]
    appends.turn_ended()
    assert sizes(appends, *[SILENCE] * 6) == [40, 0, 0, 0, 0, 100]


def test_who_speaks_on_when_the_turn_is_taken_to_be_over_is_heard_at_once() -> None:
    appends = Appends("audio/pcmu")
    appends.turn_began()
    assert sizes(appends, *[SOUND] * 3) == [0, 40, 0]
    appends.turn_ended()
    assert sizes(appends, *[SOUND] * 3, *[SILENCE] * 2) == [40, 0, 40, 0, 40]


def test_sound_into_a_response_goes_out_in_20_ms_and_silence_as_ever() -> None:
    appends = Appends("audio/pcmu")
    appends.response_began("r1")
    appends.response_began("r2")
    appends.response_ended("r1")
    assert sizes(appends, SOUND, SOUND, SILENCE, SILENCE, SILENCE, SOUND) == [20, 20, 0, 40, 0, 40]
    appends.response_ended("r2")
    assert sizes(appends, SOUND, SOUND) == [0, 40]


@pytest.mark.parametrize("seed", range(20))
def test_no_sound_waits_for_more_than_one_further_frame_whatever_the_provider_says(seed: int) -> None:
    dice = random.Random(seed)
    appends = Appends("audio/pcmu")
    waiting = 0
    for _ in range(3000):
        act = dice.random()
        if act < 0.01:
            appends.turn_began()
        elif act < 0.02:
            appends.turn_ended()
        elif act < 0.03:
            appends.response_began("r")
        elif act < 0.04:
            appends.response_ended("r")
        frame = SOUND if dice.random() < 0.1 else SILENCE
        out = appends.add(frame)
        waiting = 0 if out else waiting + (frame == SOUND or waiting > 0)
        assert waiting <= 1


def test_nothing_is_lost_or_reordered() -> None:
    appends = Appends("audio/pcma")
    frames = [
        bytes((0xD5, 0x2A)[index % 300 > 200 + index // 40] for _ in range(160)) for index in range(900)
    ]
    numbered = [bytes(divmod(index, 256)) + frame[2:] for index, frame in enumerate(frames)]
    out = [appends.add(frame) for frame in numbered]
    assert b"".join(out) + appends.flush() == b"".join(numbered)
    assert appends.flush() == b""


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcma"])
def test_sound_is_a_sample_above_minus_44_dbfs(audio_format: str) -> None:
    of = ULAW_TO_LINEAR if audio_format == "audio/pcmu" else ALAW_TO_LINEAR
    silence = b"\xff" if audio_format == "audio/pcmu" else b"\xd5"
    for code in range(256):
        appends = Appends(audio_format)
        while len(appends.add(silence * 160)) // 8 < 100:
            pass
        found = bool(appends.add(silence * 159 + bytes((code,))))
        assert found is (abs(of[code]) > 32768 * 10 ** (-44 / 20)), code


def test_pcm_is_always_taken_for_sound() -> None:
    appends = Appends("audio/pcm")
    assert {len(appends.add(bytes(960))) for _ in range(200)} == {0, 1920}


async def speak(room: Room, *frames: bytes) -> None:
    for frame in frames:
        room.session.send_audio(frame)
        await asyncio.sleep(FRAME_S)


@virtual
async def test_a_session_gathers_on_a_quiet_line_and_lets_the_first_sound_go_at_once() -> None:
    async with open_room() as room:
        await speak(room, *[SILENCE] * 75)
        seen = len(room.provider.appends)
        await speak(room, *[SILENCE] * 12)
        assert room.provider.appends[seen:] == [800, 800]
        await speak(room, SOUND)
        assert room.provider.appends[seen:] == [800, 800, 640]
        assert room.session.audio_ms == 88 * 20


@virtual
async def test_the_place_in_the_audio_counts_what_waits() -> None:
    async with open_room() as room:
        for number in range(1, 100):
            room.session.send_audio(SILENCE)
            assert room.session.audio_ms == number * 20


@virtual
async def test_what_is_about_the_audio_comes_after_all_of_it() -> None:
    async with open_room() as room:
        await speak(room, *[SILENCE] * 78)
        before = sum(room.provider.appends)
        assert before < 78 * 160
        room.session.commit_audio()
        await asyncio.sleep(0.1)
        assert sum(room.provider.appends) == 78 * 160
        await speak(room, SILENCE)
        room.model.send(RealtimeModelSendRawMessage({"type": "input_audio_buffer.clear"}))
        await asyncio.sleep(0.1)
        assert room.provider.appends[-1] == 160
        await speak(room, SILENCE)
        raw = {"type": "input_audio_buffer.append", "audio": base64.b64encode(SOUND * 2).decode()}
        room.model.send(RealtimeModelSendRawMessage(raw))
        await asyncio.sleep(0.1)
        assert room.provider.appends[-2:] == [160, 320]
        assert room.wire()[-2:] == ["input_audio_buffer.commit", "input_audio_buffer.clear"]


@virtual
async def test_the_providers_own_view_of_the_turn_is_heeded() -> None:
    async with open_room(config=RealtimeSessionConfig()) as room:
        await speak(room, *[SILENCE] * 75)
        item_id = room.provider.speech_started()
        await asyncio.sleep(0.1)
        seen = len(room.provider.appends)
        await speak(room, *[SILENCE] * 4)
        assert room.provider.appends[seen:] == [320, 320]
        room.provider.speech_stopped(item_id, commit=False)
        await asyncio.sleep(0.1)
        await speak(room, *[SILENCE] * 5)
        assert room.provider.appends[seen:] == [320, 320, 800]
