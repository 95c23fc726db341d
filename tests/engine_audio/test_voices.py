"""Both voices speak: level, length, order, cancelling, and what happens when one is missing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import numpy as np
import pytest

from voiceagent.engine.parts import build_parts
from voiceagent.engine.synth_callers import flite_present
from voiceagent.engine.tts import caller, espeak, flite
from voiceagent.engine.tts.caller import synthesize
from voiceagent.engine.tts.espeak import EspeakVoice
from voiceagent.engine.tts.flite import FliteVoice
from voiceagent.errors import ConfigError

TEXT = "Thank you for calling. How can I help you today?"

needs_flite = pytest.mark.skipif(not flite_present(), reason="flite is not installed")
needs_command = pytest.mark.skipif(shutil.which("flite") is None, reason="the flite command is not installed")

VOICES = [
    pytest.param(lambda: FliteVoice("slt"), id="flite", marks=needs_flite),
    pytest.param(lambda: FliteVoice("rms", use_library=False), id="flite-command", marks=needs_command),
    pytest.param(lambda: EspeakVoice("en-us"), id="espeak"),
]


def level_db(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(20 * np.log10(np.sqrt((samples**2).mean()) / 32768))


@pytest.mark.parametrize("make", VOICES)
async def test_a_voice_speaks_sentence_by_sentence(make: Callable[[], FliteVoice | EspeakVoice]) -> None:
    voice = make()
    try:
        await voice.warm_up()
        chunks = [chunk async for chunk in voice.speak(TEXT)]
        again = [chunk async for chunk in voice.speak(TEXT)]
    finally:
        await voice.close()
    assert len(chunks) == 2
    lengths = [len(chunk) for chunk in chunks]
    assert [len(chunk) for chunk in again] == pytest.approx(lengths, rel=0.05)
    for chunk in chunks:
        seconds = len(chunk) / 2 / voice.rate
        assert 0.7 < seconds < 3.5
        assert -25 < level_db(chunk) < -18
        assert np.abs(np.frombuffer(chunk, "<i2").astype(int)).max() < 32767
        start = np.frombuffer(chunk, "<i2")[: voice.rate // 10].astype(float)
        assert np.abs(start).max() > 300, "speech starts within 100 ms of the chunk"


@pytest.mark.parametrize("make", VOICES)
async def test_closing_the_stream_cancels(make: Callable[[], FliteVoice | EspeakVoice]) -> None:
    voice = make()
    try:
        stream = voice.speak(TEXT + " This is never said.")
        assert await anext(stream)
        await stream.aclose()
        assert [chunk async for chunk in voice.speak("Still here.")]
    finally:
        await voice.close()


async def test_nothing_speakable_is_no_sound() -> None:
    voice = EspeakVoice()
    assert [chunk async for chunk in voice.speak(" … *** \n")] == []
    await voice.close()


async def test_two_conversations_share_a_voice() -> None:
    voice = EspeakVoice()

    async def length(text: str) -> int:
        return sum([len(chunk) async for chunk in voice.speak(text)])

    texts = ("Billing.", "You have reached the billing department. It is open all day.", "Opening hours.")
    try:
        alone = [await length(text) for text in texts]
        together = await asyncio.gather(*(length(text) for text in texts))
    finally:
        await voice.close()
    assert list(together) == pytest.approx(alone, rel=0.05)
    assert voice.pids == []


async def test_the_caller_speaks_at_the_rate_asked_for() -> None:
    at_8 = await synthesize("Billing", "en-us", 8000)
    at_24 = await synthesize("Billing", "en-us", 24000)
    assert len(at_24) == pytest.approx(3 * len(at_8), rel=0.01)
    assert -25 < level_db(at_8) < -18


async def test_the_caller_falls_back_to_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_flite(monkeypatch)
    voice = caller.caller_voice("rms")
    assert voice.name == "espeak:en-us"
    assert await synthesize("Billing", "rms")


def test_without_flite_the_voice_is_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_flite(monkeypatch)
    parts = build_parts()
    assert parts.voice.name == "espeak:en-us"
    assert parts.describe()["available"]["voice"] == ["espeak"]
    with pytest.raises(ConfigError, match="install flite") as caught:
        build_parts(voice="flite")
    assert caught.value.setting == "engine.voice"


def test_without_any_voice_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_flite(monkeypatch)
    monkeypatch.setattr(espeak, "wheel_present", lambda: False)
    monkeypatch.setattr(espeak, "command", lambda: None)
    with pytest.raises(ConfigError, match="pip install 'voiceagent") as caught:
        build_parts()
    assert caught.value.setting == "engine.voice"


def _hide_flite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flite, "_load", lambda stem: None)
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
