"""The end of a simulation's loop, also where a flow refuses to end: bounded, and whoever refuses is named."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from voiceagent.call.flow_failure import is_own
from voiceagent.simulate.loop import SimulationLoop
from voiceagent.simulate.virtual_loop import VirtualDeadlock

PATIENCE_S = 60.0
"""How long, on the loop's clock, what was cancelled may clean up."""
ROUNDS = 20_000
"""So many rounds of the loop that may take."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A task that did not end when it was cancelled."""

    name: str
    place: str
    """Where it waits in the flow's files, ``shop.py:12``; empty where in none."""

    @property
    def message(self) -> str:
        """What is told of it."""
        at = f" ({self.place})" if self.place else ""
        who = f"{self.name}{at} does not end with its call: it swallows its cancellation"
        return f"{who}; catch Exception, not BaseException, or raise asyncio.CancelledError again"


def end_loop(runner: asyncio.Runner, loop: SimulationLoop) -> list[Refusal]:
    """Cancel all that still runs, wait for it within reason, close the runner; return what refused to end.

    What refuses is left where it waits. It is never destroyed: its code would run once more then, without a
    loop to wait on, and go round for ever.
    """
    loop.grant(ROUNDS)
    left: list[asyncio.Task[Any]] = []
    try:
        left = runner.run(_cancel_all())
    except VirtualDeadlock:
        left = list(asyncio.all_tasks(loop))
    refusals = [Refusal(_name(task), place_of(task)) for task in left]
    # Who waits for the flow, or had no turn any more beside it, is not to blame.
    refusals = [one for one in refusals if one.place] or refusals
    for task in left:
        _keep_for_ever(task)
        asyncio._unregister_task(task)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    loop.grant(ROUNDS)
    with contextlib.suppress(VirtualDeadlock):
        runner.close()
    return refusals


async def _cancel_all() -> list[asyncio.Task[Any]]:
    me = asyncio.current_task()
    running = [task for task in asyncio.all_tasks() if task is not me]
    for task in running:
        task.cancel()
    if not running:
        return []
    _, left = await asyncio.wait(running, timeout=PATIENCE_S)
    return list(left)


def _keep_for_ever(thing: object) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _name(task: asyncio.Task[Any]) -> str:
    name = task.get_name().rpartition("/")[2]
    return f"the {name}" if name == "flow" else f"the task {name!r}"


def places(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return where the flow's own files wait now, one place for each task, sorted."""
    return sorted({place for task in asyncio.all_tasks(loop) if (place := place_of(task))})


def place_of(task: asyncio.Task[Any]) -> str:
    """Return where a waiting task is in the flow's files: ``shop.py:12``, the innermost; empty: in none."""
    place = ""
    for frame in _frames(task.get_coro()):
        if is_own(frame.f_code.co_filename):
            place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    return place


def _frames(waiting: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of what it waits for, outermost first."""
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is None:
            return
        yield frame
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
