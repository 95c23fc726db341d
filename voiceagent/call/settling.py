"""What the end of a response request means: for the record, the transcript, the provider's health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.call.provider_health import ProviderHealth
from voiceagent.realtime.requests import Outcome, OutcomeKind

if TYPE_CHECKING:
    from voiceagent.call.call import Call


class Settling:
    """Takes the ends of all requests of one call."""

    __slots__ = ("_call", "_health")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._health = ProviderHealth()

    def settled(self, request_id: str, outcome: Outcome) -> None:
        """A response request has ended: note it, and fix the transcript to what was heard."""
        call = self._call
        if not call.ledger.settled(request_id, outcome):
            return
        call.journal.write("response.ended", request_id=request_id, outcome=outcome)
        entry = call.ledger.get(request_id)
        verdict = self._health.judge(entry.request.origin if entry is not None else None, outcome)
        if verdict is not None:
            call.ending.provider_failed(verdict.outcome, final=verdict.final)
        if outcome.response_id is not None:
            call.transcript.heard(
                outcome.response_id, call.seconds, outcome.heard_text, outcome.text, cut=outcome.interrupted
            )

    def all_lost(self, reason: str) -> None:
        """The call is over: whatever is still open ends with it."""
        for entry in self._call.ledger.open():
            self.settled(entry.request.id, Outcome(OutcomeKind.LOST, reason=reason))
