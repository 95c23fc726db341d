"""PURE. How a node drains: events and times come in, what is to be done next comes out.

Doors closed (not ready, new calls refused) → running calls end by themselves → at the limit the rest is said
goodbye to → whoever is left after that is not waited for → the node ends. Until it ends, it may be resumed.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """How far a drain has come."""

    SERVING = "serving"
    DRAINING = "draining"
    """No new calls; running ones go on."""
    GOODBYE = "goodbye"
    """The limit has come: running calls are being said goodbye to."""
    DRAINED = "drained"
    """Nobody is waited for any more."""


class Step(StrEnum):
    """What the node is to do now."""

    CLOSE_DOORS = "close_doors"
    OPEN_DOORS = "open_doors"
    SAY_GOODBYE = "say_goodbye"
    LEAVE = "leave"
    """Flush, close, exit 0; calls that are still there get their BYE and their record."""


class DrainPlan:
    """One node's way out. ``now`` is in seconds on any clock."""

    def __init__(self, limit_s: float, goodbye_s: float) -> None:
        """``limit_s``: how long calls may go on; ``goodbye_s``: how long the goodbyes may take."""
        self._limit_s = limit_s
        self._goodbye_s = goodbye_s
        self.phase = Phase.SERVING
        self.wake_at: float | None = None
        """When :meth:`wake` is to be called; None: never."""
        self.since: float | None = None
        """When the drain began."""
        self.outlasted = False
        """Some call had not ended by the limit."""

    def begin(self, now: float, calls: int, limit_s: float | None = None) -> tuple[Step, ...]:
        """Somebody wants the node to go. A later wish that names another limit changes the limit."""
        if self.phase is Phase.SERVING:
            self.since = now
            limit_s = self._limit_s if limit_s is None else limit_s
            self.phase, self.wake_at = Phase.DRAINING, now + limit_s
            return (Step.CLOSE_DOORS, *self.calls_left(calls))
        if self.phase is Phase.DRAINING and self.since is not None and limit_s is not None:
            self.wake_at = self.since + limit_s
            return self.wake(now, calls)
        return ()

    def resume(self) -> tuple[Step, ...]:
        """The node is to stay after all; ignored once its calls are being said goodbye to."""
        if self.phase is not Phase.DRAINING:
            return ()
        self.phase, self.wake_at, self.since = Phase.SERVING, None, None
        return (Step.OPEN_DOORS,)

    def calls_left(self, calls: int) -> tuple[Step, ...]:
        """So many calls run now."""
        if calls or self.phase not in (Phase.DRAINING, Phase.GOODBYE):
            return ()
        return self._leave()

    def wake(self, now: float, calls: int) -> tuple[Step, ...]:
        """Time has come, perhaps."""
        if self.wake_at is None or now < self.wake_at:
            return ()
        if self.phase is Phase.DRAINING and calls:
            self.outlasted = True
            self.phase, self.wake_at = Phase.GOODBYE, now + self._goodbye_s
            return (Step.SAY_GOODBYE,)
        return self._leave()

    def hurry(self) -> tuple[Step, ...]:
        """Whoever wanted the node to go wants it at once (a second signal)."""
        return () if self.phase in (Phase.SERVING, Phase.DRAINED) else self._leave()

    def _leave(self) -> tuple[Step, ...]:
        self.phase, self.wake_at = Phase.DRAINED, None
        return (Step.LEAVE,)
