"""The recording as it is lived again: what enters next, who takes it, and what the call asks for."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from voiceagent.replay.recording import Input, Recording, compared
from voiceagent.replay.replay_loop import Following
from voiceagent.replay.timers import TIMER_S, is_timer

PULL_WINDOW_S = 0.5
"""How far from its recorded moment a result may be handed out that the call asks for at once."""

Moment = tuple[int, float]
"""What time (loop's clock) it was in which turn of the loop."""


@dataclass(slots=True)
class Answer:
    """What came of an order or of others' work; waited for by whoever gave it."""

    given: Mapping[str, Any] | None = None
    asked: asyncio.Future[Mapping[str, Any]] | None = None


@dataclass(slots=True)
class Untaken:
    """Inputs that nobody was there for: the call is not where it was."""

    count: int = 0
    kinds: dict[str, int] = field(default_factory=dict[str, int])

    def note(self, kind: str) -> None:
        """One more."""
        self.count += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


class ReplayScript:
    """Fulfils :class:`voiceagent.replay.replay_loop.Script`. ``takers`` act on inputs by their kind."""

    def __init__(self, recording: Recording, stop: Callable[[], None]) -> None:
        """``stop`` is called when nothing can happen any more."""
        self._start = recording.loop_start
        self._stop = stop
        self._recorded = recording.decisions
        self._inputs = deque(one for one in recording.inputs if one.before is not None)
        self._frames = deque(one for one in recording.inputs if one.before is None)
        self._pulled: dict[str, list[Input]] = {}
        for one in recording.pulled:
            self._pulled.setdefault(one.kind, []).append(one)
        self._answers: dict[tuple[Any, ...], Answer] = {}
        self._timers: dict[str, list[float]] = {}
        """When recorded timers are due that are still to fire, by name; sorted."""
        for one in self._inputs:
            if one.kind == "timer":
                self._timers.setdefault(one.entry["name"], []).append(self._start + one.entry["due"])
        for dues in self._timers.values():
            dues.sort()
        self.clock: Callable[[float], None] = lambda to: None
        """Moves the loop's clock forward."""
        self.anchor: Callable[[int], None] = lambda turn: None
        """Told which turn of the recorded loop this is."""
        self.takers: dict[str, Callable[[Mapping[str, Any]], bool]] = {}
        """Each takes an entry, and says False when nobody was there for it."""
        self.untaken = Untaken()
        self.decisions: list[Mapping[str, Any]] = []
        """Every decision of the replay, in order."""
        self.over = False
        self._torn = None if recording.ended else recording.last
        self._moments = deque((turn, round(self._start + at, 6)) for turn, at in recording.clock)

    # ── Script ──────────────────────────────────────────────────────────────────────────────────
    def next_input(self) -> Following | None:
        if not self._inputs:
            return None
        one = self._inputs[0]
        return round(self._start + one.at, 6), one.before or 0, one.turn, one.line

    def enter(self) -> None:
        self._take(self._inputs.popleft())
        if self._torn is not None and not self._inputs:
            self.stands_still()  # the recording says no more: whatever comes now cannot be compared

    def moment(self, turn: int) -> float | None:
        """Return what time it was in that turn of the loop, or in the last one before it that tells."""
        moments, found = self._moments, None
        while moments and moments[0][0] <= turn:
            found = moments.popleft()[1]
        return found

    def next_frames(self) -> Following | None:
        one = self._frames[0] if self._frames else None
        return None if one is None else (round(self._start + one.at, 6), 0, one.turn, one.line)

    def enter_frames(self) -> None:
        self._take(self._frames.popleft())

    def enters_amid(self) -> bool:
        return bool(self._inputs) and self._inputs[0].amid

    def wakes_first(self) -> bool:
        entry = self._inputs[0].entry
        kind = self._inputs[0].kind
        return kind in _OF_WAITING or "count" in entry or (kind == "link" and entry["state"] != "closed")

    def next_timer(self) -> tuple[str, float] | None:
        one = self._inputs[0] if self._inputs else None
        if one is None or one.kind != "timer":
            return None
        return one.entry["name"], self._start + one.entry["due"]

    def forget_timer(self) -> None:
        one = self._inputs.popleft()
        dues = self._timers[one.entry["name"]]
        del dues[bisect_left(dues, self._start + one.entry["due"])]
        if self._torn is not None and not self._inputs:
            self.stands_still()

    def fires_later(self, name: str, due: float) -> bool:
        dues = self._timers.get(name, [])
        first = bisect_left(dues, due - TIMER_S)
        return first < len(dues) and is_timer(due, dues[first])

    def _take(self, one: Input) -> None:
        taker = self.takers.get(one.kind)
        if taker is None or not taker(one.entry):
            self.untaken.note(one.kind)

    @property
    def decided(self) -> int:
        return len(self.decisions)

    def recorded_time(self) -> float | None:
        count = len(self.decisions)
        if len(self._inputs) > 1 and (self._inputs[1].before or 0) <= count:
            return None  # that decision follows from a later input, which has a moment of its own
        return round(self._start + self._recorded[count].t, 6) if count < len(self._recorded) else None

    def stands_still(self) -> None:
        self.over = True
        self._stop()

    # ── the call decides ────────────────────────────────────────────────────────────────────────
    def tap(self, entry: Mapping[str, Any]) -> None:
        """Take an entry of the replay's journal."""
        if not self.over and compared(entry):
            self.decisions.append(entry)

    # ── the call asks ───────────────────────────────────────────────────────────────────────────
    def pull(self, kind: str, now: float | None = None, **wanted: Any) -> Mapping[str, Any] | None:
        """Hand out the next input of ``kind`` with these values; with ``now``, one of about that moment."""
        waiting = self._pulled.get(kind, [])
        for index, one in enumerate(waiting):
            if all(one.entry.get(name) == value for name, value in wanted.items()):
                if now is not None and abs(self._start + one.at - now) > PULL_WINDOW_S:
                    return None
                del waiting[index]
                self.clock(self._start + one.at)
                if one.turn and kind in _IN_TASK:
                    self.anchor(one.turn - 1)
                return one.entry
        return None

    def pull_ahead(self, fits: Callable[[Input], bool], within_s: float, now: float) -> Input | None:
        """Take an input out of what is still to come, if it fits and comes within ``within_s``."""
        for one in self._inputs:
            if self._start + one.at > now + within_s:
                return None
            if fits(one):
                self._inputs.remove(one)
                self.clock(self._start + one.at)
                return one
        return None

    def pull_frames(self, socket: int) -> list[Mapping[str, Any]]:
        """Take the frames that had come before anybody listened to this socket."""
        found: list[Mapping[str, Any]] = []
        while self._inputs:
            one = self._inputs[0]
            if one.kind != "frame" or one.entry["socket"] != socket or not one.entry.get("at_once"):
                break
            found.append(self._inputs.popleft().entry)
            self.clock(self._start + one.at)
        return found

    def expects(self, fits: Callable[[Input], bool]) -> bool:
        """Return whether such an input is still to come."""
        return any(fits(one) for one in self._inputs)

    def knows(self, key: tuple[Any, ...], fits: Callable[[Input], bool]) -> bool:
        """Return whether an answer under ``key`` has come, or one that fits is still to come."""
        found = self._answers.get(key)
        return (found is not None and found.given is not None) or self.expects(fits)

    def answer(self, key: tuple[Any, ...], given: Mapping[str, Any]) -> bool:
        """What was asked for, or will be, under ``key`` has come."""
        found = self._answers.setdefault(key, Answer())
        found.given = given
        if found.asked is not None and not found.asked.done():
            found.asked.set_result(given)
        return True

    def _at_once(self, key: tuple[Any, ...]) -> None:
        """Take an answer that came in the very turn in which it was asked for out of what is to come."""
        now = asyncio.get_running_loop().time()
        mine = self.pull_ahead(
            lambda one: bool(one.entry.get("at_once")) and _key_of(one.entry) == key, PULL_WINDOW_S, now
        )
        if mine is not None:
            if mine.turn:
                self.anchor(mine.turn)
            self.takers[mine.kind](mine.entry)

    async def answered(self, key: tuple[Any, ...]) -> Mapping[str, Any]:
        """Wait for what comes under ``key``."""
        found = self._answers.setdefault(key, Answer())
        if found.given is None:
            self._at_once(key)
        if found.given is not None:
            return found.given
        if found.asked is None or found.asked.done():
            found.asked = asyncio.get_running_loop().create_future()
        return await found.asked


_OF_WAITING = frozenset({"outside", "rest"})
"""Inputs that are written down by who has waited for them, as answers to a leg's orders are."""
_IN_TASK = frozenset({"session", "dial"})
"""Inputs that a task writes down: in the turn that follows what woke it."""


def _key_of(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return under which key an answer is waited for."""
    if entry["type"] == "in.outside":
        return ("outside", entry["key"])
    if entry["type"] == "in.link":
        return ("gone", entry["socket"])
    return (entry.get("leg"), entry.get("order"), entry.get("count"))
