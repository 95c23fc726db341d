"""eSpeak NG: always in a process of its own (GPL), by wheel or by the system's command."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import shutil
import wave
from collections.abc import AsyncGenerator

from voiceagent.engine.tts.level import polish
from voiceagent.engine.tts.text import sentences
from voiceagent.engine.workers import Workers
from voiceagent.errors import ConfigError, ProviderError

MODULE = "voiceagent.engine.tts.espeak_worker"
INSTALL = "pip install 'voiceagent[embedded]', or install espeak-ng"
RATE = 22050
WORDS_PER_MINUTE = 160


def wheel_present() -> bool:
    """Whether the eSpeak NG wheel is installed; it is not loaded."""
    return importlib.util.find_spec("espeakng_loader") is not None


def command() -> str | None:
    """Return the system's eSpeak NG command, if there is one."""
    return shutil.which("espeak-ng") or shutil.which("espeak")


class EspeakVoice:
    """eSpeak NG as a :class:`voiceagent.engine.ports.Voice`; ``voice`` as eSpeak names it ("en-us+f3")."""

    rate = RATE

    def __init__(
        self, voice: str = "en-us", *, use_wheel: bool | None = None, words_per_minute: int = WORDS_PER_MINUTE
    ) -> None:
        self.name = f"espeak:{voice}"
        self._voice = voice
        self._speed = words_per_minute
        if use_wheel is None:
            use_wheel = wheel_present()
        self._workers = Workers(MODULE) if use_wheel else None
        self._command = command()
        if self._workers is None and self._command is None:
            raise ConfigError("engine.voice", f"eSpeak NG is missing; {INSTALL}")

    @property
    def through(self) -> str:
        """How eSpeak NG is reached: "wheel" or "command"."""
        return "wheel" if self._workers is not None else "command"

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return self._workers.pids if self._workers is not None else []

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Yield PCM, a chunk per sentence or clause; closing it stops before the next one."""
        return self._speak(text)

    async def _speak(self, text: str) -> AsyncGenerator[bytes, None]:
        for sentence in sentences(text):
            pcm = polish(await self._render(sentence), self.rate)
            if pcm:
                yield pcm

    async def _render(self, sentence: str) -> bytes:
        if self._workers is None:
            return await self._by_command(sentence)
        job = {"text": sentence, "voice": self._voice, "words_per_minute": self._speed}
        head, pcm = await self._workers.run(job)
        if head["rate"] != self.rate:
            raise ProviderError(f"{self.name} speaks at {head['rate']} Hz", code="engine_voice_failed")
        return pcm

    async def _by_command(self, sentence: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            str(self._command),
            "-v",
            self._voice,
            "-s",
            str(self._speed),
            "--stdin",
            "--stdout",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            made, _ = await process.communicate(sentence.encode())
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise ProviderError(
                f"espeak-ng failed with status {process.returncode}", code="engine_voice_failed"
            )
        # The length in the header is a placeholder when the command writes to a pipe.
        with wave.open(io.BytesIO(made)) as sound:
            return made[44:] if sound.getframerate() == self.rate else b""

    async def warm_up(self) -> None:
        """Start the process."""
        if self._workers is not None:
            await self._workers.start()
        await self._render("Ready.")

    async def close(self) -> None:
        """End the process."""
        if self._workers is not None:
            await self._workers.close()
