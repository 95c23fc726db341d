"""PURE. Inbound calls (UAS): from INVITE to our 2xx or refusal, and CANCEL (RFC 3261 §13.3, §9.2)."""

from __future__ import annotations

from voiceagent.errors import SipError
from voiceagent.sip.dialogs import session_timer
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.dialogs.invite import Leg, forget_dialog, wait_for_ack
from voiceagent.sip.dialogs.reliable_server import ReliableResponses, wants_reliable
from voiceagent.sip.dialogs.session_refresh import watch_session
from voiceagent.sip.effects import InviteReceived
from voiceagent.sip.endpoint_core import SDP, Core, HeaderLines, sdp_of
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.transaction import InviteServer

_SHOWN_ELSEWHERE = frozenset(
    {"Via", "From", "To", "Call-ID", "CSeq", "Content-Length", "Content-Type", "Max-Forwards"}
)


def new_call(core: Core, server: InviteServer, *, trunk: str = "", replaces: str = "") -> None:
    """Open a leg for an INVITE outside of dialogs, say 100 Trying, and offer it to the application.

    ``replaces`` is the leg that it is to take the place of.
    """
    request = server.request
    reliable = wants_reliable(core, request)
    if reliable is None and core.config.reliable_provisionals == "required":
        core.respond(server, 421, headers=(("Require", "100rel"),))
        return
    too_small = session_timer.too_small(core, request)
    if too_small:
        core.respond(server, 422, headers=too_small)
        return
    called = _user_of(request)
    offer = sdp_of(request)
    contact = core.contact(server.source, called, secure=_wants_sips(request))
    leg = Leg(core.tokens(), inbound=True, contact=contact, trunk=trunk)
    leg.dialog = Dialog.as_uas(request, core.tokens(), server.source)
    core.respond(server, 100)
    leg.server = server
    server.owner = leg
    leg.late_offer = offer is None
    leg.abilities.learn(request)
    watch_session(core, leg)
    if reliable is not None:
        leg.reliable = ReliableResponses(
            core,
            leg,
            always=reliable,
            on_accept=lambda sdp: accept(core, leg, sdp),
            on_no_prack=lambda: refuse(core, leg, 504, "No PRACK", by="no_ack"),
        )
    core.begin(leg)
    core.dialogs[leg.dialog.key] = leg
    core.follow(leg, leg.dialog)
    leg.setup_timer = core.wire.timers.at(
        core.wire.now + core.config.setup_limit, lambda: _set_up_too_long(core, leg)
    )
    server.on_no_ack = lambda: core.counts.update(("refusal_not_acknowledged",))
    caller = request.from_
    try:
        caller_user = caller.uri.user
    except SipError:
        caller_user = ""
    core.emit(
        InviteReceived(
            leg=leg.id,
            call_id=request.call_id,
            source=server.source,
            request_uri=request.uri,
            called_user=called,
            caller_uri=caller.uri_text,
            caller_user=caller_user,
            caller_name=caller.display,
            offer=offer,
            headers=tuple(item for item in request.headers.items() if item[0] not in _SHOWN_ELSEWHERE),
            all_headers=tuple(request.headers.items()),
            replaces=replaces,
            trunk=trunk,
            trusted=core.gate is not None and core.gate.trusts(trunk),
        )
    )


def _wants_sips(request: Request) -> bool:
    """Tell whether our Contact must be a SIPS URI (§12.1.1)."""
    routes = request.record_route
    last = routes[0].uri_text if routes else request.contact.uri_text if request.contact is not None else ""
    return request.uri[:5].lower() == "sips:" or last[:5].lower() == "sips:"


def _user_of(request: Request) -> str:
    try:
        return request.request_uri.user
    except SipError:
        return ""


def _set_up_too_long(core: Core, leg: Leg) -> None:
    leg.setup_timer = None
    refuse(core, leg, 480, by="timeout")


def progress(core: Core, leg: Leg, status: int, sdp: bytes | None) -> None:
    """Send a provisional response (101–199), and again each minute so that proxies do not give up."""
    server, dialog = leg.server, leg.dialog
    if server is None or dialog is None or server.answered:
        return
    reliable = leg.reliable
    if reliable is not None and reliable.accepting is not None:
        return
    if reliable is not None and (reliable.always or sdp is not None):
        reliable.send(status, sdp)
        _keep_ringing(core, leg, server, status)
        return
    headers = (("Contact", leg.contact), ("Allow", core.allow(leg.trunk)))
    if core.respond(server, status, "", headers, sdp or b"", SDP, tag=dialog.local_tag):
        _keep_ringing(core, leg, server, status)


def _keep_ringing(core: Core, leg: Leg, server: InviteServer, status: int) -> None:
    timers = core.wire.timers
    timers.cancel(leg.ring_timer)

    def again() -> None:
        if server.answered or server.last_response is None:
            return
        if leg.reliable is not None:
            progress(core, leg, status, None)  # an acknowledged one may not be repeated (RFC 3262 §3)
        else:
            server.repeated()
            _keep_ringing(core, leg, server, status)

    leg.ring_timer = timers.at(core.wire.now + core.config.ring_refresh, again)


def accept(core: Core, leg: Leg, sdp: bytes) -> None:
    """Send 200 with ``sdp``: our answer, or our offer where the INVITE had none. Once only.

    It waits for the PRACK of a provisional response with SDP, and has no SDP itself after one.
    """
    server, dialog = leg.server, leg.dialog
    if server is None or dialog is None or server.answered:
        return
    reliable = leg.reliable
    if reliable is not None and not reliable.may_accept(sdp):
        return
    leg.established = True
    leg.stop_setup(core)
    settled = reliable is not None and reliable.settled
    if not settled:
        leg.local_sdp = sdp
    headers = (
        ("Contact", leg.contact),
        ("Allow", core.allow(leg.trunk)),
        ("Supported", core.supported_text),
        *session_timer.agree_as_uas(core, leg, server.request),
    )
    core.respond(server, 200, "", headers, b"" if settled else sdp, SDP, tag=dialog.local_tag)
    wait_for_ack(core, leg, server, late_offer=leg.late_offer and not settled)


def refuse(
    core: Core, leg: Leg, status: int, reason: str = "", headers: HeaderLines = (), *, by: str = "rejected"
) -> None:
    """Send a final refusal (300–699) and end the leg."""
    server, dialog = leg.server, leg.dialog
    if server is None or dialog is None or server.answered:
        return
    core.respond(server, status, reason, headers, tag=dialog.local_tag)
    forget_dialog(core, leg)
    core.end(leg, by, status, reason)


def cancelled(core: Core, leg: Leg, reason: str) -> None:
    """The caller gave up before we answered: 487 to the INVITE (the CANCEL has its 200)."""
    server, dialog = leg.server, leg.dialog
    if server is None or dialog is None or server.answered:
        return
    core.respond(server, 487, tag=dialog.local_tag)
    forget_dialog(core, leg)
    core.end(leg, "cancelled", 487, reason)
