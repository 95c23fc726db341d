"""PURE. Tones: sine waves, DTMF pairs (ITU-T Q.23), and a DTMF detector (Goertzel, ITU-T Q.24 limits)."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Sequence
from functools import lru_cache

from voiceagent.media import g711
from voiceagent.media.g711 import Law

LOW = (697, 770, 852, 941)
HIGH = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
PAIRS = {key: (LOW[row], HIGH[column]) for row, keys in enumerate(KEYS) for column, key in enumerate(keys)}
"""The two frequencies, in Hz, of each key."""


def _pack(samples: Sequence[int]) -> bytes:
    packed = array.array("h", samples)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def sine(hertz: float, ms: int, *, dbfs: float = -12.0, rate: int = 8000, phase: float = 0.0) -> bytes:
    """Return ``ms`` of a sine as 16-bit PCM; ``dbfs`` is its peak."""
    amplitude = 32767 * 10 ** (dbfs / 20)
    step = 2 * math.pi * hertz / rate
    return _pack([round(amplitude * math.sin(phase + step * index)) for index in range(rate * ms // 1000)])


def dtmf(digit: str, ms: int = 100, *, dbfs: float = -10.0, rate: int = 8000) -> bytes:
    """Return the tone pair of ``digit`` as 16-bit PCM, ramps of 2 ms; ``dbfs`` is each tone's peak."""
    pair = PAIRS.get(digit.upper())
    if pair is None:
        raise ValueError(f"{digit!r} is no DTMF digit")
    amplitude = 32767 * 10 ** (dbfs / 20)
    first, second = (2 * math.pi * hertz / rate for hertz in pair)
    count = rate * ms // 1000
    ramp = max(1, rate // 500)
    samples: list[int] = []
    for index in range(count):
        gain = min(1.0, (index + 1) / ramp, (count - index) / ramp) * amplitude
        samples.append(round(gain * (math.sin(first * index) + math.sin(second * index))))
    return _pack(samples)


@lru_cache(maxsize=64)
def dtmf_g711(digit: str, ms: int = 100, law: Law = "ulaw") -> bytes:
    """Return the tone pair of ``digit`` as G.711."""
    return g711.encode(dtmf(digit, ms), law)


class DtmfDetector:
    """Finds DTMF digits in 8 kHz audio, for calls without telephone-event.

    Works on blocks of 12.75 ms (102 samples, so that no DTMF frequency falls between two bins badly). A
    digit is told when three blocks in a row show it, and again only after two blocks without it.
    """

    BLOCK = 102
    _MIN_POWER = 10 ** (-33 / 10) * 32768 * 32768
    """Mean square a block needs: −33 dBFS."""
    _TWIST_DB = 8.0
    _SHARE = 0.72
    """Part of the block's energy that the two tones must hold; speech spreads its energy."""
    _NEAR_SHARE = 0.88
    """The same, with each tone looked for where it is: a phone may be off by 1.5 % (Q.24)."""

    def __init__(self, law: Law = "ulaw") -> None:
        self.law: Law = law
        self._rest: list[int] = []
        self._candidate = ""
        self._count = 0
        self._down = ""
        self._gone = 0
        self._low = [2 * math.cos(2 * math.pi * hertz / 8000) for hertz in LOW]
        self._high = [2 * math.cos(2 * math.pi * hertz / 8000) for hertz in HIGH]

    def feed(self, audio: bytes) -> str:
        """Take G.711 in; return the digits that begin in it, mostly none."""
        samples = self._rest + g711.linear(audio, self.law)
        found = ""
        at = 0
        while at + self.BLOCK <= len(samples):
            found += self._block(samples[at : at + self.BLOCK])
            at += self.BLOCK
        self._rest = samples[at:]
        return found

    def _block(self, block: list[int]) -> str:
        digit = self._classify(block)
        if digit != self._down:
            self._gone += 1
            if self._gone >= 2:
                self._down = ""
        else:
            self._gone = 0
        if not digit or digit != self._candidate:
            self._candidate = digit
            self._count = 1 if digit else 0
            return ""
        self._count += 1
        if self._count == 3 and digit != self._down:
            self._down = digit
            self._gone = 0
            return digit
        return ""

    def _classify(self, block: list[int]) -> str:
        energy = float(sum([sample * sample for sample in block]))
        size = len(block)
        if energy < self._MIN_POWER * size:
            return ""
        low = [_goertzel(block, factor) for factor in self._low]
        high = [_goertzel(block, factor) for factor in self._high]
        row = max(range(4), key=low.__getitem__)
        column = max(range(4), key=high.__getitem__)
        strongest_low, strongest_high = low[row], high[column]
        if strongest_low <= 0 or strongest_high <= 0:
            return ""
        if abs(10 * math.log10(strongest_high / strongest_low)) > self._TWIST_DB:
            return ""
        # A pure tone of power P gives |X|² = P·N²/2 at its bin: both tones together against the whole.
        if 2 * (strongest_low + strongest_high) / size < self._SHARE * energy:
            return ""
        if any(power > strongest_low / 6 for index, power in enumerate(low) if index != row):
            return ""
        if any(power > strongest_high / 6 for index, power in enumerate(high) if index != column):
            return ""
        near = _near(block, LOW[row], strongest_low) + _near(block, HIGH[column], strongest_high)
        return KEYS[row][column] if 2 * near / size >= self._NEAR_SHARE * energy else ""


def _near(block: list[int], hertz: int, power: float) -> float:
    """The power of a tone at ``hertz`` (known already) or 1.5 % beside it."""
    return max(
        power, *(_goertzel(block, 2 * math.cos(2 * math.pi * hertz * off / 8000)) for off in (0.985, 1.015))
    )


def _goertzel(block: list[int], factor: float) -> float:
    one = two = 0.0
    for sample in block:
        one, two = sample + factor * one - two, one
    return one * one + two * two - factor * one * two
