"""PURE. May one more call come in? Refusals say why and when to try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voiceagent.call.config import AdmissionConfig
from voiceagent.call.overload import Overload, spread


@dataclass(frozen=True, slots=True)
class Refusal:
    """A SIP answer for a call that is not taken."""

    status: int
    reason: str
    code: str
    retry_after_s: int | None = None


class Admission:
    """Counts calls against the limit; a draining or overloaded node takes none."""

    def __init__(
        self,
        config: AdmissionConfig,
        *,
        overload: Overload | None = None,
        dice: Callable[[int], int] = lambda sides: sides // 2,
    ) -> None:
        """``dice(n)`` gives a number below ``n``; it spreads Retry-After around the configured mean."""
        self.config = config
        self.overload = overload or Overload(config.overload)
        self._dice = dice
        self.live = 0
        self.draining = False

    def enter(self) -> Refusal | None:
        """Take one place, or say why not."""
        refusal = self.look()
        if refusal is None:
            self.live += 1
        return refusal

    def look(self) -> Refusal | None:
        """Say what :meth:`enter` would say now, and take no place."""
        if self.draining:
            return self._unavailable("draining")
        if self.live >= self.config.max_calls:
            return self._unavailable("capacity")
        if self.overload.shedding:
            return self._unavailable("overload")
        return None

    def again_in_s(self) -> int | None:
        """Return how long to wait before trying again; None while calls are taken."""
        refusal = self.look()
        return None if refusal is None else refusal.retry_after_s

    def _unavailable(self, code: str) -> Refusal:
        wait = spread(self.config.retry_after_s, self._dice)
        return Refusal(503, "Service Unavailable", code, wait)

    def leave(self) -> None:
        """Give one place back."""
        self.live -= 1
