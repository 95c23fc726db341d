"""Where an event loop is: the number of its turn, and when it was late.

What an input wakes runs in the following turns. Whether the next input came before that or after it, no clock
tells: the numbers of the turns do. They are counted only until nothing is left of what was woken (where that
cannot be seen: for a few turns after an input), so that a loop that rests is left at rest. A late loop fires
its timers late, which decides who is first as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from voiceagent.call.loop_timers import watch_timers

FOLLOWED = 24
"""Turns that are counted after a sign of life at most: nothing that was woken takes more to give another."""
REST = 1000
"""So much the number jumps over a rest."""
BEAT_S = 0.025
"""How often it is looked whether the loop is late …"""
LATE_S = 0.015
"""… and from when on that is worth telling."""

Late = Callable[[float, float], None]
"""Told from when to when (loop's clock) the loop did nothing."""


class LoopTurns:
    """The turns of one loop, counted for all its calls. Get it with :func:`turns_of`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._call_at = loop.call_at
        self._call_soon = loop.call_soon
        self._more = True
        """Something was made ready to run since the turn began."""
        self.clock = watch_timers(loop, self._made_ready)
        """The loop's own clock, whoever asks."""
        self._sees = self._watch_ready()
        self.turn = 0
        """The number of this turn while turns are counted, else 0. Asked for at every frame."""
        self._number = 0
        self._left = 0
        self._listeners: WeakSet[LateListener] = WeakSet()
        self._beat: asyncio.TimerHandle | None = None
        self._due = 0.0

    def enter(self) -> int:
        """Something enters: return the number of this turn, and count on for a while."""
        if not self._left:
            self._begin()
        self._left = FOLLOWED
        return self._number

    def touch(self) -> None:
        """Something that wakes nobody enters: tell this turn from the next one."""
        if not self._left:
            self._begin()
            self._left = 1

    def stay(self) -> None:
        """A call that was woken is still at work: count on, if it is counted."""
        if self._left:
            self._left = FOLLOWED

    def _begin(self) -> None:
        self._number += REST
        self.turn = self._number
        self._more = False
        self._call_soon(self._next)

    def _next(self) -> None:
        self._number += 1
        # What was made ready before this turn has run, or does so after this: if nothing was, all is at rest.
        self._left = self._left - 1 if self._more or not self._sees else 0
        if self._left:
            self.turn = self._number
            self._more = False
            self._call_soon(self._next)
        else:
            self.turn = 0

    # ── what is ready ───────────────────────────────────────────────────────────────────────────
    def _made_ready(self) -> None:
        self._more = True

    def _watch_ready(self) -> bool:
        """Note whatever is made ready to run from now on; False where that cannot be."""
        call_soon = self._call_soon

        def soon(
            callback: Callable[..., object], *args: Any, context: Context | None = None
        ) -> asyncio.Handle:
            self._more = True
            return call_soon(callback, *args, context=context)

        try:
            self._loop.call_soon = soon  # type: ignore[method-assign]
        except AttributeError:
            return False
        return True

    # ── lateness ────────────────────────────────────────────────────────────────────────────────
    def listen(self, listener: LateListener) -> None:
        """Tell ``listener`` when the loop was late, until it is forgotten."""
        self._listeners.add(listener)
        if self._beat is None:
            self._arm()

    def forget(self, listener: LateListener) -> None:
        """Tell it nothing any more."""
        self._listeners.discard(listener)

    def _arm(self) -> None:
        self._due = self.clock() + BEAT_S
        self._beat = self._call_at(self._due, self._look)

    def _look(self) -> None:
        self._beat = None
        now = self.clock()
        if now - self._due > LATE_S:
            for listener in list(self._listeners):
                listener.late(self._due - BEAT_S, now)
        if self._listeners:
            self._arm()


class LateListener:
    """Who is told that a loop was late."""

    __slots__ = ("__weakref__", "late")

    def __init__(self, late: Late) -> None:
        self.late = late


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopTurns] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> LoopTurns:
    """Return the turns of a loop."""
    found = _of_loop.get(loop)
    if found is None:
        found = _of_loop[loop] = LoopTurns(loop)
    return found
