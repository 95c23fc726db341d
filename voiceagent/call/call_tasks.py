"""The tasks of one call: named, owned, ended with it; a failure of any ends the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from voiceagent.tasks import TaskNest


class CallTasks:
    """Everything of a call that waits: its flow, tools, set-up.

    Not a TaskGroup, because a flow that refuses to end must not keep the caller's line open.
    ``failed(task's name, error)`` is told of every task that raises.
    """

    __slots__ = ("_failed", "_nest", "_tasks")

    def __init__(
        self,
        call_id: str,
        failed: Callable[[str, BaseException], None],
        own: Callable[[], None] | None = None,
    ) -> None:
        """``own`` makes timers of the context in which it is called the call's."""
        # Whatever starts them (the wheel, a SIP message, an operator), their log lines are about this call,
        # and the timers and the clock that they see are the call's: its inputs hold them.
        context = copy_context()
        if own is not None:
            context.run(own)
        self._nest = TaskNest(f"call {call_id}", context)
        self._tasks: dict[asyncio.Task[Any], None] = {}
        """In the order of their start, in which they are told to end: a replay must end them so, too."""
        self._failed = failed

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start ``work``; it is cancelled when the call closes."""
        task = self._nest.start(name, work)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def start_last(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start work that closing does not cancel: the closing itself."""
        return self._nest.start(name, work)

    @property
    def at_work(self) -> bool:
        """True while some that are to end have not."""
        return bool(self._tasks)

    def cancel(self) -> None:
        """Tell all tasks to end."""
        for task in list(self._tasks):
            task.cancel()

    async def stop(self, limit_s: float) -> list[str]:
        """Wait for what was cancelled, ``limit_s`` at most; return the names of those that refuse to end."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=limit_s)
        stuck = [task.get_name() for task in self._tasks]
        self.cancel()
        return stuck

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(task.get_name(), error)


async def to_the_end(task: asyncio.Task[Any]) -> None:
    """Wait for ``task`` even when the waiting one is cancelled meanwhile; the cancellation goes on after."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
