"""PURE. How long words take to say."""

from __future__ import annotations

from voiceagent.engine.tts.text import speakable

PAUSE_MS = 150
"""Between two sentences."""
LEAST_MS = 200
"""The shortest utterance."""


def spoken_ms(text: str, words_per_minute: int) -> int:
    """Return the milliseconds of ``text`` at that pace; long numbers are read digit by digit."""
    return max(LEAST_MS, len(speakable(text).split()) * 60_000 // words_per_minute)
