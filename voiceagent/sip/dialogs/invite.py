"""PURE. One leg: the INVITE usage of a dialog, and what ends it from any state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from voiceagent.sip.address import Address
from voiceagent.sip.attempts import Attempts
from voiceagent.sip.dialogs.abilities import Abilities
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.dialogs.refer import Referral
from voiceagent.sip.dialogs.refer_taken import ReferSubscription
from voiceagent.sip.dialogs.reliable_client import ReliableBranch
from voiceagent.sip.dialogs.reliable_server import ReliableResponses
from voiceagent.sip.dialogs.session_timer import SessionTimer
from voiceagent.sip.effects import Confirmed, ProbeAnswered
from voiceagent.sip.endpoint_core import Core, sdp_or_none
from voiceagent.sip.syntax.grammar import quote
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction import ClientTransaction, InviteServer, ServerTransaction
from voiceagent.sip.transaction.wire import Doubling


class AckWait:
    """A 2xx of ours, repeated after T1, 2·T1 … T2 until its ACK comes or 64·T1 are over (§13.3.1.4)."""

    __slots__ = ("_deadline", "_repeater", "core", "late_offer", "number", "on_no_ack", "server")

    def __init__(
        self, core: Core, server: InviteServer, *, late_offer: bool, on_no_ack: Callable[[], None]
    ) -> None:
        self.core = core
        self.server = server
        self.number = server.number
        self.late_offer = late_offer
        """The 2xx carried our offer, so the ACK brings the answer."""
        self.on_no_ack = on_no_ack
        wire = core.wire
        # Also on reliable transports: a hop further on may be UDP.
        self._repeater = Doubling(wire, server.repeat, ceiling=wire.values.t2)
        self._deadline: Timer | None = wire.timers.at(wire.now + wire.values.give_up, self._give_up)

    def _give_up(self) -> None:
        self.stop()
        self.on_no_ack()

    def stop(self) -> None:
        """The ACK came or the wait is over: repeat no more, not even on a repeated INVITE."""
        self._repeater.stop()
        self.core.wire.timers.cancel(self._deadline)
        self._deadline = None
        self.server.last_response = None
        self.server.on_ack = None


@dataclass(slots=True)
class PeerOffer:
    """An offer of the peer within the dialog that waits for our answer."""

    server: ServerTransaction
    method: str
    late: bool
    """A re-INVITE without SDP: our answer will be an offer."""


@dataclass(slots=True)
class OurOffer:
    """A re-INVITE or UPDATE of ours under way, or waiting out a glare."""

    sdp: bytes | None
    """None: an UPDATE that offers nothing."""
    method: str = "INVITE"
    refresh: bool = False
    """Sent by the session timer, not by the application."""
    then: OurOffer | None = None
    """What the application wants to send as soon as this is settled."""
    dialog: Dialog | None = None
    """The early dialog that it belongs to."""
    attempts: int = 0
    client: ClientTransaction | None = None
    retry: Timer | None = None
    acks: dict[int, tuple[bytes, Address]] = field(default_factory=dict[int, tuple[bytes, Address]])


@dataclass(slots=True)
class Leg:
    """One call leg. It leaves ``Core.legs`` when its end is told; transactions may keep it a while longer."""

    id: str
    inbound: bool
    contact: str
    trunk: str = ""
    """Over which trunk it came or goes; empty where there are none."""
    dialog: Dialog | None = None
    established: bool = False
    """A 2xx was sent or received."""
    ended: bool = False
    server: InviteServer | None = None
    """The inbound INVITE."""
    late_offer: bool = False
    """The inbound INVITE had no SDP."""
    client: ClientTransaction | None = None
    """The outbound INVITE: the attempt under way, or the one that was answered."""
    attempts: Attempts | None = None
    """Where else the outbound INVITE may go."""
    callees: list[str] = field(default_factory=list[str])
    """The IP addresses that it went to."""
    ack_wait: AckWait | None = None
    peer_offer: PeerOffer | None = None
    our_offer: OurOffer | None = None
    forks: dict[str, tuple[bytes, Address]] = field(default_factory=dict[str, tuple[bytes, Address]])
    """ACKs of the 2xx responses to our INVITE, by To tag: sent again for each repetition."""
    early: dict[str, Dialog] = field(default_factory=dict[str, Dialog])
    early_numbers: dict[str, int] = field(default_factory=dict[str, int])
    """Of early dialogs that were left: our last CSeq number, should their branch answer after all."""
    """Early dialogs of our INVITE by To tag."""
    cancel_wanted: bool = False
    cancel_sent: bool = False
    bye_reason: str | None = None
    """We hung up before the ACK came: BYE follows as soon as it may (§15)."""
    referrals: dict[int, Referral] = field(default_factory=dict[int, Referral])
    refers_in: dict[int, ReferSubscription] = field(default_factory=dict[int, ReferSubscription])
    """REFERs of the peer that are not settled, by CSeq number."""
    abilities: Abilities = field(default_factory=Abilities)
    """What the peer said it can do."""
    session: SessionTimer | None = None
    """Where session timers are on."""
    reliable: ReliableResponses | None = None
    """Inbound: where our provisional responses may be reliable."""
    branches: dict[str, ReliableBranch] = field(default_factory=dict[str, ReliableBranch])
    """Outbound: what was told reliably, by To tag."""
    local_sdp: bytes | None = None
    """The session description of ours that holds now: a refresh repeats it."""
    setup_timer: Timer | None = None
    ring_timer: Timer | None = None

    def stop_setup(self, core: Core) -> None:
        """Stop what only serves the unanswered call."""
        timers = core.wire.timers
        timers.cancel(self.setup_timer)
        timers.cancel(self.ring_timer)
        self.setup_timer = self.ring_timer = None
        if self.reliable is not None:
            self.reliable.stop()

    def stop_timers(self, core: Core) -> None:
        """Stop what only serves the living call. ACK waits and transactions go on."""
        timers = core.wire.timers
        self.stop_setup(core)
        if self.session is not None:
            self.session.stop()
        if self.our_offer is not None:
            timers.cancel(self.our_offer.retry)
            self.our_offer.retry = None
        for referral in self.referrals.values():
            timers.cancel(referral.timer)

    def let_go(self) -> None:
        """Part the leg, which has ended, from those of its parts that lead back to it.

        With its last transaction it is then freed by its reference counts: of thousands of calls that end
        within a minute nothing waits for the garbage collector, whose full turns would stop those that live.
        """
        self.attempts = None
        self.reliable = None
        self.session = None


def forget_dialog(core: Core, leg: Leg) -> None:
    """Take no more requests for this leg: they get 481 from now on."""
    for tag, dialog in leg.early.items():
        core.dialogs.pop(dialog.key, None)
        leg.early_numbers[tag] = dialog.local_seq
    leg.early.clear()
    leg.branches.clear()
    if leg.dialog is not None and core.dialogs.get(leg.dialog.key) is leg:
        del core.dialogs[leg.dialog.key]


def send_bye(core: Core, leg: Leg, dialog: Dialog, reason: str = "") -> None:
    """Send BYE; the dialog is forgotten when it is answered or given up."""
    headers = (("Reason", reason),) if reason else ()
    client = core.in_dialog(dialog, "BYE", headers=headers)

    def answered(response: Response) -> None:
        if response.status >= 200:
            forget_dialog(core, leg)

    if leg.dialog is dialog:
        client.on_response = answered
        client.on_timeout = lambda: forget_dialog(core, leg)
    client.start()


def refuse_pending(core: Core, leg: Leg, status: int = 487) -> None:
    """Answer an offer of the peer that nobody will answer any more."""
    pending, leg.peer_offer = leg.peer_offer, None
    if pending is not None:
        core.respond(pending.server, status, tag=_local_tag(leg))


def _local_tag(leg: Leg) -> str | None:
    return None if leg.dialog is None else leg.dialog.local_tag


def ack_for_2xx(core: Core, leg: Leg, ack: Request) -> bool:
    """Take the ACK for a 2xx of ours. False when none was waited for."""
    wait = leg.ack_wait
    if wait is None or wait.number != ack.cseq.number:
        return False
    wait.stop()
    leg.ack_wait = None
    if leg.ended:
        if leg.bye_reason is not None and leg.dialog is not None:
            send_bye(core, leg, leg.dialog, leg.bye_reason)
        return True
    initial = wait.server is leg.server
    if initial or wait.late_offer:
        core.emit(Confirmed(leg.id, sdp_or_none(ack) if wait.late_offer else None))
    return True


def wait_for_ack(core: Core, leg: Leg, server: InviteServer, *, late_offer: bool) -> None:
    """Start waiting for the ACK to the 2xx just sent. Without it the session ends with BYE (§13.3.1.4)."""

    def no_ack() -> None:
        leg.ack_wait = None
        refuse_pending(core, leg)
        if leg.dialog is not None:
            send_bye(core, leg, leg.dialog, leg.bye_reason or 'SIP;cause=408;text="no ACK"')
        core.end(leg, "no_ack", 408, "no ACK")

    leg.ack_wait = AckWait(core, server, late_offer=late_offer, on_no_ack=no_ack)
    server.on_ack = lambda ack: ack_for_2xx(core, leg, ack)


def hang_up_established(
    core: Core, leg: Leg, reason: str, *, by: str = "us", status: int | None = None, said: str = ""
) -> None:
    """End an answered call: BYE now, or when the ACK of our 2xx came or is given up (§15).

    ``reason`` goes to the peer, ``said`` (default: the same) to the application.
    """
    header = _reason_header(reason)
    waiting = leg.ack_wait is not None and leg.ack_wait.server is leg.server
    refuse_pending(core, leg)
    if waiting:
        leg.bye_reason = header
    else:
        if leg.ack_wait is not None:
            leg.ack_wait.stop()
            leg.ack_wait = None
        if leg.dialog is not None:
            send_bye(core, leg, leg.dialog, header)
    core.end(leg, by, status, said or reason)


def _reason_header(reason: str) -> str:
    """Return a Reason value (RFC 3326) for free text; one that is well-formed already is kept."""
    if not reason or reason.upper().startswith(("SIP;", "Q.850;")):
        return reason
    return f"SIP;cause=200;text={quote(reason)}"


def probe(core: Core, leg: Leg) -> None:
    """Send OPTIONS within the dialog; 408, 481 or silence means that the peer has lost it (RFC 5057 §5)."""
    if leg.dialog is None:
        return
    dialog = leg.dialog
    client = core.in_dialog(dialog, "OPTIONS", contact=leg.contact)

    def lost(status: int) -> None:
        if leg.ended:
            return
        if leg.ack_wait is not None:
            leg.ack_wait.stop()
            leg.ack_wait = None
        if status == 408:
            send_bye(core, leg, dialog, 'SIP;cause=408;text="no answer to OPTIONS"')
        else:
            forget_dialog(core, leg)
        core.end(leg, "failed", status, "the peer lost the dialog")

    def answered(response: Response) -> None:
        if response.status in (408, 481):
            lost(response.status)
        elif response.status >= 200 and not leg.ended:
            core.emit(ProbeAnswered(leg.id, response.status))

    client.on_response = answered
    client.on_timeout = lambda: lost(408)
    client.start()
