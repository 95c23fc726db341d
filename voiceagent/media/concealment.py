"""PURE. What to say for a packet that never came: the last pitch period again, softer and softer.

After ITU-T G.711 Appendix I, without its standing delay of 3.75 ms: the joint to what was passed on already
is smoothed by an offset that dies away, the joint to the next good packet by a short overlap.
"""

from __future__ import annotations

import array
import sys
from operator import mul

from voiceagent.media import g711
from voiceagent.media.g711 import Law

LONGEST = 480
"""Samples (60 ms) over which the made-up voice fades to nothing; silence follows."""
OVERLAP = 32
"""Samples (4 ms) in which the next good packet takes over."""
HISTORY = 320
"""Samples of the past that are looked at."""
_SMOOTH = 24
_LAG_MIN, _LAG_MAX = 40, 132
"""Pitch periods, 200 Hz down to 60 Hz; of a higher voice several periods are repeated."""
_WINDOW = 128
_FADE = tuple(range(LONGEST, 0, -1))


def conceal(history: bytes, count: int, law: Law) -> tuple[bytes, list[int]]:
    """Return ``count`` samples of G.711 that continue ``history``, and how they would go on.

    The second value, ``OVERLAP`` linear samples, is for :func:`blend`.
    """
    made = min(count, LONGEST)
    wanted = min(made + OVERLAP, LONGEST)
    samples = _continued(g711.linear(history[-HISTORY:], law), wanted) if history else []
    samples += [0] * (count + OVERLAP - len(samples))
    return pack(samples[:count], law), samples[count : count + OVERLAP]


def blend(tail: list[int], audio: bytes, law: Law) -> bytes:
    """Return ``audio`` with its first samples faded in over ``tail``."""
    count = min(len(tail), len(audio))
    begin = g711.linear(audio[:count], law)
    step = count + 1
    mixed = [
        (made * (count - index) + real * (index + 1)) // step
        for index, (made, real) in enumerate(zip(tail[:count], begin, strict=True))
    ]
    return pack(mixed, law) + audio[count:]


def pack(samples: list[int], law: Law) -> bytes:
    """Return linear samples, clipped, as G.711."""
    pcm = array.array("h", [max(-32768, min(32767, sample)) for sample in samples])
    if sys.byteorder == "big":
        pcm.byteswap()
    return g711.encode(pcm.tobytes(), law)


def _continued(past: list[int], wanted: int) -> list[int]:
    lag = _pitch(past)
    period = past[-lag:]
    before = past[-lag - lag // 4 : -lag]
    # The period's last quarter slides into what came before its first sample, so that it repeats smoothly.
    quarter = len(before)
    for index in range(quarter):
        at = lag - quarter + index
        period[at] = (period[at] * (quarter - index) + before[index] * (index + 1)) // (quarter + 1)
    jump = past[-1] - past[-lag - 1] if len(past) > lag else 0
    repeated = (period * (wanted // lag + 1))[:wanted]
    for index in range(min(_SMOOTH, wanted)):
        repeated[index] += jump * (_SMOOTH - index) // _SMOOTH
    return [sample * weight // LONGEST for sample, weight in zip(repeated, _FADE, strict=False)]


def _pitch(past: list[int]) -> int:
    """The lag at which the past is most like itself: looked for coarsely, then to the sample."""
    longest = min(_LAG_MAX, len(past) - _WINDOW)
    if longest < _LAG_MIN:
        return min(len(past), _LAG_MIN)
    near = _most_alike(past, range(_LAG_MIN, longest + 1, 3), 3)
    return _most_alike(past, range(max(_LAG_MIN, near - 2), min(longest, near + 2) + 1), 2)


def _most_alike(past: list[int], lags: range, step: int) -> int:
    end = len(past)
    recent = past[end - _WINDOW :: step]
    best, best_lag = -1.0, lags[-1]
    for lag in lags:
        earlier = past[end - _WINDOW - lag : end - lag : step]
        alike = sum(map(mul, recent, earlier))
        if alike > 0:
            score = alike * alike / (1 + sum(map(mul, earlier, earlier)))
            if score > best:
                best, best_lag = score, lag
    return best_lag
