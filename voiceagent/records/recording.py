"""Recordings: stereo WAV files, caller left and agent right, written off the audio path.

One thread writes the recordings of all calls of a process from a bounded queue. The files are 16-bit PCM at
8 kHz, which every player opens; the line's G.711 is decoded here. The header is right at least once a second,
so a killed process leaves a file that plays. When the disk cannot follow, audio is dropped and silence of the
same length takes its place: time stays true.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol

from voiceagent.media import g711
from voiceagent.media.wav import WavWriter
from voiceagent.records.states import lock

QUEUE_LIMIT = 4000
"""Pieces that wait for the disk, over all calls: at two a second from each, 20 s of a hundred calls."""
HASHED_AT_ONCE = 1 << 18
"""Bytes of a finished file that are read between two looks into the queue."""


@dataclass(frozen=True, slots=True)
class RecordingFinished:
    """A file is complete."""

    seconds: float
    size: int
    """Bytes of the file."""
    sha256: str
    dropped_s: float
    """Seconds of audio that the disk was too slow for; silence stands in their place."""


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """A file could not be opened or written; what was written before it plays."""

    error: str


RecordingNews = RecordingFinished | RecordingFailed


class RecordingSink(Protocol):
    """One recording under way. Neither method waits or raises."""

    def write(self, caller: bytes, agent: bytes) -> None:
        """Append G.711 of both sides, equally long."""
        ...

    def finish(self) -> None:
        """No more audio follows."""
        ...


class Recordings(Protocol):
    """Where recordings go."""

    def start(self, file: str, law: g711.Law, told: Callable[[RecordingNews], None]) -> RecordingSink:
        """Begin a recording named ``file``. ``told`` is called once, on the loop's thread, with its end."""
        ...


class Unkept:
    """Takes recordings and keeps nothing, for calls that nobody really makes."""

    def start(self, file: str, law: g711.Law, told: Callable[[RecordingNews], None]) -> RecordingSink:
        return _Nowhere(told)


class _Nowhere:
    def __init__(self, told: Callable[[RecordingNews], None]) -> None:
        self._told = told
        self._samples = 0

    def write(self, caller: bytes, agent: bytes) -> None:
        self._samples += len(caller)

    def finish(self) -> None:
        # Later, as a writer does it: who is told within its own call cannot be told so again in a replay.
        news = RecordingFinished(self._samples / 8000, 0, "", 0.0)
        asyncio.get_running_loop().call_soon(self._told, news)


@dataclass(frozen=True, slots=True)
class _Begin:
    file: str
    law: g711.Law
    told: Callable[[RecordingNews], None]


@dataclass(frozen=True, slots=True)
class _Audio:
    caller: bytes
    agent: bytes
    skipped: int
    """Samples that were dropped before this piece."""


@dataclass(frozen=True, slots=True)
class _End:
    skipped: int


_Order = _Begin | _Audio | _End


class _Open:
    """A file that is being written, or whose digest is being made."""

    def __init__(self, path: Path, begin: _Begin) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        self.file: BinaryIO = os.fdopen(os.open(path, flags, 0o600), "w+b")
        lock(self.file.fileno())  # whoever mends what others left lets this be
        self.wav = WavWriter(self.file, channels=2)
        self.law: g711.Law = begin.law
        self.told = begin.told
        self.dropped = 0
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, audio: _Audio) -> None:
        self.skip(audio.skipped)
        self.wav.write(stereo_pcm(audio.caller, audio.agent, self.law))

    def skip(self, samples: int) -> None:
        self.dropped += samples
        while samples:
            size = min(samples, 80_000)
            self.wav.write(bytes(4 * size))
            samples -= size

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()


class RecordingWriter:
    """The one thread that writes the recordings of all calls of a process; fulfils :class:`Recordings`.

    It and the folder are made with the first recording, the folder for its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failed: str | None = None
        """The last error of the disk, for readiness and alarms."""
        self._queue: queue.Queue[tuple[int, _Order] | None] = queue.Queue()
        self._numbers = 0
        self._files: dict[int, _Open] = {}
        self._closing: deque[_Open] = deque()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Pieces that are not written yet."""
        return self._queue.qsize()

    def start(self, file: str, law: g711.Law, told: Callable[[RecordingNews], None]) -> RecordingSink:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recording-writer", daemon=True)
            self._thread.start()
        self._numbers += 1
        loop = asyncio.get_running_loop()

        def tell(news: RecordingNews) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(told, news)

        self._queue.put_nowait((self._numbers, _Begin(file, law, tell)))
        return _Line(self._numbers, self._queue)

    def close(self) -> None:
        """Write what is queued, complete all files and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    # ── the thread ──────────────────────────────────────────────────────────────────────────────
    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(block=not self._closing)
            except queue.Empty:
                self._hash_on()
                continue
            if item is None:
                break
            self._do(*item)
        for one in self._files.values():
            self._complete(one)
        self._files.clear()
        while self._closing:
            self._hash_on()

    def _do(self, number: int, order: _Order) -> None:
        if isinstance(order, _Begin):
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._files[number] = _Open(self.folder / order.file, order)
            except Exception as error:
                self._fail(order.told, error)
            return
        one = self._files.get(number)
        if one is None:
            return  # it has failed
        if isinstance(order, _End):
            del self._files[number]
            self._complete(one, order.skipped)
            return
        try:
            one.write(order)
        except Exception as error:  # whatever one file's trouble is, the thread serves all other calls
            del self._files[number]
            one.close()
            self._fail(one.told, error)

    def _complete(self, one: _Open, skipped: int = 0) -> None:
        try:
            one.skip(skipped)
            one.wav.close()
            one.file.flush()
            one.file.seek(0)
        except Exception as error:
            one.close()
            self._fail(one.told, error)
        else:
            self._closing.append(one)

    def _hash_on(self) -> None:
        """Read on in the oldest complete file; tell its digest at its end."""
        one = self._closing[0]
        try:
            part = one.file.read(HASHED_AT_ONCE)
        except Exception as error:
            self._closing.popleft()
            one.close()
            self._fail(one.told, error)
            return
        one.digest.update(part)
        one.size += len(part)
        if not part:
            self._closing.popleft()
            one.close()
            self.failed = None
            one.told(RecordingFinished(one.wav.seconds, one.size, one.digest.hexdigest(), one.dropped / 8000))

    def _fail(self, told: Callable[[RecordingNews], None], error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.failed = f"{type(error).__name__}: {reason}"
        told(RecordingFailed(self.failed))


class _Line:
    """One recording, seen from its call."""

    def __init__(self, number: int, to: queue.Queue[tuple[int, _Order] | None]) -> None:
        self._number = number
        self._queue = to
        self._skipped = 0

    def write(self, caller: bytes, agent: bytes) -> None:
        if self._queue.qsize() >= QUEUE_LIMIT:
            self._skipped += len(caller)
            return
        self._queue.put_nowait((self._number, _Audio(caller, agent, self._skipped)))
        self._skipped = 0

    def finish(self) -> None:
        self._queue.put_nowait((self._number, _End(self._skipped)))
        self._skipped = 0


@cache
def _halves(law: g711.Law) -> tuple[bytes, bytes]:
    """Tables for ``bytes.translate``: low and high byte of each code's 16-bit sample."""
    samples = [value & 0xFFFF for value in g711.linear(bytes(range(256)), law)]
    return bytes(value & 0xFF for value in samples), bytes(value >> 8 for value in samples)


def stereo_pcm(left: bytes, right: bytes, law: g711.Law) -> bytes:
    """Return G.711 of two sides as interleaved 16-bit PCM. Table work only: cheap for the other threads."""
    low, high = _halves(law)
    out = bytearray(4 * len(left))
    out[0::4], out[1::4] = left.translate(low), left.translate(high)
    out[2::4], out[3::4] = right.translate(low), right.translate(high)
    return bytes(out)
