"""The queues of a node on the event loop: who waits is told when anything changes for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from voiceagent.call.queueing import QueueBook, QueueConfig, QueueView
from voiceagent.errors import RequestRefused
from voiceagent.flags import Flag


class AnyQueue(Mapping[str, QueueConfig]):
    """For calls that nobody really makes: every queue exists, and has one target of its name."""

    def __getitem__(self, name: str) -> QueueConfig:
        return QueueConfig((f"sip:{name}@queue.invalid",))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class QueueRoom:
    """All queues of one node. On the loop's thread."""

    def __init__(self, configs: Mapping[str, QueueConfig]) -> None:
        self._book = QueueBook(configs)
        self._changed = Flag()
        self._timer: asyncio.TimerHandle | None = None

    def waiting(self, queue: str) -> int:
        """Return how many wait in ``queue``."""
        return self._book.waiting(queue)

    async def enter(self, queue: str, ticket: str) -> dict[str, Any]:
        """Let a caller wait; return the queue's times and the first view, as plain data.

        RequestRefused for a queue that does not exist.
        """
        config = self._book.config(queue)
        if config is None:
            raise RequestRefused("queue", f"there is none named {queue!r} (queues)", code="unknown_queue")
        self._book.enter(queue, ticket, self._now())
        self._tell()
        times = ("ring_s", "announce_every_s", "wait_limit_s")
        return {name: getattr(config, name) for name in times} | asdict(self._book.view(ticket))

    async def next(self, ticket: str, seen: QueueView) -> dict[str, Any]:
        """Wait until a caller's view is another than ``seen``; return it as plain data."""
        while (view := self._book.view(ticket)) == seen:
            await self._changed.wait()
        return asdict(view)

    def tried(self, ticket: str) -> None:
        """The target that was named for this caller could not be had."""
        self._book.tried(ticket, self._now())
        self._tell()

    def leave(self, ticket: str) -> None:
        """Somebody waits no more."""
        self._book.leave(ticket, self._now())
        self._tell()

    def close(self) -> None:
        """Nobody may wait any more: the node is going."""
        self._book.close(self._now())
        self._tell()

    def open(self) -> None:
        """Callers may wait again."""
        self._book.open(self._now())
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = Flag()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._book.wake_at()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._wake, due)

    def _wake(self, due: float) -> None:
        self._timer = None
        self._book.wake(max(due, self._now()))  # a timer may fire within the clock's resolution before it
        self._tell()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
