# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false
# asyncio's own clockwork is steered here, which has no types.
"""An event loop that lives through a recording: its clock jumps, and inputs enter where they once did.

A real loop is late: a timer fires some milliseconds after it is due, and what arrives meanwhile may be
handled first. The recording says which it was: the timers that fired are inputs themselves, every input
counts the decisions before it and names the turn of the loop in which it entered, and what time it was in the
turns between is written down. So what an input woke runs for as many turns as it did until the next input
came, and sees the same clock. Only a timer of which the recording knows nothing (in unchanged code, one that
was cancelled before it fired) is left to the clock.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
from bisect import bisect
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from typing import Any, Protocol

from voiceagent.call.loop_timers import at_once, timer_name
from voiceagent.call.loop_turns import REST
from voiceagent.replay.timers import is_timer
from voiceagent.simulate.inner_selector import InnerSelector
from voiceagent.simulate.virtual_loop import VirtualDeadlock

LATE_S = 0.016
"""How late a timer is taken to fire at most that the recording does not tell of: longer stalls, it tells."""
SAME_MOMENT_S = 0.0015
"""Inputs as close as this may have entered before anything that the first one woke had run."""
NEXT_STALL_S = 0.05
"""A stall that begins so soon after another one is part of the same trouble."""
FOLLOWING_STALLS = 3
TINY_S = 1e-6
MOST_SPINS = 100_000
"""Turns in a row in which something is ready, until timers fire all the same: somebody waits by spinning."""

Following = tuple[float, int, int, int]
"""The next input: time (loop's clock), decisions before it, turn of the loop, line of the journal."""


class Script(Protocol):
    """What enters, and how far the call has come."""

    def next_input(self) -> Following | None:
        """Return the next input; None: there are no more."""
        ...

    def enter(self) -> None:
        """Let the next input enter, synchronously."""
        ...

    def enters_amid(self) -> bool:
        """Return whether the next input entered before others ran in the same turn of the loop."""
        ...

    def wakes_first(self) -> bool:
        """Return whether the next input was written down by whom it woke, uncancelled until then."""
        ...

    def moment(self, turn: int) -> float | None:
        """Return what time it was in that turn of the loop; None if that is not known."""
        ...

    def next_timer(self) -> tuple[str, float] | None:
        """Return name and due time of the timer that fires next; None if the next input is another one."""
        ...

    def forget_timer(self) -> None:
        """It has fired."""
        ...

    def fires_later(self, name: str, due: float) -> bool:
        """Return whether the recording says when this timer fires."""
        ...

    def next_frames(self) -> Following | None:
        """Return the next input for which only time counts, and its turn where there is one."""
        ...

    def enter_frames(self) -> None:
        """Let it enter."""
        ...

    @property
    def decided(self) -> int:
        """Decisions made so far."""
        ...

    def recorded_time(self) -> float | None:
        """Return when the recording has the next decision (loop's clock); None if a later input brings it."""
        ...

    def stands_still(self) -> None:
        """Nothing can happen any more, or the recording is long over: end it."""
        ...


class _Selector(InnerSelector):
    """Polls the real selector; in place of sleeping, decides what happens next."""

    loop: ReplayLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        assert loop is not None
        if loop.threads_at_work and not loop.busy:
            return self._inner.select(5.0)
        events = self._inner.select(0) if loop.threads_at_work else []
        if not events:
            loop.turn()
        return events


class ReplayLoop(asyncio.SelectorEventLoop):
    """A loop on which a recording is lived again. ``script`` says what enters; ``start`` sets its clock.

    Timers fire only when nothing else is ready, those of one moment together.
    """

    def __init__(
        self,
        start: float,
        *,
        late_s: float = LATE_S,
        stalls: Iterable[tuple[float, float]] = (),
        until: float = math.inf,
        uvloop: bool = False,
    ) -> None:
        """``stalls``: from when to when the recorded loop did nothing.

        ``uvloop``: the recorded loop was one of uvloop's.
        ``until``: the clock never passes it; the script is told then that all stands still.
        """
        self._now = start
        self._late_s = late_s
        self._until = until
        self._uvloop = uvloop
        self._stalls = sorted(stalls)
        self._spins = 0
        self._turns = 0
        self._entered = 0
        """Turn of this loop in which the last input entered …"""
        self._turn = -REST
        """… and the turn in which it did when it was recorded."""
        self.script: Script | None = None
        self.threads_at_work = 0
        selector = _Selector(selectors.DefaultSelector())
        super().__init__(selector)
        selector.loop = self
        self._fire(None)

    def time(self) -> float:
        return self._now

    @property
    def busy(self) -> bool:
        """True while something is ready to run."""
        return bool(self._ready) or bool(self._stopping)  # type: ignore[attr-defined]

    def set_clock(self, to: float) -> None:
        """Move the clock forward."""
        self._now = max(self._now, to)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        self.threads_at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self.threads_at_work += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self.threads_at_work -= 1

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task whose first step runs now: whose task it was then, was at work already."""
        task = self.create_task(work)
        self._ready.pop()._run()  # type: ignore[attr-defined]
        return task

    def _run_once(self) -> None:
        """Asyncio's own, but that inputs may enter between two callbacks of one turn."""
        if self.script is None or self.threads_at_work:
            super()._run_once()  # type: ignore[misc]
            return
        self.turn()
        ready: Any = self._ready  # type: ignore[attr-defined]
        for _ in range(len(ready)):
            self._enter_amid()
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    # ── steering ────────────────────────────────────────────────────────────────────────────────
    def turn(self) -> None:
        """Decide what happens in this turn: an input enters, timers fire, or only what is ready runs."""
        self._fire(None)
        self._turns += 1
        script = self.script
        if self.busy and self._spins < MOST_SPINS:
            self._spins += 1
            following = script.next_input() if script is not None else None
            if script is not None:
                self._frames_of_turn(script, following)
                if following is not None and self._is_its_turn(script, following):
                    self._enter(script, following)
                self._set_moment(script)
            return
        self._spins = 0
        if script is None:
            self._jump(self._due())
            return
        while not self._step(script):
            pass
        self._set_moment(script)

    @property
    def _running(self) -> int:
        """The turn of the recorded loop in which ran what runs in this turn, after inputs have entered."""
        return self._turn + self._turns - self._entered + 1

    def _set_moment(self, script: Script) -> None:
        """Set the clock to what it was in this turn."""
        following = script.next_input()
        if following is not None and 0 < following[2] < self._running - 1:
            return  # today's code takes more turns
        moment = script.moment(self._running)
        if moment is not None:
            self._now = max(self._now, moment)

    def _enter_amid(self) -> None:
        """Let inputs enter that entered before what is still to run in this turn."""
        script = self.script
        while script is not None and script.enters_amid():
            following = script.next_input()
            assert following is not None
            at, before, turn, _ = following
            if not self._follows(turn) or self._running < turn or script.decided < before:
                return
            self._entered, self._turn = self._turns + 1, turn
            self._now = max(self._now, at)
            self._do(script.enter)

    def _is_its_turn(self, script: Script, following: Following) -> bool:
        """Return whether an input enters while what the one before has woken is still running."""
        at, before, turn, _ = following
        if self._follows(turn):
            return self._turns - self._entered >= turn - self._turn and script.decided >= before
        return turn == 0 and at <= self._now + SAME_MOMENT_S and script.decided >= before

    def _follows(self, turn: int) -> bool:
        """Return whether the loop did not rest between the last input and this one."""
        return turn > 0 and -1 <= turn - self._turn < REST

    def _step(self, script: Script) -> bool:
        """Let one thing happen; True when the loop has something to do then."""
        following, due = script.next_input(), self._due()
        frames = script.next_frames()
        enters = following is not None and self._is_first(script, following, due)
        first = enters and following is not None and _earlier(frames, following)
        if frames is not None and (first or (not enters and (due is None or frames[0] <= due))):
            self._enter_frames(script, frames)
        elif enters and following is not None:
            self._enter(script, following)
        elif due is None or max(due, self._now) > self._until:
            script.stands_still()
            return True
        else:
            self._fire_due(due)
        return self.busy

    def _is_first(self, script: Script, following: Following, due: float | None) -> bool:
        """Return whether the next input enters before the next timer fires."""
        at, before, _, _ = following
        if due is None or due > at + self._late_s:
            return True
        if due <= at - self._lateness(due):
            return False
        return script.decided >= before or (due > at and self._now >= at + self._late_s)

    def _lateness(self, due: float) -> float:
        """Return how late a timer that was due then may have fired."""
        stalls = self._stalls
        index = bisect(stalls, (due + NEXT_STALL_S, math.inf)) - 1
        while index > 0 and stalls[index - 1][1] >= due:
            index -= 1
        if index < 0 or due > stalls[index][1]:
            return self._late_s
        end = stalls[index][1]
        for since, until in stalls[index + 1 : index + 1 + FOLLOWING_STALLS]:
            if since - end > NEXT_STALL_S:
                break
            end = until  # the turns that followed were slow ones, too
        return end - due + self._late_s

    def _enter(self, script: Script, following: Following | None) -> None:
        """Let an input enter, and all that entered in the same turn of the loop."""
        turn = 0 if following is None else following[2]
        if turn:
            self._entered, self._turn = self._turns, turn
        while following is not None:
            self._frames_before(script, following)
            then = script.recorded_time()
            late = then is not None and following[0] < then <= following[0] + SAME_MOMENT_S
            self._now = max(self._now, then if late and then is not None else following[0])
            if script.next_timer() is not None:
                self._do(self._fire_recorded)
            elif script.wakes_first():
                self._enter_first(script)
            else:
                self._do(script.enter)
            following = script.next_input()
            if not turn or following is None or following[2] != turn or script.decided < following[1]:
                return

    def _enter_first(self, script: Script) -> None:
        """Let an input enter; whom it wakes runs before what was ready already."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        waiting = len(ready)
        self._do(script.enter)
        ready.rotate(len(ready) - waiting)

    def _frames_before(self, script: Script, following: Following) -> None:
        frames = script.next_frames()
        while frames is not None and _earlier(frames, following):
            self._enter_frames(script, frames)
            frames = script.next_frames()

    def _frames_of_turn(self, script: Script, following: Following | None) -> None:
        """Let frames enter that came while what an input had woken was still running."""
        frames = script.next_frames()
        while frames is not None and 0 < frames[2] < self._running and self._follows(frames[2]):
            if following is not None and not _earlier(frames, following):
                return
            self._enter_frames(script, frames)
            frames = script.next_frames()

    def _enter_frames(self, script: Script, frames: Following) -> None:
        self._now = max(self._now, frames[0])
        self._do(script.enter_frames)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.call_exception_handler({"message": "an input failed", "exception": error})

    # ── asyncio's own clockwork ─────────────────────────────────────────────────────────────────
    def _due(self) -> float | None:
        """Return when the next timer is due whose firing is not in the recording.

        Cancelled ones are forgotten, as asyncio does.
        """
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
            heapq.heappop(scheduled)._scheduled = False
        script = self.script
        if script is None:
            return scheduled[0].when() if scheduled else None
        return min((one.when() for one in self._free(script)), default=None)

    def _free(self, script: Script) -> list[Any]:
        """Return the timers that the recording leaves to the clock."""
        alive = (one for one in self._scheduled if not one.cancelled())  # type: ignore[attr-defined]
        return [one for one in alive if not script.fires_later(_name(one), one.when())]

    def _fire_due(self, due: float) -> None:
        """Fire the timers up to ``due`` that the recording leaves to the clock."""
        script = self.script
        assert script is not None
        self._now = max(self._now, due)
        for one in sorted(self._free(script), key=_when):
            if one.when() <= due + TINY_S and not one.cancelled():
                self._run_timer(one)

    def _fire_recorded(self) -> None:
        """A timer fires now because it did then."""
        script = self.script
        assert script is not None
        wanted = script.next_timer()
        assert wanted is not None
        name, due = wanted
        alive: list[Any] = [
            one
            for one in self._scheduled  # type: ignore[attr-defined]
            if not one.cancelled() and _name(one) == name and is_timer(one.when(), due)
        ]
        script.forget_timer()
        if alive:
            _, nearest = min((abs(_when(one) - due), index) for index, one in enumerate(alive))
            self._run_timer(alive[nearest])

    def _run_timer(self, handle: Any) -> None:
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        scheduled.remove(handle)
        heapq.heapify(scheduled)
        handle._scheduled = False
        handle._run()

    def anchor(self, turn: int) -> None:
        """What runs in this turn of the loop ran, or was brought about, in that turn then."""
        self._entered, self._turn = self._turns, turn

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        if self._uvloop and at_once(when - self._now):
            heap: list[Any] = self._scheduled  # type: ignore[attr-defined]
            heap.remove(timer)
            heapq.heapify(heap)
            timer._scheduled = False
            self._ready.append(timer)  # type: ignore[attr-defined]
            self._now = max(self._now, when)  # it was waited for by spinning: the clock went on meanwhile
        return timer

    def _jump(self, due: float | None) -> None:
        if due is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self) if not task.done())
            raise VirtualDeadlock(f"nothing can happen any more; waiting: {', '.join(waiting) or 'no task'}")
        self._now = max(self._now, due)
        self._fire(due)

    def _fire(self, horizon: float | None) -> None:
        """Have asyncio fire the timers up to ``horizon``, whatever the clock says; None: none of them."""
        # It fires what is due before time() + _clock_resolution: the one knob that it leaves.
        self._clock_resolution = -math.inf if horizon is None else horizon - self._now + TINY_S


def _earlier(one: Following | None, other: Following) -> bool:
    """Return whether one input entered before another one."""
    return one is not None and (one[0], one[3]) < (other[0], other[3])


def _name(handle: Any) -> str:
    return timer_name(handle._callback)


def _when(handle: Any) -> float:
    return handle.when()
