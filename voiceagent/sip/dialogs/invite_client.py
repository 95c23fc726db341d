"""PURE. Outbound calls (UAC): INVITE, forks, ACK, CANCEL (RFC 3261 §13.2, §9.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voiceagent.sip.address import Address
from voiceagent.sip.attempts import SILENT, Attempts
from voiceagent.sip.dialogs import session_timer
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.dialogs.invite import Leg, forget_dialog, send_bye
from voiceagent.sip.dialogs.reliable_client import rseq_of, take_reliable
from voiceagent.sip.dialogs.session_refresh import watch_session
from voiceagent.sip.effects import Answered, AnswerReceived, InviteProgress
from voiceagent.sip.endpoint_core import SDP, Core, HeaderLines, cancel_for, sdp_or_none
from voiceagent.sip.syntax.grammar import quote
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.transaction import ClientTransaction, InviteClient
from voiceagent.sip.transaction.reply import fields_of

MOST_FORKS = 32
"""Branches of one INVITE that are listened to; those beyond get neither dialog nor ACK."""


@dataclass(slots=True)
class Invitation:
    """What every INVITE of one outbound call has in common, and the CSeq number of the next one."""

    target_uri: str
    identity: HeaderLines
    """From with its tag, To without one, Call-ID."""
    sdp: bytes
    headers: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """Further headers by lower-case name: a later INVITE may replace them."""
    extra: HeaderLines = ()
    """The application's headers, in its order."""
    number: int = 1

    def put(self, headers: HeaderLines) -> None:
        """Have the next INVITE carry ``headers``, in place of those of the same name."""
        for name, value in headers:
            self.headers[name.lower()] = (name, value)


def start(
    core: Core,
    target_uri: str,
    from_uri: str,
    from_name: str,
    sdp: bytes,
    candidates: Sequence[Address],
    headers: HeaderLines,
    trunk: str = "",
) -> Leg:
    """Send an INVITE with our offer to the first candidate that can be reached, and return its leg."""
    leg = Leg(core.tokens(), inbound=False, contact="", trunk=trunk)
    leg.local_sdp = sdp
    watch_session(core, leg)
    sender = f"{quote(from_name)} <{from_uri}>" if from_name else f"<{from_uri}>"
    identity = (
        ("From", f"{sender};tag={core.tokens()}"),
        ("To", f"<{target_uri}>"),
        ("Call-ID", core.tokens()),
    )
    invitation = Invitation(target_uri, identity, sdp, extra=headers)
    invitation.put(session_timer.request_headers(leg))
    if core.config.reliable_provisionals == "required":
        invitation.put((("Require", "100rel"),))
    core.begin(leg)
    leg.setup_timer = core.wire.timers.at(
        core.wire.now + core.config.setup_limit, lambda: give_up(core, leg, "timeout", 408, "no answer")
    )
    _send(core, leg, invitation, candidates)
    return leg


def _send(core: Core, leg: Leg, invitation: Invitation, candidates: Sequence[Address]) -> None:
    target = invitation.target_uri
    secure = target[:5].lower() == "sips:"
    number = invitation.number

    def build(destination: Address) -> Request:
        leg.contact = core.contact(destination, secure=secure)
        lines = [
            ("Via", core.via(destination)),
            ("Max-Forwards", "70"),
            *invitation.identity,
            ("CSeq", f"{number} INVITE"),
            ("Contact", leg.contact),
            ("Allow", core.allow(leg.trunk)),
            ("Supported", core.supported_text),
            *invitation.headers.values(),
            *invitation.extra,
        ]
        if core.config.user_agent:
            lines.append(("User-Agent", core.config.user_agent))
        lines.append(("Content-Type", SDP))
        return Request("INVITE", target, fields_of(lines), invitation.sdp)

    def starting(client: ClientTransaction) -> None:
        forget_dialog(core, leg)
        leg.client = client
        core.befriend(leg, client.destination.host)

    leg.attempts = Attempts(
        core,
        candidates,
        build,
        on_start=starting,
        on_response=lambda response, client: _response(core, leg, invitation, client, response),
        on_failure=lambda status, why: _failed(core, leg, status, why),
        account=core.accounts.get(leg.trunk),
    )
    leg.attempts.start()


def send_again(
    core: Core, leg: Leg, invitation: Invitation, client: ClientTransaction, headers: HeaderLines
) -> None:
    """Send a refused INVITE anew, with ``headers``, to where it was refused (§8.1.3.5, RFC 4028 §7.4).

    Call-ID, From and To stay; the CSeq number rises by one, and the branch is new. What early dialogs there
    were belong to the refused one and are forgotten.
    """
    invitation.number = client.request.cseq.number + 1
    invitation.put(headers)
    _send(core, leg, invitation, [client.destination])


def _response(
    core: Core, leg: Leg, invitation: Invitation, client: ClientTransaction, response: Response
) -> None:
    status = response.status
    session = leg.session
    if status < 200:
        _provisional(core, leg, client, response)
    elif status < 300:
        _success(core, leg, client, response)
    elif status == 422 and not leg.ended and session is not None and session.raise_interval(response):
        send_again(core, leg, invitation, client, session_timer.request_headers(leg))
    else:
        forget_dialog(core, leg)
        core.end(leg, "rejected", status, response.reason)


def _provisional(core: Core, leg: Leg, client: ClientTransaction, response: Response) -> None:
    if leg.ended:
        _send_cancel(core, leg)
        return
    tag = response.to.tag
    if tag is not None and tag not in leg.early and len(leg.early) >= MOST_FORKS:
        core.counts["over_max_forks"] += 1
        return
    if response.status > 100 and tag is not None and tag not in leg.early and not leg.established:
        dialog = Dialog.as_uac(client.request, response, client.destination)
        dialog.account = core.accounts.get(leg.trunk)
        leg.early[tag] = dialog
        core.dialogs[dialog.key] = leg
        core.follow(leg, dialog)
    if response.status > 100 and not leg.established:
        rseq = rseq_of(response) if tag is not None and "100rel" in core.supported else None
        if rseq is not None and not take_reliable(core, leg.branches, leg.early[tag or ""], response, rseq):
            return
        core.emit(InviteProgress(leg.id, response.status, response.reason, sdp_or_none(response), tag or ""))


def _success(core: Core, leg: Leg, client: ClientTransaction, response: Response) -> None:
    """ACK every 2xx; the first one is the call, those of other branches are ended at once (§13.2.2.4)."""
    tag = response.to.tag or ""
    sent = leg.forks.get(tag)
    if sent is not None:
        core.wire.send(*sent)
        return
    if len(leg.forks) >= MOST_FORKS:
        core.counts["over_max_forks"] += 1
        return
    request = client.request
    dialog = Dialog.as_uac(request, response, client.destination)
    early = leg.early.get(tag)
    branch = leg.branches.get(tag)
    if early is not None:
        dialog.remote_seq = early.remote_seq
        dialog.local_seq = max(dialog.local_seq, early.local_seq)
    dialog.local_seq = max(dialog.local_seq, leg.early_numbers.get(tag, 0))
    dialog.account = core.accounts.get(leg.trunk)
    ack = core.ack_2xx(dialog, request)
    leg.forks[tag] = ack
    core.wire.send(*ack)
    if leg.ended or leg.established:
        core.counts["fork_or_late_answer"] += 1
        send_bye(core, leg, dialog)
        return
    forget_dialog(core, leg)
    leg.established = True
    leg.dialog = dialog
    leg.stop_setup(core)
    core.dialogs[dialog.key] = leg
    core.follow(leg, dialog)
    _leave_other_branches(core, leg, early)
    leg.abilities.learn(response)
    session_timer.agree_as_uac(core, leg, response)
    # What follows a reliable answer may not say anything else (§13.2.1).
    told = branch is not None and branch.answer is not None
    core.emit(Answered(leg.id, None if told else sdp_or_none(response), tag))


def _leave_other_branches(core: Core, leg: Leg, early: Dialog | None) -> None:
    """An UPDATE of ours in the early dialog of a branch that lost the race has no meaning any more."""
    ours = leg.our_offer
    if ours is not None and ours.dialog is not early:
        core.wire.timers.cancel(ours.retry)
        leg.our_offer = None
        core.emit(AnswerReceived(leg.id, 487, None))


def _failed(core: Core, leg: Leg, status: int, why: str) -> None:
    """No candidate is left: all are silent (``timeout``) or out of reach (``failed``)."""
    forget_dialog(core, leg)
    core.end(leg, "timeout" if status == SILENT else "failed", status, why)


def give_up(core: Core, leg: Leg, by: str, status: int | None, reason: str) -> None:
    """End an unanswered call: CANCEL now, or as soon as a provisional response allows it (§9.1)."""
    if leg.established or leg.ended:
        return
    leg.cancel_wanted = True
    if leg.attempts is not None:
        leg.attempts.stopped = True
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
