"""Which timers of a loop belong to which call, when they fired, and what time it is for the call.

A timer that decides something (no input, a time limit, a wake-up of the sequencer) fires some milliseconds
after it is due, and whether an input came before it, no clock tells. So the firing itself is an input. Whose
a timer is, the context says in which it was armed: tasks and callbacks inherit it.

What a call does within one turn of the loop happens at one moment: ``loop.time()`` does not move while it
runs in a context of the call, so that all the moments that it sees can be written down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar
from typing import Any, Protocol


class TimerOwner(Protocol):
    """Told when a timer of its own fires, before anything else happens."""

    def timer_fired(self, name: str, due: float) -> None:
        """The timer that calls ``name``, due then (loop's clock), fires now."""
        ...

    def time(self) -> float:
        """Return what time it is for the owner (loop's clock)."""
        ...


OWNER: ContextVar[TimerOwner | None] = ContextVar("timer_owner", default=None)
"""Whose timers are armed in this context."""
BEHALF: ContextVar[TimerOwner | None] = ContextVar("behalf", default=None)
"""On whose behalf something beyond a call (its leg, its socket, a tool) is being done in this context."""


@contextmanager
def owning(owner: TimerOwner | None) -> Generator[None]:
    """Timers that are armed within, by whatever is awaited there, are ``owner``'s."""
    token = OWNER.set(owner)
    try:
        yield
    finally:
        OWNER.reset(token)


@contextmanager
def beyond(owner: TimerOwner) -> Generator[None]:
    """What is awaited within is done for ``owner``, but not by it: there are no timers of its own."""
    behalf, token = BEHALF.set(owner), OWNER.set(None)
    try:
        yield
    finally:
        OWNER.reset(token)
        BEHALF.reset(behalf)


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
    return delay * 1000 <= 0.5  # it rounds to whole milliseconds, halves to the even one


def is_uvloop(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop is uvloop's: its clock ticks in milliseconds."""
    return type(loop).__module__.startswith("uvloop")


def watch_timers(
    loop: asyncio.AbstractEventLoop, made_ready: Callable[[], None] = lambda: None
) -> Callable[[], float]:
    """From now on the owners of timers of ``loop`` are told when they fire, and asked for the time.

    ``made_ready`` is told of timers that are none: the loop runs them in its next turn.

    Returns the loop's own clock.
    """
    call_at, call_later, clock, soon = loop.call_at, loop.call_later, loop.time, is_uvloop(loop)

    def now() -> float:
        owner = OWNER.get()
        return clock() if owner is None else owner.time()

    def watched(callback: Callable[..., object], delay: float) -> Callable[..., object]:
        owner = OWNER.get()
        if soon and at_once(delay):
            made_ready()
            return callback
        if owner is None or isinstance(callback, Fired):
            return callback
        module = str(getattr(callback, "__module__", ""))
        if module.startswith(_OURS) and not module.startswith(_OF_CALLS):
            return callback  # of a room that all calls share
        return Fired(owner, callback, owner.time() + delay)

    def at(
        when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return call_at(when, watched(callback, when - now()), *args, context=context)

    def later(
        delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return call_later(delay, watched(callback, delay), *args, context=context)

    # Both kinds of loops make one of the two from the other: what is watched already is left as it is.
    with suppress(AttributeError):  # a loop that cannot be watched: a replay guesses by the clock alone
        loop.call_at, loop.call_later, loop.time = at, later, now
    return clock
