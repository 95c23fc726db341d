"""PURE. Offers within a dialog: re-INVITE and UPDATE, the peer's and ours (RFC 3261 §14, RFC 3311)."""

from __future__ import annotations

from voiceagent.sip.effects import Address, AnswerReceived, OfferReceived
from voiceagent.sip.endpoint_core import SDP, Core, HeaderLines, sdp_of, sdp_or_none
from voiceagent.sip.invite import Leg, OurOffer, PeerOffer, forget_dialog, send_bye, wait_for_ack
from voiceagent.sip.message import Response
from voiceagent.sip.transaction import ClientTransaction, InviteServer, ServerTransaction

_GLARE_STEP = 0.01  # RFC 3261 §14.1 counts the back-off in units of 10 ms


def _tag(leg: Leg) -> str | None:
    return None if leg.dialog is None else leg.dialog.local_tag


def _retry_after(core: Core) -> HeaderLines:
    return (("Retry-After", str(core.dice(11))),)


# The peer's offers.


def take_reinvite(core: Core, leg: Leg, server: InviteServer) -> None:
    """Tell a re-INVITE, or refuse it while another offer/answer exchange is under way (§14.2).

    491 while an offer of ours is open or our last 2xx is not acknowledged, 500 with Retry-After while one of
    the peer's is.
    """
    if leg.peer_offer is not None or not leg.established:
        core.respond(server, 500, headers=_retry_after(core), tag=_tag(leg))
        return
    if leg.ack_wait is not None or (leg.our_offer is not None and leg.our_offer.client is not None):
        core.respond(server, 491, tag=_tag(leg))
        return
    offer = sdp_of(server.request)
    core.respond(server, 100)
    if leg.dialog is not None:
        leg.dialog.refresh_target(server.request)
    leg.peer_offer = PeerOffer(server, "INVITE", late=offer is None)
    core.emit(OfferReceived(leg.id, "INVITE", offer))


def take_update(core: Core, leg: Leg, transaction: ServerTransaction) -> None:
    """Tell an UPDATE with an offer; one without refreshes the target and is answered here (RFC 3311 §5.2)."""
    request = transaction.request
    dialog = leg.dialog
    offer = sdp_of(request)
    if offer is None:
        if dialog is not None:
            dialog.refresh_target(request)
        core.respond(
            transaction, 200, headers=(("Contact", leg.contact), ("Allow", core.allow)), tag=_tag(leg)
        )
        return
    if leg.peer_offer is not None or not leg.established:
        core.respond(transaction, 500, headers=_retry_after(core), tag=_tag(leg))
        return
    waits_for_answer = leg.ack_wait is not None and leg.ack_wait.late_offer
    if waits_for_answer or (leg.our_offer is not None and leg.our_offer.client is not None):
        core.respond(transaction, 491, tag=_tag(leg))
        return
    if dialog is not None:
        dialog.refresh_target(request)
    leg.peer_offer = PeerOffer(transaction, "UPDATE", late=False)
    core.emit(OfferReceived(leg.id, "UPDATE", offer))


def answer(core: Core, leg: Leg, sdp: bytes) -> None:
    """Answer the peer's open offer with 200; nothing when there is none (it was cancelled meanwhile)."""
    pending, leg.peer_offer = leg.peer_offer, None
    if pending is None:
        return
    headers = (("Contact", leg.contact), ("Allow", core.allow))
    server = pending.server
    if core.respond(server, 200, "", headers, sdp, SDP, tag=_tag(leg)) and isinstance(server, InviteServer):
        wait_for_ack(core, leg, server, late_offer=pending.late)


def refuse(core: Core, leg: Leg, status: int) -> None:
    """Refuse the peer's open offer (488 …); the session goes on as it was."""
    pending, leg.peer_offer = leg.peer_offer, None
    if pending is not None:
        core.respond(pending.server, status, tag=_tag(leg))


# Ours.


def send_offer(core: Core, leg: Leg, ours: OurOffer) -> None:
    """Send the re-INVITE that carries our offer."""
    dialog = leg.dialog
    if dialog is None or leg.ended:
        return
    leg.our_offer = ours
    ours.retry = None
    ours.attempts += 1
    headers = (("Allow", core.allow), ("Supported", ", ".join(core.config.supported)))
    client = core.in_dialog(
        dialog, "INVITE", contact=leg.contact, headers=headers, body=ours.sdp, content_type=SDP
    )
    ours.client = client
    number = client.request.cseq.number
    acked: list[tuple[bytes, Address]] = []

    def answered(response: Response) -> None:
        status = response.status
        if status < 200:
            return
        if status < 300:
            if not acked:
                dialog.refresh_target(response)
                acked.append(core.ack_2xx(dialog, number))
                core.wire.send(*acked[0])
                _settled(core, leg, status, sdp_or_none(response))
            else:
                core.wire.send(*acked[0])
            return
        _refused(core, leg, ours, status)

    def replaced(again: ClientTransaction) -> None:
        nonlocal number
        ours.client, number = again, again.request.cseq.number

    client.on_replaced = replaced
    client.on_response = answered
    client.on_timeout = lambda: _refused(core, leg, ours, 408)
    client.start()


def _settled(core: Core, leg: Leg, status: int, sdp: bytes | None) -> None:
    leg.our_offer = None
    if not leg.ended:
        core.emit(AnswerReceived(leg.id, status, sdp))


def _refused(core: Core, leg: Leg, ours: OurOffer, status: int) -> None:
    """Try again after glare, end the session where the peer has lost it, else tell the refusal (§14.1)."""
    ours.client = None
    if leg.ended:
        leg.our_offer = None
        return
    if status == 491 and ours.attempts <= core.config.glare_retries:
        ours.retry = core.wire.timers.at(
            core.wire.now + glare_delay(core, leg), lambda: _retry(core, leg, ours)
        )
        return
    _settled(core, leg, status, None)
    if status in (408, 481):
        if status == 408 and leg.dialog is not None:
            send_bye(core, leg, leg.dialog)
        else:
            forget_dialog(core, leg)
        core.end(leg, "failed", status, "the peer lost the dialog")


def glare_delay(core: Core, leg: Leg) -> float:
    """Return 2.1–4.0 s for the owner of the Call-ID, 0–2.0 s for the other side, in 10 ms steps (§14.1)."""
    owner = leg.dialog is not None and leg.dialog.initiator
    return (210 + core.dice(191) if owner else core.dice(201)) * _GLARE_STEP


def _retry(core: Core, leg: Leg, ours: OurOffer) -> None:
    ours.retry = None
    if leg.peer_offer is not None or leg.ack_wait is not None:
        # The other side was faster: its exchange first.
        ours.retry = core.wire.timers.at(
            core.wire.now + glare_delay(core, leg) + _GLARE_STEP, lambda: _retry(core, leg, ours)
        )
        return
    send_offer(core, leg, ours)
