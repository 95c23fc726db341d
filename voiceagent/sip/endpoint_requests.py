"""PURE. Where a request goes: repetition, ACK, CANCEL, dialog, new call, refusal (RFC 3261 §8.2, §12.2)."""

from __future__ import annotations

from voiceagent.errors import SipError
from voiceagent.sip.address import Address
from voiceagent.sip.check import Refusal, check_request
from voiceagent.sip.config import KNOWN_METHODS
from voiceagent.sip.dialogs.dialog import address_of
from voiceagent.sip.dialogs.info import take_info
from voiceagent.sip.dialogs.invite import Leg, ack_for_2xx, forget_dialog, refuse_pending
from voiceagent.sip.dialogs.invite_offer import take_reinvite
from voiceagent.sip.dialogs.invite_server import cancelled, new_call
from voiceagent.sip.dialogs.options import answer_options, capabilities
from voiceagent.sip.dialogs.prack import take_prack
from voiceagent.sip.dialogs.refer import take_notify
from voiceagent.sip.dialogs.refer_taken import take_refer, tell_refused
from voiceagent.sip.dialogs.replaces import replaced_leg
from voiceagent.sip.dialogs.update import take_update
from voiceagent.sip.effects import Dropped
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.limits import DEFAULT
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.transaction import InviteServer, ServerTransaction
from voiceagent.sip.transaction.layer import server_key
from voiceagent.sip.transaction.reply import reply_address
from voiceagent.sip.trunk.endpoint_gate import let_in
from voiceagent.sip.trunk.gatekeeper import Gate

_OPEN_DOOR = Gate("", "passed")
"""Where there are no trunks, the address was all that had to be known."""


def take_request(core: Core, request: Request, source: Address) -> None:
    """Handle one well-formed request from an accepted source."""
    method = request.method
    layer = core.layer
    if method == "ACK":
        _take_ack(core, request, source)
        return
    key = server_key(request, method)
    known = layer.find_server(key)
    if known is not None:
        core.counts["repeated_requests"] += 1
        known.repeated()
        return
    verdict = _OPEN_DOOR if core.gate is None else let_in(core, core.gate, request, source)
    if verdict is None:
        return
    if source.flow > 0 and "alias" in request.via.params and not verdict.status:
        core.flows.alias(source, request.via.port)  # only now: nobody unproven may draw our calls to himself
    if len(layer) >= core.config.max_transactions:
        core.counts["over_max_transactions"] += 1
        core.respond_stateless(request, source, 503, headers=(("Retry-After", str(5 + core.dice(11))),))
        return
    merged = request.to.tag is None and layer.is_merged(request)
    transaction = layer.open_server(key, request, source, reply_address(request, source))
    if verdict.status:
        allow = (("Allow", core.allow(verdict.trunk)),) if verdict.status == 405 else ()
        core.respond(transaction, verdict.status, headers=(*allow, *verdict.headers))
        return
    if not core.takes(method):
        status = 405 if method in KNOWN_METHODS else 501
        if method == "REFER":
            _refer_refused(core, request, source)
        core.respond(transaction, status, headers=(("Allow", core.allow(verdict.trunk)),))
        return
    refusal = check_request(request, supported=core.supported, accept=core.config.body_types)
    if refusal is not None:
        core.respond(transaction, refusal.status, refusal.reason, refusal.headers)
        return
    try:
        _route(core, request, source, transaction, merged=merged, trunk=verdict.trunk)
    except SipError as error:
        # A header or body that only this step had to read turned out to be malformed.
        core.respond(transaction, error.status)


def _route(
    core: Core, request: Request, source: Address, transaction: ServerTransaction, *, merged: bool, trunk: str
) -> None:
    method = request.method
    if method == "CANCEL":
        _take_cancel(core, request, source, transaction)
    elif request.to.tag is not None:
        _within_dialog(core, request, source, transaction)
    elif merged:
        core.respond(transaction, 482)
    elif method == "INVITE":
        _new_invite(core, transaction, trunk)
    elif method == "OPTIONS":
        answer_options(core, transaction, trunk)
    elif method == "REFER":
        core.respond(transaction, 403)
    else:
        core.respond(transaction, 481)


def _new_invite(core: Core, server: ServerTransaction, trunk: str) -> None:
    if not isinstance(server, InviteServer):
        return
    if server.request.contact is None and server.request.via.is_rfc3261:
        # Only a phone of RFC 2543 may leave it out; then From says where the caller is (RFC 4475 §3.4.1).
        core.respond(server, 400, "Missing Contact")
    elif core.head_of(server).size > DEFAULT.answer_head:
        core.respond(server, 513)
    elif len(core.legs) >= core.config.max_legs:
        core.counts["over_max_legs"] += 1
        core.respond(server, 503, headers=(("Retry-After", str(5 + core.dice(11))),))
    else:
        replaced = replaced_leg(core, server.request, server.source, trunk)
        if isinstance(replaced, Refusal):
            core.respond(server, replaced.status, replaced.reason)
        else:
            new_call(core, server, trunk=trunk, replaces="" if replaced is None else replaced.id)


def _leg_of(core: Core, request: Request, source: Address) -> Leg | None:
    """Return the leg whose dialog ``request`` belongs to, if ``source`` may speak in it."""
    leg = core.dialogs.get((request.call_id, request.to.tag or "", request.from_.tag or ""))
    if leg is None:
        return None
    dialog = leg.dialog or leg.early.get(request.from_.tag or "")
    if dialog is None or core.config.dialog_peer(dialog.peer, source):
        return leg
    hops = (core.next_hop(dialog), address_of(dialog.target))
    if any(hop is not None and hop[0] == source[0] for hop in hops):
        return leg
    core.counts["foreign_dialog_source"] += 1
    return None


def _take_ack(core: Core, request: Request, source: Address) -> None:
    transaction = core.layer.find_server(server_key(request, "INVITE"))
    if isinstance(transaction, InviteServer):
        transaction.ack_received(request)
        return
    leg = _leg_of(core, request, source)
    if leg is None or not ack_for_2xx(core, leg, request):
        core.counts["stray_ack"] += 1
        if leg is None:
            core.emit(Dropped("stray_ack", source))


def _take_cancel(core: Core, request: Request, source: Address, transaction: ServerTransaction) -> None:
    """200 to the CANCEL and 487 to its INVITE; 200 only when that was answered; 481 without it (§9.2).

    The CANCEL must come from where the INVITE came from: no other hop knows its branch.
    """
    target = core.layer.find_server(server_key(request, "INVITE"))
    if not isinstance(target, InviteServer) or not core.config.dialog_peer(target.source, source):
        core.respond(transaction, 481)
        return
    leg = target.owner if isinstance(target.owner, Leg) else None
    core.respond(transaction, 200, tag=None if leg is None or leg.dialog is None else leg.dialog.local_tag)
    if leg is None or target.answered:
        return
    if leg.server is target:
        cancelled(core, leg, request.headers.get("Reason") or "")
    else:
        refuse_pending(core, leg)


def _within_dialog(core: Core, request: Request, source: Address, transaction: ServerTransaction) -> None:
    leg = _leg_of(core, request, source)
    if leg is None:
        core.respond(transaction, 481)
        return
    dialog = leg.dialog or leg.early.get(request.from_.tag or "")
    if dialog is not None and not dialog.in_order(request.cseq.number):
        core.respond(transaction, 500, "CSeq Out of Order")
        return
    method = request.method
    if core.gate is not None:
        core.gate.clean(request.headers, leg.trunk)
        if not core.gate.may_use(leg.trunk, method):
            core.respond(transaction, 405, headers=(("Allow", core.allow(leg.trunk)),))
            return
    transaction.owner = leg
    if method == "BYE":
        _take_bye(core, leg, transaction)
    elif method == "NOTIFY":
        take_notify(core, leg, transaction)
    elif leg.ended:
        core.respond(transaction, 481)
    elif method == "INVITE" and isinstance(transaction, InviteServer):
        take_reinvite(core, leg, transaction)
    elif method == "UPDATE" and dialog is not None:
        take_update(core, leg, transaction, dialog)
    elif method == "PRACK" and dialog is not None:
        take_prack(core, leg, transaction, dialog.local_tag)
    elif method == "INFO":
        take_info(core, leg, transaction)
    elif method == "OPTIONS":
        answer_options(core, transaction, leg.trunk, tag=request.to.tag)
    elif method == "REFER":
        take_refer(core, leg, transaction)
    else:
        core.respond(transaction, 501, headers=capabilities(core, leg.trunk))


def _take_bye(core: Core, leg: Leg, transaction: ServerTransaction) -> None:
    """End the session and what was open in it (§15.1.2). A BYE that crosses ours gets its 200 too."""
    reason = transaction.request.headers.get("Reason") or ""
    core.respond(transaction, 200)
    if leg.ack_wait is not None:
        leg.ack_wait.stop()
        leg.ack_wait = None
    refuse_pending(core, leg)
    server, dialog = leg.server, leg.dialog
    if server is not None and dialog is not None and not server.answered:
        core.respond(server, 487, tag=dialog.local_tag)
    core.end(leg, "peer", None, reason)
    lingering = leg.refers_in or any(not referral.final for referral in leg.referrals.values())
    if lingering:
        # The subscription outlives the session (RFC 5057 §4.1): its NOTIFYs still get their 200 for a while.
        core.wire.timers.at(core.wire.now + core.wire.values.give_up, lambda: forget_dialog(core, leg))
    else:
        forget_dialog(core, leg)


def _refer_refused(core: Core, request: Request, source: Address) -> None:
    if request.to.tag is not None:
        leg = _leg_of(core, request, source)
        if leg is not None:
            tell_refused(core, leg, request)
