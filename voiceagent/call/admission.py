"""PURE. May one more call come in? Refusals say why and when to try again."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.call.config import AdmissionConfig


@dataclass(frozen=True, slots=True)
class Refusal:
    """A SIP answer for a call that is not taken."""

    status: int
    reason: str
    code: str
    retry_after_s: int | None = None


class Admission:
    """Counts calls against the limit; a draining node takes none."""

    def __init__(self, config: AdmissionConfig) -> None:
        self.config = config
        self.live = 0
        self.draining = False

    def enter(self) -> Refusal | None:
        """Take one place, or say why not."""
        if self.draining:
            return Refusal(503, "Service Unavailable", "draining", self.config.retry_after_s)
        if self.live >= self.config.max_calls:
            return Refusal(503, "Service Unavailable", "capacity", self.config.retry_after_s)
        self.live += 1
        return None

    def leave(self) -> None:
        """Give one place back."""
        self.live -= 1
