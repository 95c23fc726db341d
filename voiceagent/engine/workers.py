"""Worker processes for stateless jobs, spoken to over pipes.

A worker is ``python -m <module>``: a fresh interpreter (nothing is forked), that reads jobs from its standard
input and writes results to its standard output. It ends by itself when its input closes, so no worker
outlives us, however we end. A job is a JSON header and a body of bytes, and so is its result:

    0       4       8
    | head  | body  | header (UTF-8 JSON object) | body |      lengths big-endian
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import voiceagent
from voiceagent.errors import ProviderError

_LENGTHS = struct.Struct(">II")
_MOST = 64 * 1024 * 1024

Answer = tuple[dict[str, Any], bytes]
Handler = Callable[[dict[str, Any], bytes], Answer]


class WorkerDied(ProviderError):
    """A worker process ended in the middle of a job, and so did the one started in its place."""

    code = "engine_worker_died"


class WorkersBusy(ProviderError):
    """More jobs are waiting than the queue may hold."""

    code = "engine_busy"


class JobFailed(ProviderError):
    """The worker is well but could not do this job."""

    code = "engine_job_failed"


class _Gone(Exception):
    """The process is no more; internal."""


def pack(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return the frame of a header and a body."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(text), len(body)) + text + body


class Workers:
    """``count`` processes of one module, each doing one job at a time; further jobs wait in order.

    ``queue`` bounds the jobs that may wait, ``patience`` (s) how long one job may take. Belongs to the event
    loop on which it is used first.
    """

    def __init__(self, module: str, *, count: int = 1, queue: int = 64, patience: float = 20.0) -> None:
        self.module = module
        self._patience = patience
        self._queue = queue
        self._waiting = 0
        self._closed = False
        self._slots = [_Process(module) for _ in range(max(1, count))]
        self._idle: asyncio.Queue[_Process] | None = None

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [slot.pid for slot in self._slots if slot.pid is not None]

    async def start(self, head: Mapping[str, Any] | None = None) -> None:
        """Start every worker; with ``head``, also send each that job, to warm it up."""
        for slot in self._slots:
            await slot.start()
        if head is not None:
            await asyncio.gather(*(self.run(head) for _ in self._slots))

    async def run(self, head: Mapping[str, Any], body: bytes = b"") -> Answer:
        """Do one job and return its result.

        A worker that dies is replaced and the job is done again once. Cancelling is safe: the worker finishes
        the job and its result is thrown away.

        Raises :class:`WorkersBusy`, :class:`WorkerDied` or :class:`JobFailed`.
        """
        if self._closed:
            raise WorkerDied("the workers are closed")
        if self._waiting >= self._queue + len(self._slots):
            raise WorkersBusy(f"{self.module}: {self._waiting} jobs are waiting")
        self._waiting += 1
        try:
            idle = self._pool()
            slot = await idle.get()
            try:
                return await self._run_on(slot, pack(head, body))
            finally:
                idle.put_nowait(slot)
        finally:
            self._waiting -= 1

    async def _run_on(self, slot: _Process, frame: bytes) -> Answer:
        for attempt in (1, 2):
            try:
                async with asyncio.timeout(self._patience):
                    head, body = await slot.job(frame)
            except (_Gone, TimeoutError) as error:
                await slot.stop()
                if attempt == 2 or self._closed:
                    raise WorkerDied(f"{self.module}: the worker died twice in one job") from error
                continue
            if "error" in head:
                raise JobFailed(str(head["error"]))
            return head, body
        raise AssertionError("unreachable")

    def _pool(self) -> asyncio.Queue[_Process]:
        if self._idle is None:
            self._idle = asyncio.Queue()
            for slot in self._slots:
                self._idle.put_nowait(slot)
        return self._idle

    async def close(self) -> None:
        """End every worker and wait until it is gone. Jobs under way fail with :class:`WorkerDied`."""
        self._closed = True
        await asyncio.gather(*(slot.stop() for slot in self._slots))


class _Process:
    """One worker process and the pipe to it."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._stale = 0

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        if self._process is not None:
            return
        root = str(Path(voiceagent.__file__).parent.parent)
        path = os.pathsep.join(entry for entry in (root, os.environ.get("PYTHONPATH")) if entry)
        self._stale = 0
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    async def job(self, frame: bytes) -> Answer:
        await self.start()
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise _Gone
        try:
            process.stdin.write(frame)
            # From here on a result will come, even if nobody waits for it any more.
            self._stale += 1
            await process.stdin.drain()
            while True:
                answer = await self._answer(process.stdout)
                self._stale -= 1
                if self._stale == 0:
                    return answer
        except (asyncio.IncompleteReadError, OSError, RuntimeError, ValueError) as error:
            raise _Gone from error

    async def _answer(self, stream: asyncio.StreamReader) -> Answer:
        # Shielding is not needed: a cancelled read leaves the buffer whole, because readexactly() takes
        # bytes only once all are there; so the lengths and the rest are taken in one step each.
        head_length, body_length = _LENGTHS.unpack(await self._peeked(stream))
        data = await stream.readexactly(head_length + body_length)
        self._lengths = b""
        head: dict[str, Any] = json.loads(data[:head_length])
        return head, data[head_length:]

    _lengths: bytes = b""

    async def _peeked(self, stream: asyncio.StreamReader) -> bytes:
        if not self._lengths:
            self._lengths = await stream.readexactly(_LENGTHS.size)
        return self._lengths

    async def stop(self) -> None:
        process, self._process = self._process, None
        self._lengths = b""
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdout is not None:
            with contextlib.suppress(Exception):
                while await process.stdout.read(65536):
                    pass
        await process.wait()


def serve(handler: Handler) -> None:
    """Run the worker's side: answer jobs from standard input until it closes.

    Whatever a library prints goes to standard error, never between the frames. Interrupts are left to the
    parent, which closes the pipe.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError):
        while (job := _read(sys.stdin.buffer)) is not None:
            try:
                head, body = handler(*job)
            except Exception as error:
                head, body = {"error": f"{type(error).__name__}: {error}"}, b""
            sys.stdout.flush()  # what was printed stands before the answer, even if the worker is killed next
            _write(out, pack(head, body))


def _read(stream: BinaryIO) -> Answer | None:
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_length, body_length = _LENGTHS.unpack(lengths)
    if head_length + body_length > _MOST:
        return None
    data = stream.read(head_length + body_length)
    if len(data) < head_length + body_length:
        return None
    return json.loads(data[:head_length]), data[head_length:]


def _write(stream: Any, frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[stream.write(view) :]
