"""The one shape of every pure core: events and the time in, effects out, one deadline.

A machine never waits, and owns no clock, socket, dice or log. A driver feeds it, performs the
effects in order with no await in between, and re-arms one timer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

EventT = TypeVar("EventT", contravariant=True)
EffectT = TypeVar("EffectT", covariant=True)


class Machine(Protocol[EventT, EffectT]):
    """What a driver needs of a pure core. Times are seconds of a monotonic clock."""

    def handle(self, event: EventT, now: float) -> Sequence[EffectT]:
        """Take one event and return what must be done, in order."""
        ...

    def wake_at(self) -> float | None:
        """Return the earliest time at which :meth:`wake` must be called, or None."""
        ...

    def wake(self, now: float) -> Sequence[EffectT]:
        """Do what has become due at ``now``. Calling early is harmless."""
        ...
