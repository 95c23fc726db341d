"""flite (CMU, BSD-style licence): the system's library through ctypes, or its command.

C API: ``flite/include/flite.h`` of flite 2.x; ``cst_wave`` is ``{type, sample_rate, num_samples,
num_channels, samples}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ctypes.util
import io
import shutil
import wave
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from voiceagent.engine.tts.level import polish
from voiceagent.engine.tts.text import sentences
from voiceagent.errors import ConfigError, ProviderError

VOICES = ("slt", "rms", "awb", "kal", "kal16")
INSTALL = (
    "install flite (Debian, Ubuntu: apt install flite; Fedora: dnf install flite; macOS: brew install flite)"
)

_REGISTER = {name: f"cmu_us_{name}" for name in VOICES}
_RATES = {"kal": 8000}


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


def _load(stem: str) -> Any:
    """Return the library, from the loader's path; None when the system lacks it."""
    for name in (f"lib{stem}.so.1", f"lib{stem}.so", f"lib{stem}.dylib", ctypes.util.find_library(stem)):
        if name:
            with contextlib.suppress(OSError):
                # flite's libraries use each other's symbols without all naming it.
                return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    return None


class FliteLibrary:
    """One voice of libflite. Calls release the GIL; one at a time per process, flite has global state."""

    _lock = Lock()
    _voices: dict[str, Any] = {}  # noqa: RUF012 - registered once per process, whatever object asks

    def __init__(self, voice: str) -> None:
        core = _load("flite")
        if core is None or any(_load(stem) is None for stem in ("flite_cmulex", "flite_usenglish")):
            raise ConfigError("engine.voice", f"libflite is missing; {INSTALL}")
        library = _load(f"flite_{_REGISTER[voice]}")
        if library is None:
            raise ConfigError("engine.voice", f"libflite has no voice {voice!r}; {INSTALL}")
        core.flite_text_to_wave.restype = ctypes.POINTER(_Wave)
        core.flite_text_to_wave.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
        core.delete_wave.argtypes = (ctypes.POINTER(_Wave),)
        self._core = core
        with self._lock:
            if voice not in self._voices:
                core.flite_init()
                register = getattr(library, f"register_{_REGISTER[voice]}")
                register.restype = ctypes.c_void_p
                register.argtypes = (ctypes.c_void_p,)
                self._voices[voice] = register(None)
        self._voice = self._voices[voice]

    def render(self, text: str) -> tuple[bytes, int]:
        """Return PCM of one sentence and its rate."""
        with self._lock:
            made = self._core.flite_text_to_wave(text.encode("utf-8"), self._voice)
            if not made:
                raise ProviderError("flite made no sound", code="engine_voice_failed")
            try:
                head = made.contents
                return ctypes.string_at(
                    head.samples, 2 * head.num_samples * head.num_channels
                ), head.sample_rate
            finally:
                self._core.delete_wave(made)


class FliteCommand:
    """One voice of the ``flite`` command."""

    def __init__(self, voice: str) -> None:
        command = shutil.which("flite")
        if command is None:
            raise ConfigError("engine.voice", f"the flite command is missing; {INSTALL}")
        self._command = command
        self._voice = voice

    def render(self, text: str) -> tuple[bytes, int]:
        """Return PCM of one sentence and its rate."""
        import subprocess
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory(prefix="voiceagent-") as folder:
            path = Path(folder, "out.wav")
            # The text goes by file: a leading dash or a path in it must not be taken as an option.
            source = Path(folder, "in.txt")
            source.write_text(text, encoding="utf-8")
            line = [self._command, "-voice", self._voice, "-f", str(source), "-o", str(path)]
            done = subprocess.run(line, capture_output=True, check=False, timeout=30)
            if done.returncode != 0 or not path.is_file():
                raise ProviderError(f"flite failed with status {done.returncode}", code="engine_voice_failed")
            with wave.open(io.BytesIO(path.read_bytes())) as sound:
                return sound.readframes(sound.getnframes()), sound.getframerate()


class FliteVoice:
    """``slt`` and its like as a :class:`voiceagent.engine.ports.Voice`."""

    def __init__(self, voice: str = "slt", *, use_library: bool | None = None) -> None:
        if voice not in VOICES:
            raise ConfigError("engine.voice", f"flite has the voices {', '.join(VOICES)}, not {voice!r}")
        self.name = f"flite:{voice}"
        self.rate = _RATES.get(voice, 16000)
        self._engine = _engine(voice, use_library)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flite")

    @property
    def through(self) -> str:
        """How flite is reached: "library" or "command"."""
        return "library" if isinstance(self._engine, FliteLibrary) else "command"

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Yield PCM, a chunk per sentence or clause; closing it stops after the sentence in the making."""
        return self._speak(text)

    async def _speak(self, text: str) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        for sentence in sentences(text):
            pcm = await loop.run_in_executor(self._thread, self._render, sentence)
            if pcm:
                yield pcm

    def _render(self, sentence: str) -> bytes:
        pcm, rate = self._engine.render(sentence)
        if rate != self.rate:
            raise ProviderError(f"{self.name} speaks at {rate} Hz", code="engine_voice_failed")
        return polish(pcm, rate)

    async def warm_up(self) -> None:
        """Speak a word into the void, so that the first call finds the lexicon in memory."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._render, "Ready.")

    async def close(self) -> None:
        """End the voice's thread."""
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)


def _engine(voice: str, use_library: bool | None) -> FliteLibrary | FliteCommand:
    if use_library is False:
        return FliteCommand(voice)
    try:
        return FliteLibrary(voice)
    except ConfigError:
        if use_library:
            raise
        return FliteCommand(voice)
