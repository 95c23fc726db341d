"""PURE. What a caller on hold hears: a melody made by rule, or a WAV file, as a loop of 20 ms frames."""

from __future__ import annotations

import array
import math
import sys
from functools import lru_cache
from itertools import accumulate, pairwise

from voiceagent.errors import MediaError
from voiceagent.media import g711
from voiceagent.media.g711 import Law
from voiceagent.media.playout import FRAME
from voiceagent.media.wav import Wav

RATE = 8000
NOTE_MS = 480
PEAK_DBFS = -22.0
"""Clearly there, and softer than a voice."""
_A = 440.0
_NOTES = (0, 3, 7, 10, 12, 10, 7, 3, -2, 3, 7, 10, 14, 10, 7, 5)
"""Half tones from A4: a minor seventh chord broken up and down, and once more from below."""
_PARTIALS = ((1.0, 1.0), (2.0, 0.35), (3.0, 0.12))
MOST_S = 600.0
"""Longest music that is kept in memory."""


class MusicLoop:
    """Hands out one frame after the other, for ever. Call it for the next 160 bytes."""

    __slots__ = ("_at", "_audio")

    def __init__(self, audio: bytes) -> None:
        """``audio`` is G.711 in whole frames, at least one."""
        if not audio or len(audio) % FRAME:
            raise ValueError("music is a positive number of whole frames")
        self._audio = audio
        self._at = 0

    def __call__(self) -> bytes:
        at = self._at
        self._at = (at + FRAME) % len(self._audio)
        return self._audio[at : at + FRAME]


class HoldMusic:
    """The music of one service; ``pcm`` is 8 kHz mono, None the built-in melody."""

    def __init__(self, pcm: bytes | None = None) -> None:
        self._pcm = pcm
        self._made: dict[Law, bytes] = {}

    def prepare(self) -> None:
        """Make it now, in both laws: the melody takes a tenth of a second and more."""
        for law in ("ulaw", "alaw"):
            self.loop(law)

    def loop(self, law: Law) -> MusicLoop:
        """Return the music from its beginning, in ``law``."""
        audio = self._made.get(law)
        if audio is None:
            audio = g711.encode(self._pcm if self._pcm is not None else melody(), law)
            audio = self._made[law] = audio + bytes((g711.silence_byte(law),)) * (-len(audio) % FRAME)
        return MusicLoop(audio)


@lru_cache(maxsize=1)
def melody() -> bytes:
    """Return the built-in melody: 16-bit PCM at 8 kHz, one round of 7.7 s."""
    peak = 32767 * 10 ** (PEAK_DBFS / 20) / sum(weight for _, weight in _PARTIALS)
    count = NOTE_MS * RATE // 1000
    attack = RATE // 50
    samples = array.array("h")
    for half_tones in _NOTES:
        step = 2 * math.pi * _A * 2 ** (half_tones / 12) / RATE
        for index in range(count):
            # A plucked string: up within 20 ms, then fading, and silent at the next note's beginning.
            gain = peak * min(1.0, index / attack) * math.exp(-3.0 * index / count) * (1 - index / count)
            samples.append(
                round(gain * sum(weight * math.sin(step * order * index) for order, weight in _PARTIALS))
            )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def pcm_of(wav: Wav) -> bytes:
    """Return a WAV file as 16-bit PCM, mono, 8 kHz. Raises MediaError (``music``) for one without sound.

    Channels are mixed; a higher rate is averaged over what becomes one sample, a lower one interpolated.
    """
    if wav.seconds > MOST_S:
        raise MediaError(f"longer than {MOST_S:.0f} s", code="music")
    channels = [_linear(wav, index) for index in range(wav.channels)]
    mono = (
        channels[0]
        if len(channels) == 1
        else [sum(each) // len(each) for each in zip(*channels, strict=True)]
    )
    if len(mono) * RATE < wav.rate * FRAME // 8:
        raise MediaError("shorter than 20 ms", code="music")
    samples = array.array("h", mono if wav.rate == RATE else _resampled(mono, wav.rate))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _linear(wav: Wav, index: int) -> list[int]:
    data = wav.channel(index)
    if wav.encoding != "pcm":
        return g711.linear(data, wav.encoding)
    samples = array.array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tolist()


def _resampled(samples: list[int], rate: int) -> list[int]:
    count = len(samples) * RATE // rate
    if rate < RATE:
        out: list[int] = []
        for index in range(count):
            at, part = divmod(index * rate, RATE)
            following = samples[min(at + 1, len(samples) - 1)]
            out.append(samples[at] + (following - samples[at]) * part // RATE)
        return out
    sums = [0, *accumulate(samples)]
    edges = [index * rate // RATE for index in range(count + 1)]
    return [(sums[end] - sums[start]) // (end - start) for start, end in pairwise(edges)]
