"""Streaming sample-rate conversion: a polyphase FIR filter in numpy.

A Kaiser-windowed sinc of at most 4 ms group delay, 60 dB down from the lower of both Nyquist frequencies on.
State is kept between blocks, so a stream cut anywhere gives the same samples.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DELAY_S = 0.0038
"""Group delay of the filter."""
STOP_DB = 60.0


@lru_cache(maxsize=16)
def _phases(source: int, target: int) -> tuple[int, int, Floats]:
    """Return the up and down factors and the filter split in phases, (up, taps), newest sample first."""
    import numpy as np

    common = gcd(source, target)
    up, down = target // common, source // common
    taps = 2 * int(DELAY_S * source) + 1
    length = taps * up
    beta = 0.1102 * (STOP_DB - 8.7)
    # Kaiser's rule: the transition that this many taps allow, ending at the lower Nyquist frequency.
    transition = (STOP_DB - 8.0) / (2.285 * 2 * np.pi * (taps - 1)) * source
    cut = (min(source, target) / 2 - transition / 2) / (source * up)
    at = np.arange(length) - (length - 1) / 2
    response = 2 * cut * np.sinc(2 * cut * at) * np.kaiser(length, beta)
    response *= up / response.sum()
    phases = response.reshape(taps, up).T
    # Each phase passes a constant unchanged, so no tone is made of an offset.
    return up, down, phases / phases.sum(axis=1, keepdims=True)


class Resampler:
    """One direction of one stream, ``source`` Hz to ``target`` Hz; PCM 16 in and out."""

    def __init__(self, source: int, target: int) -> None:
        if source <= 0 or target <= 0:
            raise ValueError("rates are positive")
        self.source = source
        self.target = target
        self.reset()

    def reset(self) -> None:
        """Forget the stream so far."""
        import numpy as np

        if self.source == self.target:
            return
        self._up, self._down, self._filter = _phases(self.source, self.target)
        self._taps = self._filter.shape[1]
        self._past: Floats = np.zeros(self._taps - 1)
        self._seen = 0
        self._made = 0

    @property
    def delay(self) -> float:
        """Group delay in seconds."""
        if self.source == self.target:
            return 0.0
        return (self._taps * self._up - 1) / 2 / (self.source * self._up)

    def feed(self, pcm: bytes) -> bytes:
        """Take PCM and return what is due: after n samples in, ``ceil(n · target / source)`` are out."""
        import numpy as np

        if self.source == self.target or not pcm:
            return pcm
        made = self.feed_floats(np.frombuffer(pcm, "<i2").astype(np.float64))
        return np.clip(np.rint(made), -32768, 32767).astype("<i2").tobytes()

    def feed_floats(self, samples: Floats) -> Floats:
        """As :meth:`feed`, for floating-point samples of any scale."""
        import numpy as np

        if self.source == self.target:
            return samples
        line = np.concatenate([self._past, samples])
        end = self._seen + len(samples)
        due = -(-end * self._up // self._down)
        step = np.arange(self._made, due) * self._down
        newest = step // self._up - self._seen
        windows = np.lib.stride_tricks.sliding_window_view(line, self._taps)[newest]
        # Oldest first in the line, newest first in the filter.
        made: Floats = np.einsum("ij,ij->i", windows, self._filter[step % self._up, ::-1])
        self._past = line[len(line) - (self._taps - 1) :]
        self._seen, self._made = end, due
        return made

    def flush(self) -> bytes:
        """Return the tail that the filter still holds, and start anew."""
        if self.source == self.target:
            return b""
        tail = self.feed(bytes(2 * round(self.delay * self.source)))
        self.reset()
        return tail


def resample(pcm: bytes, source: int, target: int) -> bytes:
    """Return a whole recording at another rate, in time (the filter's delay is taken out)."""
    if source == target:
        return pcm
    stream = Resampler(source, target)
    wanted = -(-len(pcm) // 2 * target // source)
    skip = round(stream.delay * target)
    made = stream.feed(pcm + bytes(2 * (int(stream.delay * source) + 2 * stream.source // stream.target + 2)))
    return made[2 * skip : 2 * (skip + wanted)]
