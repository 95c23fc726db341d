"""First and last entry of a call's journal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from voiceagent.call.leg import NO_CLAIMS
from voiceagent.call.outcome import CallOutcome
from voiceagent.claims import CallerClaims

if TYPE_CHECKING:
    from voiceagent.call.call import Call


def write_offer(call: Call) -> None:
    """Write who calls whom, and which flow it is for."""
    info = call.info
    claims = said(info.claims)
    call.journal.write(
        "call.offered",
        call_id=call.id,
        kind=info.kind,
        direction=info.direction,
        caller=info.caller,
        called=info.called,
        **({"dialled": info.dialled, "metadata": call.metadata} if info.dialled else {}),
        **({"trunk": info.trunk} if info.trunk else {}),
        **({"claims": claims} if claims else {}),
        flow=call.flow.name,
        started_at=round(call.started_at, 3),
        **call.origin,
        protocol_call_id=info.protocol_call_id,
    )
    if call.inputs is not None:
        call.inputs.begun()


def said(claims: CallerClaims) -> dict[str, Any]:
    """Return what is claimed, and whether that counts; empty where nothing is."""
    told = {name: value for name, value in asdict(claims).items() if value != getattr(NO_CLAIMS, name)}
    return {} if set(told) <= {"trusted"} else {**told, "trusted": claims.trusted}


def write_end(call: Call, outcome: CallOutcome) -> None:
    """Write how the call ended, and its figures: the journal's last entry."""
    if call.inputs is not None:
        call.inputs.end()
    first_words_s = call.first_words_s
    call.journal.write(
        "call.ended",
        outcome=outcome.kind.value,
        reason=outcome.reason,
        detail=outcome.detail,
        status=outcome.status,
        **({"then": outcome.then} if outcome.then else {}),
        duration_s=round(call.seconds, 3),
        ended_at=round(call.started_at + call.seconds, 3),
        barge_ins=call.barge_ins,
        longest_gap_s=round(call.watch.longest_gap_s, 3),
        first_words_s=None if first_words_s is None else round(first_words_s, 4),
        media=call.leg.figures(),
    )
