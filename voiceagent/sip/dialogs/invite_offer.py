"""PURE. Offers within a dialog: re-INVITE and UPDATE, the peer's and ours (RFC 3261 §14, RFC 3311)."""

from __future__ import annotations

from voiceagent.errors import SipError
from voiceagent.sip.address import Address
from voiceagent.sip.attempts import UNREACHABLE
from voiceagent.sip.dialogs import session_timer
from voiceagent.sip.dialogs.invite import Leg, OurOffer, PeerOffer, forget_dialog, send_bye, wait_for_ack
from voiceagent.sip.effects import AnswerReceived, OfferReceived, RefreshRefused, SessionRefreshed
from voiceagent.sip.endpoint_core import SDP, Core, HeaderLines, sdp_of, sdp_or_none
from voiceagent.sip.syntax.message import Response
from voiceagent.sip.transaction import ClientTransaction, InviteServer, ServerTransaction

_GLARE_STEP = 0.01  # RFC 3261 §14.1 counts the back-off in units of 10 ms


def tag_of(leg: Leg) -> str | None:
    """Return our tag, where the leg has a dialog."""
    return None if leg.dialog is None else leg.dialog.local_tag


def retry_after(core: Core) -> HeaderLines:
    """Return the Retry-After of a 500 to an offer that came too early (0–10 s)."""
    return (("Retry-After", str(core.dice(11))),)


# The peer's offers.


def take_reinvite(core: Core, leg: Leg, server: InviteServer) -> None:
    """Tell a re-INVITE, or refuse it while another offer/answer exchange is under way (§14.2).

    491 while an offer of ours is open or our last 2xx is not acknowledged, 500 with Retry-After while one of
    the peer's is.
    """
    if leg.peer_offer is not None or not leg.established:
        core.respond(server, 500, headers=retry_after(core), tag=tag_of(leg))
        return
    if leg.ack_wait is not None or offer_open(leg):
        core.respond(server, 491, tag=tag_of(leg))
        return
    too_small = session_timer.too_small(core, server.request)
    if too_small:
        core.respond(server, 422, headers=too_small, tag=tag_of(leg))
        return
    offer = sdp_of(server.request)
    core.respond(server, 100)
    leg.abilities.learn(server.request)
    if leg.dialog is not None:
        leg.dialog.refresh_target(server.request)
        core.follow(leg, leg.dialog)
    leg.peer_offer = PeerOffer(server, "INVITE", late=offer is None)
    core.emit(OfferReceived(leg.id, "INVITE", offer))


def answer(core: Core, leg: Leg, sdp: bytes) -> None:
    """Answer the peer's open offer with 200; nothing when there is none (it was cancelled meanwhile)."""
    pending, leg.peer_offer = leg.peer_offer, None
    if pending is None:
        return
    server = pending.server
    headers = accepting_headers(core, leg, server)
    if core.respond(server, 200, "", headers, sdp, SDP, tag=tag_of(leg)):
        leg.local_sdp = sdp
        if isinstance(server, InviteServer):
            wait_for_ack(core, leg, server, late_offer=pending.late)
        _settled(leg)


def accepting_headers(core: Core, leg: Leg, transaction: ServerTransaction) -> HeaderLines:
    """Return the headers of our 2xx to a re-INVITE or UPDATE; the session's interval begins anew with it."""
    request = transaction.request
    refreshes = leg.established and request.method in ("INVITE", "UPDATE") and not transaction.answered
    return (
        ("Contact", leg.contact),
        ("Allow", core.allow(leg.trunk)),
        ("Supported", core.supported_text),
        *(session_timer.agree_as_uas(core, leg, request) if refreshes else ()),
    )


def offer_open(leg: Leg) -> bool:
    """Tell whether an offer of ours waits for its answer."""
    ours = leg.our_offer
    return ours is not None and ours.client is not None and ours.sdp is not None


def refuse(core: Core, leg: Leg, status: int) -> None:
    """Refuse the peer's open offer (488 …); the session goes on as it was."""
    pending, leg.peer_offer = leg.peer_offer, None
    if pending is not None:
        core.respond(pending.server, status, tag=tag_of(leg))
        _settled(leg)


def _settled(leg: Leg) -> None:
    """An exchange before the 2xx of the call is over: the 2xx may have waited for it."""
    if leg.reliable is not None and not leg.established:
        leg.reliable.go_on()


# Ours.


def offer(core: Core, leg: Leg, ours: OurOffer) -> None:
    """Send our offer as soon as a refresh of the session timer is over, or raise ``bad_state``."""
    under_way = leg.our_offer
    if under_way is not None and under_way.refresh and under_way.then is None:
        under_way.then = ours
    elif under_way is not None or leg.peer_offer is not None or leg.ack_wait is not None:
        raise SipError("another offer is open", status=491, code="bad_state")
    else:
        send_offer(core, leg, ours)


def send_offer(core: Core, leg: Leg, ours: OurOffer) -> None:
    """Send the re-INVITE or UPDATE that carries our offer (or none: an UPDATE that only refreshes)."""
    dialog = leg.dialog or ours.dialog
    if dialog is None or leg.ended:
        return
    leg.our_offer = ours
    ours.retry = None
    ours.attempts += 1
    client = core.in_dialog(
        dialog,
        ours.method,
        contact=leg.contact,
        headers=(
            ("Allow", core.allow(leg.trunk)),
            ("Supported", core.supported_text),
            *(session_timer.request_headers(leg) if leg.established else ()),
        ),
        body=ours.sdp or b"",
        content_type=SDP,
    )
    ours.client = client
    request = client.request
    acked: list[tuple[bytes, Address]] = []

    def answered(response: Response) -> None:
        status = response.status
        if status < 200:
            return
        if status >= 300:
            _refused(core, leg, ours, status, response)
        elif acked:
            core.wire.send(*acked[0])
        else:
            dialog.refresh_target(response)
            core.follow(leg, dialog)
            if ours.method == "INVITE":
                acked.append(core.ack_2xx(dialog, request))
                core.wire.send(*acked[0])
            _accepted(core, leg, ours, response)

    def replaced(again: ClientTransaction) -> None:
        nonlocal request
        ours.client, request = again, again.request

    client.on_replaced = replaced
    client.on_response = answered
    client.on_timeout = lambda: _refused(core, leg, ours, 408)
    # Counts as 503 (§8.1.3.1): this offer came to nothing, but the dialog need not be lost (§12.2.1.2).
    client.on_unreachable = lambda why: _refused(core, leg, ours, UNREACHABLE)
    client.start()


def _accepted(core: Core, leg: Leg, ours: OurOffer, response: Response) -> None:
    if leg.our_offer is not ours:
        return
    leg.our_offer = None
    if leg.ended:
        return
    leg.abilities.learn(response)
    if leg.established:
        session_timer.agree_as_uac(core, leg, response)
    if ours.sdp is not None:
        leg.local_sdp = ours.sdp
    sdp = sdp_or_none(response)
    if ours.refresh:
        core.counts["session_refreshes"] += 1
        core.emit(SessionRefreshed(leg.id, ours.method, sdp))
    else:
        core.emit(AnswerReceived(leg.id, response.status, sdp))
    _next(core, leg, ours)


def _next(core: Core, leg: Leg, ours: OurOffer) -> None:
    _settled(leg)
    if ours.then is not None and not leg.ended:
        _retry(core, leg, ours.then)


def _refused(core: Core, leg: Leg, ours: OurOffer, status: int, response: Response | None = None) -> None:
    """Try again after glare, end the session where the peer has lost it, else tell the refusal (§14.1)."""
    ours.client = None
    if leg.our_offer is not ours:
        return
    if leg.ended:
        leg.our_offer = None
        return
    delay = _try_again_in(core, leg, ours, status, response)
    if delay is not None:
        ours.retry = core.wire.timers.at(core.wire.now + delay, lambda: _retry(core, leg, ours))
        return
    if ours.refresh and status == UNREACHABLE and response is None:
        status = 408  # time and again: nobody is there
    leg.our_offer = None
    if ours.refresh:
        core.emit(RefreshRefused(leg.id, ours.method, status))
    else:
        core.emit(AnswerReceived(leg.id, status, None))
    if status in (408, 481) and leg.established:
        if status == 408 and leg.dialog is not None:
            send_bye(core, leg, leg.dialog)
        else:
            forget_dialog(core, leg)
        core.end(leg, "failed", status, "the peer lost the dialog")
        return
    if ours.refresh and leg.session is not None:
        if status in (405, 501):
            leg.abilities.refused(ours.method)
        leg.session.refused()
    _next(core, leg, ours)


def _try_again_in(
    core: Core, leg: Leg, ours: OurOffer, status: int, response: Response | None
) -> float | None:
    """Seconds until the same is worth another try: 491 (§14.1), 500 with Retry-After (§14.2), 422, 405.

    And a refresh that the transport could not deliver: the next one may get through.
    """
    if ours.attempts > core.config.glare_retries:
        return None
    if status == 491:
        return glare_delay(core, leg)
    if status == UNREACHABLE and response is None and ours.refresh:
        return session_timer.RETRY_S
    if status == 500 and response is not None:
        wait = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
        return float(wait) if len(wait) <= 2 and wait.isascii() and wait.isdigit() else None
    if status == 422 and response is not None and leg.session is not None:
        return 0.0 if leg.session.raise_interval(response) else None
    if status in (405, 501) and ours.refresh and ours.method == "UPDATE" and leg.local_sdp is not None:
        # It cannot do what its Allow says: then by re-INVITE.
        leg.abilities.refused("UPDATE")
        ours.method, ours.sdp = "INVITE", leg.local_sdp
        return 0.0
    return None


def glare_delay(core: Core, leg: Leg) -> float:
    """Return 2.1–4.0 s for the owner of the Call-ID, 0–2.0 s for the other side, in 10 ms steps (§14.1)."""
    owner = leg.dialog is not None and leg.dialog.initiator
    return (210 + core.dice(191) if owner else core.dice(201)) * _GLARE_STEP


def _retry(core: Core, leg: Leg, ours: OurOffer) -> None:
    ours.retry = None
    leg.our_offer = ours
    if leg.peer_offer is not None or leg.ack_wait is not None:
        # The other side was faster: its exchange first.
        ours.retry = core.wire.timers.at(
            core.wire.now + glare_delay(core, leg) + _GLARE_STEP, lambda: _retry(core, leg, ours)
        )
        return
    send_offer(core, leg, ours)
