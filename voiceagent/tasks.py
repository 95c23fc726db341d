"""Every task has a name and an owner; none fails in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

_log = logging.getLogger("voiceagent.tasks")


class TaskNest:
    """Owns background tasks of one long-lived thing; :meth:`close` ends and awaits them all.

    For work with a clear end use ``asyncio.TaskGroup`` instead.
    """

    __slots__ = ("_context", "_tasks", "owner")

    def __init__(self, owner: str, context: Context | None = None) -> None:
        """``context``: tasks start in a copy of it; default: that in which they are started."""
        self.owner = owner
        self._context = context
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start ``work`` as a task named ``owner/name``. A failure is logged with its traceback."""
        context = None if self._context is None else self._context.copy()
        task = asyncio.get_running_loop().create_task(work, name=f"{self.owner}/{name}", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._done, context=context)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.error("task %s failed", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel all tasks (but the caller's own) and wait for them."""
        me = asyncio.current_task()
        pending = [task for task in self._tasks if task is not me]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)
