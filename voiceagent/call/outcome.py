"""How a call ends: one outcome, saying whose side and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voiceagent.call.leg import LegEnd
from voiceagent.errors import MediaError, ProviderError, SipError

FLOW_FAILED = "flow_failed"
"""Reason of calls whose flow raised."""
DRAINED = "drained"
"""Reason of calls that the drain of their node outlasted: they were said goodbye to."""


class OutcomeClass(StrEnum):
    """The five classes of endings."""

    SUCCESS = "success"
    CALLER = "caller"
    """The other party's side: the caller's, or the callee's and the network's towards it."""
    OURS = "ours"
    PROVIDER = "provider"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The one ending of a call. ``reason`` is a stable code, ``detail`` a line for people."""

    kind: OutcomeClass
    reason: str
    detail: str = ""
    status: int | None = None
    then: str = ""
    """After a failed flow, or a drain: what became of the caller (``transferred``, ``caller_hung_up`` …)."""

    @property
    def polite(self) -> bool:
        """True when we end the call and what is still being said may be said to its end."""
        return (self.kind, self.reason) in _POLITE


_POLITE = {
    (OutcomeClass.SUCCESS, "completed"),
    (OutcomeClass.OURS, FLOW_FAILED),
    (OutcomeClass.OURS, DRAINED),
}
_LEG_ENDINGS: dict[LegEnd, tuple[OutcomeClass, str]] = {
    LegEnd.CALLER_HUNG_UP: (OutcomeClass.SUCCESS, "caller_hung_up"),
    LegEnd.CALLER_CANCELLED: (OutcomeClass.CALLER, "caller_cancelled"),
    LegEnd.WE_HUNG_UP: (OutcomeClass.SUCCESS, "completed"),
    LegEnd.REJECTED: (OutcomeClass.OURS, "rejected"),
    LegEnd.NO_ACK: (OutcomeClass.CALLER, "no_ack"),
    LegEnd.NO_MEDIA: (OutcomeClass.CALLER, "no_media"),
    LegEnd.EXPIRED: (OutcomeClass.CALLER, "session_expired"),
    LegEnd.LOST: (OutcomeClass.CALLER, "lost"),
    LegEnd.TRANSFERRED: (OutcomeClass.SUCCESS, "transferred"),
    LegEnd.FAILED: (OutcomeClass.UNKNOWN, "leg_failed"),
    LegEnd.BUSY: (OutcomeClass.CALLER, "busy"),
    LegEnd.DECLINED: (OutcomeClass.CALLER, "declined"),
    LegEnd.NO_ANSWER: (OutcomeClass.CALLER, "no_answer"),
    LegEnd.NOT_FOUND: (OutcomeClass.CALLER, "not_found"),
    LegEnd.UNREACHABLE: (OutcomeClass.CALLER, "unreachable"),
}


def outcome_of_leg(end: LegEnd, status: int | None, detail: str) -> CallOutcome:
    """Return the outcome of a call whose leg ended by itself."""
    kind, reason = _LEG_ENDINGS[end]
    return CallOutcome(kind, reason, detail, status)


def leg_refused(error: MediaError | SipError | ProviderError, status: int | None = None) -> CallOutcome:
    """Return the outcome of a call whose leg could not be prepared or answered."""
    kinds = {SipError: OutcomeClass.CALLER, ProviderError: OutcomeClass.PROVIDER}
    kind = next((kind for fault, kind in kinds.items() if isinstance(error, fault)), OutcomeClass.OURS)
    return CallOutcome(kind, error.code, str(error), status)
