"""The voice of synthetic callers: test phones, the demo and the benches."""

from __future__ import annotations

import asyncio

from voiceagent.engine.ports import Voice
from voiceagent.engine.resample import resample
from voiceagent.errors import ConfigError

ESPEAK_VOICES = ("en-us", "en-us+f3", "en")
"""US male, US female variant, British male."""


def caller_voice(voice: str = "rms") -> Voice:
    """Return a voice by name: one of flite's ("rms", "slt", …), or eSpeak NG's ("en-us", "en+f3", …).

    Where flite is missing its names fall back to eSpeak NG, US male.
    """
    from voiceagent.engine.tts.espeak import EspeakVoice
    from voiceagent.engine.tts.flite import VOICES, FliteVoice

    if voice not in VOICES:
        return EspeakVoice(voice)
    try:
        return FliteVoice(voice)
    except ConfigError:
        return EspeakVoice("en-us")


async def synthesize(text: str, voice: str = "rms", rate: int = 8000) -> bytes:
    """Return ``text`` spoken, as PCM 16 mono at ``rate`` Hz.

    "rms" is the voice that the built-in recogniser hears best. A voice is started and ended for each call;
    to speak often, keep a :func:`caller_voice`.
    """
    speaker = caller_voice(voice)
    try:
        spoken = b"".join([chunk async for chunk in speaker.speak(text)])
    finally:
        await speaker.close()
    return await asyncio.to_thread(resample, spoken, speaker.rate, rate)
