"""WAV files as the line plays them: read and resampled once, kept, and played in their turn.

A file takes its turn as a response does. It waits until nobody speaks and nothing that was asked for before
it is unsaid; while it is heard the model is not asked to speak, as on hold.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.call.leg import G711, Heard
from voiceagent.call.local_lines import PREFIX
from voiceagent.call.outside import Outside
from voiceagent.errors import MediaError, RequestRefused
from voiceagent.media import g711
from voiceagent.media.music import pcm_of
from voiceagent.media.wav import read_wav
from voiceagent.realtime.requests import InterruptedBy
from voiceagent.realtime.transcript import whole_words
from voiceagent.text_files import UnreadableFile, demand_file

if TYPE_CHECKING:
    from voiceagent.call.call import Call

SOUND = f"{PREFIX}sound-"
"""How response and item ids of played files begin."""
MOST_S = 300.0
"""Longest file."""
MOST_BYTES = 64 * 1024 * 1024
"""Largest file that is read at all."""
LOOK_S = 0.02
"""So often it is looked whether its turn has come."""
LATE_S = 5.0
"""The end of a file that the line does not tell is believed in so long after it was due."""
LEAST_S = 0.001
"""Less time than that is none: sums of seconds are not exact."""
PER_MS = 8
"""Bytes of G.711."""


def sound(path: Path, audio_format: G711) -> bytes:
    """Return a WAV file as G.711 at 8 kHz; read when it is new or has changed.

    Raises MediaError (``wav``, ``music``) saying what is wrong with it.
    """
    try:
        state = path.stat()
        if state.st_size > MOST_BYTES:
            raise MediaError(f"larger than {MOST_BYTES // 1024 // 1024} MiB", code="wav")
        return _sound(str(path), state.st_mtime_ns, state.st_size, audio_format)
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}", code="wav") from None


@lru_cache(maxsize=64)
def _sound(path: str, changed: int, size: int, audio_format: G711) -> bytes:
    wav = read_wav(path)
    if wav.seconds > MOST_S:
        raise MediaError(f"longer than {MOST_S:.0f} s", code="wav")
    return g711.encode(pcm_of(wav), "alaw" if audio_format == "audio/pcma" else "ulaw")


def problem_of(path: Path) -> str | None:
    """Return why a file cannot be played, or None. Reads it whole."""
    try:
        demand_file(path)
        sound(path, "audio/pcmu")
    except (MediaError, UnreadableFile) as error:
        return str(error)
    return None


def words_between(text: str, from_ms: int, to_ms: int, whole_ms: int) -> str:
    """Return the whole words that fall between two moments of a file, as if evenly spread."""
    before, until = (whole_words(text, len(text) * at // max(1, whole_ms)) for at in (from_ms, to_ms))
    return until[len(before) :].strip()


async def _sound_or_refusal(path: Path, audio_format: G711) -> bytes:
    """Return :func:`sound` without holding up other calls. Raises RequestRefused naming the file."""
    try:
        return await asyncio.to_thread(sound, path, audio_format)
    except MediaError as error:
        raise RequestRefused("play", f"{path}: {error}", code="sound") from None


class Sounds:
    """The files that one call plays, one at a time."""

    __slots__ = ("_by", "_call", "_count", "_ended", "_id", "_interruptible", "_reads", "_turn")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._turn = asyncio.Lock()
        self._count = self._reads = 0
        self._id = ""
        """Of the file that is played now."""
        self._interruptible = True
        self._by: InterruptedBy | None = None
        self._ended: asyncio.Future[Heard] | None = None

    @property
    def playing(self) -> bool:
        """True while a file is heard."""
        return self._ended is not None

    @property
    def last_id(self) -> str:
        """The response id under which the last file was played."""
        return self._id

    async def read(self, path: Path, outside: Outside) -> bytes:
        """Return a file as the line plays it. Raises RequestRefused naming the file.

        When it was read, and how long it is, are inputs of the call; a replay needs no file.
        """
        read: list[bytes] = []

        async def size() -> int:
            read.append(await _sound_or_refusal(path, self._call.leg.audio_format))
            return len(read[0])

        self._reads += 1
        length = await outside(f"sound:{self._reads}", size)
        return read[0] if read else bytes(length)

    async def play(self, audio: bytes, *, interruptible: bool) -> tuple[int, InterruptedBy | None]:
        """Play ``audio`` in its turn; return milliseconds heard, and who cut it, if somebody did."""
        call, loop = self._call, asyncio.get_running_loop()
        async with self._turn:
            while not self._free:  # noqa: ASYNC110 - line, caller, requests, holds: nobody tells of all
                await asyncio.sleep(LOOK_S)
            self._count += 1
            self._id = f"{SOUND}{self._count}"
            self._interruptible, self._by = interruptible, None
            ended = self._ended = loop.create_future()
            try:
                call.holding.apply()
                call.watch.play_line(audio, self._id)
                await self._until_heard(ended, len(audio) / 1000 / PER_MS + LATE_S)
                if not ended.done():
                    call.stop_leg()
            finally:
                self._ended = None
                if not ended.done():
                    call.stop_leg()
                call.holding.apply()
        if not ended.done():
            return len(audio) // PER_MS, None
        heard = ended.result()
        return heard.heard_ms, (self._by or InterruptedBy.OPERATOR) if heard.cut else None

    async def _until_heard(self, ended: asyncio.Future[Heard], limit_s: float) -> None:
        """Wait until the line is done with the file, or has had ``limit_s`` for it."""
        loop, holding = asyncio.get_running_loop(), self._call.holding
        began, held_s = loop.time(), holding.held_s
        while not ended.done():
            # A held line plays nothing, and loses nothing.
            left_s = limit_s - (loop.time() - began) + (holding.held_s - held_s)
            if left_s < LEAST_S:
                return
            await asyncio.wait({ended}, timeout=left_s)

    @property
    def _free(self) -> bool:
        call = self._call
        silent = not call.ear.audible and not call.watch.caller_speaks
        return silent and not call.away and not call.transfers.active and not call.ledger.open()

    def caller_acts(self) -> None:
        """The caller speaks or presses a key: what may be interrupted stops."""
        if self.playing and self._interruptible:
            self._call.barge_ins += 1
            self._stop(InterruptedBy.CALLER)

    def stop(self) -> None:
        """An operator wants silence."""
        if self.playing:
            self._stop(InterruptedBy.OPERATOR)

    def _stop(self, by: InterruptedBy) -> None:
        self._by = by
        self._call.stop_leg()

    def ended(self, heard: Heard) -> None:
        """The line is done with a file, or has dropped it."""
        ended = self._ended
        if ended is not None and heard.response_id == self._id and not ended.done():
            ended.set_result(heard)
