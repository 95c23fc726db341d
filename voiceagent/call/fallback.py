"""The last step for a caller whose provider is gone for good: after the apology, a person, if any."""

from __future__ import annotations

from voiceagent.call.leg import Leg
from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.records.journal import Journal


async def hand_to_people(
    leg: Leg, journal: Journal, outcome: CallOutcome, target: str | None, timeout_s: float
) -> CallOutcome:
    """Transfer the caller to ``target`` where that is configured and possible; return how the call ends."""
    if not target or not leg.capabilities.can_transfer or outcome.kind is not OutcomeClass.PROVIDER:
        return outcome
    result = await leg.transfer(target, timeout_s=timeout_s)
    journal.write("fallback.transfer", target=target, accepted=result.accepted, status=result.status)
    if not result.accepted:
        return outcome
    return CallOutcome(
        OutcomeClass.SUCCESS, "transferred", f"{target}, after {outcome.reason}", result.status
    )
