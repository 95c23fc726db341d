"""PURE. Outbound calls (UAC): INVITE, forks, ACK, CANCEL (RFC 3261 §13.2, §9.1)."""

from __future__ import annotations

from voiceagent.sip.dialog import Dialog
from voiceagent.sip.effects import Address, Answered, InviteProgress
from voiceagent.sip.endpoint_core import SDP, Core, HeaderLines, cancel_for, sdp_or_none
from voiceagent.sip.grammar import quote
from voiceagent.sip.invite import Leg, forget_dialog, send_bye
from voiceagent.sip.message import Request, Response
from voiceagent.sip.transaction import InviteClient
from voiceagent.sip.transaction.reply import fields_of


def start(
    core: Core,
    target_uri: str,
    from_uri: str,
    from_name: str,
    sdp: bytes,
    destination: Address,
    headers: HeaderLines,
) -> Leg:
    """Send an INVITE with our offer and return its leg."""
    leg = Leg(core.tokens(), inbound=False, contact=core.contact())
    sender = f"{quote(from_name)} <{from_uri}>" if from_name else f"<{from_uri}>"
    lines = [
        ("Via", core.via()),
        ("Max-Forwards", "70"),
        ("From", f"{sender};tag={core.tokens()}"),
        ("To", f"<{target_uri}>"),
        ("Call-ID", core.tokens()),
        ("CSeq", "1 INVITE"),
        ("Contact", leg.contact),
        ("Allow", core.allow),
        ("Supported", ", ".join(core.config.supported)),
        *headers,
    ]
    if core.config.user_agent:
        lines.append(("User-Agent", core.config.user_agent))
    lines.append(("Content-Type", SDP))
    request = Request("INVITE", target_uri, fields_of(lines), sdp)
    client = core.layer.open_client(request, destination)
    leg.client = client
    client.on_response = lambda response: _response(core, leg, request, destination, response)
    client.on_timeout = lambda: _no_answer(core, leg)
    core.legs[leg.id] = leg
    core.befriend(leg, destination[0])
    leg.setup_timer = core.wire.timers.at(
        core.wire.now + core.config.setup_limit, lambda: give_up(core, leg, "timeout", 408, "no answer")
    )
    client.start()
    return leg


def _response(core: Core, leg: Leg, request: Request, destination: Address, response: Response) -> None:
    status = response.status
    if status < 200:
        _provisional(core, leg, request, destination, response)
    elif status < 300:
        _success(core, leg, request, destination, response)
    else:
        forget_dialog(core, leg)
        core.end(leg, "rejected", status, response.reason)


def _provisional(core: Core, leg: Leg, request: Request, destination: Address, response: Response) -> None:
    if leg.ended:
        _send_cancel(core, leg)
        return
    tag = response.to.tag
    if response.status > 100 and tag is not None and tag not in leg.early and not leg.established:
        dialog = Dialog.as_uac(request, response, destination)
        leg.early[tag] = dialog
        core.dialogs[dialog.key] = leg
    if response.status > 100 and not leg.established:
        core.emit(InviteProgress(leg.id, response.status, response.reason, sdp_or_none(response), tag or ""))


def _success(core: Core, leg: Leg, request: Request, destination: Address, response: Response) -> None:
    """ACK every 2xx; the first one is the call, those of other branches are ended at once (§13.2.2.4)."""
    tag = response.to.tag or ""
    sent = leg.forks.get(tag)
    if sent is not None:
        core.wire.send(*sent)
        return
    dialog = Dialog.as_uac(request, response, destination)
    early = leg.early.get(tag)
    if early is not None:
        dialog.remote_seq = early.remote_seq
        dialog.local_seq = max(dialog.local_seq, early.local_seq)
    ack = core.ack_2xx(dialog, request.cseq.number)
    leg.forks[tag] = ack
    core.wire.send(*ack)
    if leg.ended or leg.established:
        core.counts["fork_or_late_answer"] += 1
        send_bye(core, leg, dialog)
        return
    forget_dialog(core, leg)
    leg.established = True
    leg.dialog = dialog
    leg.stop_timers(core)
    core.dialogs[dialog.key] = leg
    core.emit(Answered(leg.id, sdp_or_none(response), tag))


def _no_answer(core: Core, leg: Leg) -> None:
    forget_dialog(core, leg)
    core.end(leg, "timeout", 408, "Request Timeout")


def give_up(core: Core, leg: Leg, by: str, status: int | None, reason: str) -> None:
    """End an unanswered call: CANCEL now, or as soon as a provisional response allows it (§9.1)."""
    if leg.established or leg.ended:
        return
    leg.cancel_wanted = True
    heard = leg.client is not None and leg.client.heard
    forget_dialog(core, leg)
    if heard:
        _send_cancel(core, leg)
    core.end(leg, by, status, reason)


def _send_cancel(core: Core, leg: Leg) -> None:
    client = leg.client
    if leg.cancel_sent or not leg.cancel_wanted or not isinstance(client, InviteClient):
        return
    leg.cancel_sent = True
    core.layer.open_client(cancel_for(client.request), client.destination).start()
    client.give_up_in(core.wire.values.give_up)
