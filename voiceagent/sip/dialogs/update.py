"""PURE. UPDATE (RFC 3311), the peer's and ours, in early and confirmed dialogs."""

from __future__ import annotations

from voiceagent.errors import SipError
from voiceagent.sip.dialogs import session_timer
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.dialogs.invite import Leg, OurOffer, PeerOffer
from voiceagent.sip.dialogs.invite_offer import accepting_headers, offer, offer_open, retry_after
from voiceagent.sip.effects import OfferReceived
from voiceagent.sip.endpoint_core import Core, sdp_of
from voiceagent.sip.transaction import ServerTransaction


def take_update(core: Core, leg: Leg, transaction: ServerTransaction, dialog: Dialog) -> None:
    """Tell an UPDATE with an offer; one without refreshes target and session and is answered here (§5.2).

    With an offer: 491 while one of ours is open, 500 with Retry-After while one of the peer's is.
    """
    request = transaction.request
    offered = sdp_of(request)
    tag = dialog.local_tag
    if offered is not None:
        if leg.peer_offer is not None or _invite_unanswered(leg):
            core.respond(transaction, 500, headers=retry_after(core), tag=tag)
            return
        if offer_open(leg) or _our_invite_unanswered(leg, dialog):
            core.respond(transaction, 491, tag=tag)
            return
    too_small = session_timer.too_small(core, request)
    if too_small:
        core.respond(transaction, 422, headers=too_small, tag=tag)
        return
    dialog.refresh_target(request)
    core.follow(leg, dialog)
    leg.abilities.learn(request)
    if offered is None:
        core.respond(transaction, 200, headers=accepting_headers(core, leg, transaction), tag=tag)
        return
    leg.peer_offer = PeerOffer(transaction, "UPDATE", late=False)
    core.emit(OfferReceived(leg.id, "UPDATE", offered))


def _invite_unanswered(leg: Leg) -> bool:
    """The caller's offer in its INVITE has no answer that it is known to have (§5.2: 500)."""
    if not leg.inbound or leg.established:
        return False
    reliable = leg.reliable
    return reliable is None or not (reliable.settled or reliable.offering)


def _our_invite_unanswered(leg: Leg, dialog: Dialog) -> bool:
    """An offer of ours in INVITE, reliable response or 2xx has no answer yet (§5.2: 491)."""
    if leg.established:
        return leg.ack_wait is not None and leg.ack_wait.late_offer
    if leg.inbound:
        return leg.reliable is not None and leg.reliable.offering
    return not _answered_reliably(leg, dialog)


def _answered_reliably(leg: Leg, dialog: Dialog) -> bool:
    branch = leg.branches.get(dialog.remote_tag)
    return branch is not None and branch.answer is not None


def send_update(core: Core, leg: Leg, sdp: bytes | None) -> None:
    """Send UPDATE; AnswerReceived follows. Raises SipError ``bad_state`` where §5.1 forbids it."""
    if leg.abilities.allows is not None and not leg.abilities.takes("UPDATE"):
        raise SipError("the peer does not take UPDATE", status=405, code="bad_state")
    dialog = leg.dialog if leg.established else _early_dialog(leg, offering=sdp is not None)
    if dialog is None:
        raise SipError("not before the first offer was answered reliably", status=491, code="bad_state")
    offer(core, leg, OurOffer(sdp, "UPDATE", dialog=dialog))


def _early_dialog(leg: Leg, *, offering: bool) -> Dialog | None:
    """Return the early dialog for an UPDATE: the newest, with an offer the newest answered one."""
    if leg.inbound:
        rung = leg.server is not None and leg.server.status > 100
        settled = leg.reliable is not None and leg.reliable.settled
        accepting = leg.reliable is not None and leg.reliable.accepting is not None
        return leg.dialog if rung and not accepting and (settled or not offering) else None
    early = [one for one in leg.early.values() if not offering or _answered_reliably(leg, one)]
    return early[-1] if early else None
