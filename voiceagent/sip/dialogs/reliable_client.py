"""PURE. Reliable provisional responses of the callee (RFC 3262 §4): each new one in order gets its PRACK."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.endpoint_core import Core, sdp_or_none
from voiceagent.sip.syntax.grammar_scan import parse_int
from voiceagent.sip.syntax.message import Response

TAG = "100rel"
_MOST_RSEQ = 2**32 - 1


@dataclass(slots=True)
class ReliableBranch:
    """What one early dialog of our INVITE has told reliably."""

    rseq: int = 0
    """RSeq of the last response that was acknowledged; 0: none yet."""
    answer: bytes | None = None
    """The answer to our offer, from the first reliable response that had one."""


def rseq_of(response: Response) -> int | None:
    """Return RSeq of a response that wants a PRACK, else None."""
    value = response.headers.get("RSeq")
    if value is None or response.status == 100:
        return None
    try:
        if not any(tag.lower() == TAG for tag in response.require):
            return None
        return parse_int(value.strip(), "rseq", maximum=_MOST_RSEQ) or None
    except SipError:
        return None


def take_reliable(
    core: Core, branches: dict[str, ReliableBranch], dialog: Dialog, response: Response, rseq: int
) -> bool:
    """Acknowledge a reliable provisional response; False for one that must not be heard (again).

    A repetition is not acknowledged anew (its PRACK repeats itself), and one that skips a number is left to
    be repeated: what it follows is still to come (§4).
    """
    branch = branches.setdefault(dialog.remote_tag, ReliableBranch())
    if branch.rseq and rseq != branch.rseq + 1:
        core.counts["provisional_gap" if rseq > branch.rseq else "provisional_repeated"] += 1
        return False
    branch.rseq = rseq
    if branch.answer is None:
        branch.answer = sdp_or_none(response)
    cseq = response.cseq
    client = core.in_dialog(dialog, "PRACK", headers=(("RAck", f"{rseq} {cseq.number} {cseq.method}"),))
    client.on_response = lambda answer: (
        core.counts.update(("prack_refused",)) if answer.status >= 300 else None
    )
    client.on_timeout = lambda: core.counts.update(("prack_unanswered",))
    client.start()
    return True
