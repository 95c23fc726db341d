"""Which timers of a loop belong to which call, and when they fired.

A timer that decides something (no input, a time limit, a wake-up of the sequencer) fires some milliseconds
after it is due, and whether an input came before it, no clock tells. So the firing itself is an input. Whose
a timer is, the context says in which it was armed: tasks and callbacks inherit it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Protocol


class TimerOwner(Protocol):
    """Told when a timer of its own fires, before anything else happens."""

    def timer_fired(self, name: str, due: float) -> None:
        """The timer that calls ``name``, due then (loop's clock), fires now."""
        ...


OWNER: ContextVar[TimerOwner | None] = ContextVar("timer_owner", default=None)
"""Whose timers are armed in this context."""

_OURS = "voiceagent."
_OF_CALLS = ("voiceagent.call.", "voiceagent.ivr.", "voiceagent.realtime.")


def timer_name(callback: object) -> str:
    """Return by what a timer is known again: the name of what it calls; empty where that has none."""
    return str(getattr(callback, "__qualname__", ""))


class Fired:
    """Calls ``callback`` after its owner was told."""

    __slots__ = ("_callback", "_due", "_owner")

    def __init__(self, owner: TimerOwner, callback: Callable[..., object], due: float) -> None:
        self._owner = owner
        self._callback = callback
        self._due = due

    def __call__(self, *args: Any) -> None:
        self._owner.timer_fired(timer_name(self._callback), self._due)
        self._callback(*args)


def at_once(delay: float) -> bool:
    """Return whether uvloop takes a timer of ``delay`` seconds as a callback of the next turn."""
    return round(max(delay, 0.0) * 1000) == 0


def is_uvloop(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop is uvloop's: its clock ticks in milliseconds."""
    return type(loop).__module__.startswith("uvloop")


def watch_timers(loop: asyncio.AbstractEventLoop) -> None:
    """From now on the owners of timers of ``loop`` are told when they fire."""
    call_at, call_later, soon = loop.call_at, loop.call_later, is_uvloop(loop)

    def watched(callback: Callable[..., object], delay: float) -> Callable[..., object]:
        owner = OWNER.get()
        if owner is None or isinstance(callback, Fired) or (soon and at_once(delay)):
            return callback
        module = str(getattr(callback, "__module__", ""))
        if module.startswith(_OURS) and not module.startswith(_OF_CALLS):
            return callback  # of a room that all calls share
        return Fired(owner, callback, loop.time() + delay)

    def at(
        when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return call_at(when, watched(callback, when - loop.time()), *args, context=context)

    def later(
        delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return call_later(delay, watched(callback, delay), *args, context=context)

    # Both kinds of loops make one of the two from the other: what is watched already is left as it is.
    try:
        loop.call_at, loop.call_later = at, later
    except AttributeError:
        return  # a loop that cannot be watched: a replay guesses by the clock alone
