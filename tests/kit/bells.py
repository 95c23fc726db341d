"""A voice whose pitch tells what it says, and an ear that tells which of its lines a phone heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from itertools import groupby

from tests.kit.frequency import loud
from tests.media.tone_meter import share_of_tone
from voiceagent.engine.fakes import ToneVoice
from voiceagent.media import g711
from voiceagent.media.g711 import Law
from voiceagent.phone.phone import PhoneCall

PLAIN = 440
BELLS = {"bell": 1000, "horn": 1400, "gong": 1800}
"""The pitch in Hz of a line with this word in it; the gong is above the music of a held call."""
MARKUP_MS = 4.0
"""Of a line with markup in it, per character: nobody listens to it."""
_PIECE = 320
"""Bytes of 40 ms."""


class BellVoice(ToneVoice):
    """Speaks each line at its pitch: 60 ms per character, as :class:`ToneVoice` does."""

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Yield the tone of ``text``."""
        pitch = next((hertz for word, hertz in BELLS.items() if word in text), PLAIN)
        pace = MARKUP_MS if "<" in text else 60.0
        async for chunk in ToneVoice(hertz=pitch, ms_per_character=pace).speak(text):
            yield chunk


def pitch_now(call: PhoneCall) -> int:
    """Return the pitch of the newest tenth of a second that ``call`` heard; 0 for none of ours."""
    sound = loud(_heard(call)[-800:], _law(call))
    return _pitch_of(sound, _law(call)) if sound else 0


def lines_heard(call: PhoneCall) -> list[tuple[int, int]]:
    """Return pitch and length in ms of every line that ``call`` heard so far, without any silence.

    Lines of one pitch that follow one another count as one; shorter than 120 ms is none.
    """
    law = _law(call)
    sound = loud(_heard(call), law)
    pieces = [_pitch_of(sound[at : at + _PIECE], law) for at in range(0, len(sound), _PIECE)]
    found: list[tuple[int, int]] = []
    for pitch, run in groupby(pitch for pitch in pieces if pitch):
        length = 40 * len(list(run))
        if length >= 120 and found and found[-1][0] == pitch:
            found[-1] = (pitch, found[-1][1] + length)
        elif length >= 120:
            found.append((pitch, length))
    return found


def _heard(call: PhoneCall) -> bytes:
    return call.timeline.stereo(0xFF)[1]


def _law(call: PhoneCall) -> Law:
    return "alaw" if call.law == "PCMA" else "ulaw"


@lru_cache(maxsize=8192)
def _pitch_of(audio: bytes, law: Law) -> int:
    # Remembered: who waits for a line asks for the same pieces again and again, in the loop of the service.
    samples = g711.linear(audio, law)
    shares = {hertz: share_of_tone(samples, hertz) for hertz in (PLAIN, *BELLS.values())}
    pitch = max(shares, key=shares.__getitem__)
    return pitch if shares[pitch] > 0.7 else 0
