"""PURE. PRACK of the peer (RFC 3262 §3, §5): it acknowledges a reliable provisional response of ours."""

from __future__ import annotations

from voiceagent.sip.dialogs.invite import Leg, PeerOffer
from voiceagent.sip.dialogs.reliable_server import ReliableResponses
from voiceagent.sip.effects import AnswerReceived, OfferReceived
from voiceagent.sip.endpoint_core import Core, sdp_of
from voiceagent.sip.transaction import ServerTransaction


def take_prack(core: Core, leg: Leg, transaction: ServerTransaction, tag: str) -> None:
    """Answer a PRACK: 481 where it matches nothing open, else 200, with the answer to its offer (§3, §5)."""
    request = transaction.request
    reliable = leg.reliable
    if reliable is None or not reliable.matches(request.rack):
        core.respond(transaction, 481, tag=tag)
        return
    sdp = sdp_of(request)
    if reliable.offering:
        if sdp is None:
            core.respond(transaction, 400, "Missing Answer", tag=tag)
            return
        reliable.acknowledged()
        core.respond(transaction, 200, tag=tag)
        core.emit(AnswerReceived(leg.id, 200, sdp))
    elif sdp is None:
        reliable.acknowledged()
        core.respond(transaction, 200, tag=tag)
    else:
        _take_offer(core, leg, reliable, transaction, sdp, tag)
    reliable.go_on()


def _take_offer(
    core: Core, leg: Leg, reliable: ReliableResponses, transaction: ServerTransaction, sdp: bytes, tag: str
) -> None:
    reliable.acknowledged()
    if not (reliable.settled or leg.established) or leg.peer_offer is not None or leg.our_offer is not None:
        core.respond(transaction, 491, tag=tag)
        return
    leg.peer_offer = PeerOffer(transaction, "PRACK", late=False)
    core.emit(OfferReceived(leg.id, "PRACK", sdp))
