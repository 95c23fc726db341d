"""PURE. REFER of ours, blind or attended, and the NOTIFYs that tell its outcome (RFC 3515, RFC 6665)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceagent.sip.effects import ReferProgress
from voiceagent.sip.syntax.message import Response
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from voiceagent.sip.dialogs.invite import Leg
    from voiceagent.sip.endpoint_core import Core, HeaderLines

SIPFRAG = "message/sipfrag"


@dataclass(slots=True)
class Referral:
    """A REFER of ours: its implicit subscription, identified by the REFER's CSeq number."""

    number: int
    final: bool = False
    status: int = 100
    reason: str = "Trying"
    timer: Timer | None = None


def parse_sipfrag(body: bytes) -> tuple[int, str] | None:
    """Read the status line of a sipfrag (RFC 3420): status and reason, or None."""
    line = body.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r")
    parts = line.decode("utf-8", "replace").split(" ", 2)
    if len(parts) < 2 or not parts[0].upper().startswith("SIP/2.0"):
        return None
    code = parts[1]
    if len(code) != 3 or not code.isascii() or not code.isdigit() or not "1" <= code[0] <= "6":
        return None
    return int(code), parts[2].strip() if len(parts) > 2 else ""


def send_refer(core: Core, leg: Leg, target: str, headers: HeaderLines) -> None:
    """Ask the peer to call ``target`` (a URI; angle brackets are added where missing)."""
    dialog = leg.dialog
    if dialog is None:
        return
    refer_to = target if "<" in target else f"<{target}>"
    client = core.in_dialog(
        dialog,
        "REFER",
        contact=leg.contact,
        headers=(("Refer-To", refer_to), ("Referred-By", _address_only(dialog.local)), *headers),
    )
    referral = Referral(client.request.cseq.number)
    leg.referrals[referral.number] = referral

    def finish(status: int, reason: str) -> None:
        _progress(core, leg, referral, status, reason, final=True)

    def answered(response: Response) -> None:
        status = response.status
        if status < 200:
            return
        if status < 300:
            if not referral.final:
                core.emit(ReferProgress(leg.id, status, response.reason, final=False))
            if response.headers.get("Refer-Sub") == "false":
                finish(status, response.reason)  # RFC 4488: nobody will tell us more
        else:
            finish(status, response.reason)

    def replaced(again: ClientTransaction) -> None:
        """The REFER was challenged and goes out again: its new number names the subscription."""
        leg.referrals.pop(referral.number, None)
        referral.number = again.request.cseq.number
        leg.referrals[referral.number] = referral

    client.on_replaced = replaced
    client.on_response = lambda response: None if leg.ended else answered(response)
    client.on_timeout = lambda: finish(408, "Request Timeout")
    referral.timer = core.wire.timers.at(
        core.wire.now + core.config.refer_limit, lambda: finish(408, "no final NOTIFY")
    )
    client.start()


def _address_only(value: str) -> str:
    return value.partition(";tag=")[0]


def _progress(core: Core, leg: Leg, referral: Referral, status: int, reason: str, *, final: bool) -> None:
    if referral.final:
        return
    referral.status, referral.reason = status, reason
    if final:
        referral.final = True
        core.wire.timers.cancel(referral.timer)
        referral.timer = None
        leg.referrals.pop(referral.number, None)
    if not leg.ended:
        core.emit(ReferProgress(leg.id, status, reason, final))


def take_notify(core: Core, leg: Leg, transaction: ServerTransaction) -> None:
    """Answer a NOTIFY within the dialog and tell what it says of our REFER.

    It is final when the subscription is terminated or the reported status is; a subscription that ends
    without a final status is told as 408 with the state's reason. A NOTIFY that belongs to no REFER of ours
    gets 481, one of another event package 489.
    """
    request = transaction.request
    event, _, params = (request.headers.get("Event") or "").partition(";")
    if event.strip().lower() != "refer":
        core.respond(transaction, 489, headers=(("Allow-Events", "refer"),))
        return
    referral = _referral_of(leg, params)
    if referral is None:
        core.respond(transaction, 481)
        return
    content = request.content_type
    if request.body and content != SIPFRAG:
        core.respond(transaction, 415, headers=(("Accept", SIPFRAG),))
        return
    core.respond(transaction, 200)
    state, _, state_params = (request.headers.get("Subscription-State") or "").partition(";")
    ended = state.strip().lower() == "terminated"
    told = parse_sipfrag(request.body)
    status, reason = told or (referral.status, referral.reason)
    if ended and status < 200:
        # Nobody will tell the outcome any more: for us that is a transfer without success.
        status, reason = 408, state_params.strip() or reason
    _progress(core, leg, referral, status, reason, final=ended or status >= 200)


def _referral_of(leg: Leg, params: str) -> Referral | None:
    for param in params.split(";"):
        name, _, value = param.strip().partition("=")
        if name.lower() == "id":
            return leg.referrals.get(int(value)) if value.isascii() and value.isdigit() else None
    # Without an id it belongs to the first REFER of the dialog (RFC 3515 §2.4.6): the oldest open one.
    return next(iter(leg.referrals.values()), None)
