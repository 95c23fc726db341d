"""Small defects in the SIP endpoint, planted one at a time, and which promise notices each.

A check never seen red is not a check. Every defect replaces one method or function while the programs of
:mod:`voiceagent.bench.programs` run; afterwards the sound one is back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from voiceagent.bench.programs import ProgramBroken, run_program
from voiceagent.bench.sip_promises import PromiseBroken
from voiceagent.sip import endpoint, endpoint_requests, limits
from voiceagent.sip.dialogs import invite, invite_client, invite_offer, refer_taken, update
from voiceagent.sip.dialogs.dialog import Dialog
from voiceagent.sip.dialogs.invite import OurOffer, PeerOffer
from voiceagent.sip.dialogs.reliable_server import ReliableResponses
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.transaction import wire
from voiceagent.sip.transaction.client import ClientState, InviteClient
from voiceagent.sip.transaction.layer import TransactionLayer
from voiceagent.sip.transaction.server import InviteServer, ServerState, ServerTransaction


class Patches(ExitStack):
    """Replaces attributes and puts the old ones back at the end."""

    def set(self, owner: Any, name: str, value: Any) -> Any:
        """Replace ``owner.name`` and return what stood there."""
        held: dict[str, Any] = owner.__dict__
        old = held[name]
        self.callback(setattr, owner, name, old)
        setattr(owner, name, value)
        return old


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to be wrong. ``promise`` is the one it must break."""

    name: str
    what: str
    promise: str
    plant: Callable[[Patches], None]


@dataclass(frozen=True, slots=True)
class Caught:
    """Which promise noticed: empty when none did, ``crash`` for an exception of the endpoint."""

    promise: str
    how: str
    programs: int
    """Programs until it was noticed."""


def _nothing(*_: Any) -> None:
    return None


def _answer_twice(patches: Patches) -> None:
    never = property(lambda self: self.state is ServerState.TERMINATED)
    patches.set(ServerTransaction, "answered", never)
    patches.set(ServerTransaction, "_final", _nothing)


def _end_twice(patches: Patches) -> None:
    def end(self: Core, leg: Any, by: str, status: int | None = None, reason: str = "") -> bool:
        leg.ended = False
        return sound(self, leg, by, status, reason)

    sound = patches.set(Core, "end", end)


def _keep_transactions(patches: Patches) -> None:
    def terminate_in(self: InviteServer, delay: float) -> None:
        if self.state is not ServerState.ACCEPTED:
            sound(self, delay)

    sound = vars(ServerTransaction)["_terminate_in"]
    patches.set(ServerTransaction, "_terminate_in", terminate_in)


def _keep_dialogs(patches: Patches) -> None:
    for module in (invite, invite_client, invite_offer):
        patches.set(module, "forget_dialog", _nothing)


def _never_give_up(patches: Patches) -> None:
    patches.set(InviteClient, "give_up_in", _nothing)


def _subscriptions_for_ever(patches: Patches) -> None:
    patches.set(refer_taken, "_forget", _nothing)


def _number_stands_still(patches: Patches) -> None:
    def request(self: Dialog, *args: Any, **kwargs: Any) -> Any:
        built = sound(self, *args, **kwargs)
        if kwargs.get("number") is None:
            self.local_seq -= 1
        return built

    sound = patches.set(Dialog, "request", request)


def _talk_after_bye(patches: Patches) -> None:
    def send_bye(core: Core, leg: Any, dialog: Dialog, reason: str = "") -> None:
        sound(core, leg, dialog, reason)
        core.in_dialog(dialog, "OPTIONS").start()

    sound = patches.set(invite, "send_bye", send_bye)


def _offer_over_offer(patches: Patches) -> None:
    def offer(self: endpoint.SipEndpoint, leg: str, sdp: bytes, now: float) -> Any:
        found = self._established(leg, now)  # pyright: ignore[reportPrivateUsage]
        invite_offer.send_offer(self._core, found, OurOffer(sdp))  # pyright: ignore[reportPrivateUsage]
        return self._core.wire.take()  # pyright: ignore[reportPrivateUsage]

    patches.set(endpoint.SipEndpoint, "offer", offer)


def _no_glare(patches: Patches) -> None:
    def take_reinvite(core: Core, leg: Any, server: InviteServer) -> None:
        leg.our_offer = leg.peer_offer = None
        sound(core, leg, server)

    sound = invite_offer.take_reinvite
    patches.set(endpoint_requests, "take_reinvite", take_reinvite)


def _open_offer_forgotten(patches: Patches) -> None:
    def take_update(core: Core, leg: Any, transaction: ServerTransaction, dialog: Dialog) -> None:
        pending, leg.peer_offer = leg.peer_offer, None
        sound(core, leg, transaction, dialog)
        leg.peer_offer = leg.peer_offer or pending

    sound = update.take_update
    patches.set(endpoint_requests, "take_update", take_update)


def _any_size(patches: Patches) -> None:
    patches.set(wire, "DEFAULT", limits.Limits(sent_datagram=1_000_000))
    patches.set(endpoint_requests, "DEFAULT", limits.Limits(answer_head=1_000_000))


def _say_200_once(patches: Patches) -> None:
    patches.set(ServerTransaction, "repeat", _nothing)


def _provisionals_at_once(patches: Patches) -> None:
    def send(self: ReliableResponses, status: int, sdp: bytes | None) -> None:
        if self._open is not None:  # pyright: ignore[reportPrivateUsage]
            self._open.repeater.stop()  # pyright: ignore[reportPrivateUsage]
            self._core.wire.timers.cancel(self._open.deadline)  # pyright: ignore[reportPrivateUsage]
            self._open = None  # pyright: ignore[reportPrivateUsage]
        sound(self, status, sdp)

    sound = patches.set(ReliableResponses, "send", send)


def _every_invite_is_new(patches: Patches) -> None:
    def find_server(self: TransactionLayer, key: Any) -> Any:
        return None if key[-1] == "INVITE" else sound(self, key)

    sound = patches.set(TransactionLayer, "find_server", find_server)
    patches.set(TransactionLayer, "is_merged", _nothing)


def _acknowledge_once(patches: Patches) -> None:
    def response_received(self: InviteClient, response: Any) -> None:
        if self.state is not ClientState.ACCEPTED:
            sound(self, response)

    sound = patches.set(InviteClient, "response_received", response_received)


def _swallow_updates(patches: Patches) -> None:
    def take_update(core: Core, leg: Any, transaction: ServerTransaction, dialog: Dialog) -> None:
        leg.peer_offer = leg.peer_offer or PeerOffer(transaction, "UPDATE", late=False)

    patches.set(endpoint_requests, "take_update", take_update)


def _miscount_legs(patches: Patches) -> None:
    def end(self: Core, leg: Any, by: str, status: int | None = None, reason: str = "") -> bool:
        told = sound(self, leg, by, status, reason)
        if by == "peer":
            self.legs[leg.id] = leg
        return told

    sound = patches.set(Core, "end", end)


DEFECTS: tuple[Defect, ...] = (
    Defect("answer twice", "a second final response is sent", "P1", _answer_twice),
    Defect("end twice", "an end is told without looking whether it was told", "P2", _end_twice),
    Defect("keep transactions", "timer L is forgotten", "P3", _keep_transactions),
    Defect("keep dialogs", "dialogs are never forgotten", "P3", _keep_dialogs),
    Defect("never give up", "a client transaction without answer waits for ever", "P3", _never_give_up),
    Defect("subscriptions for ever", "a REFER taken is never done with", "P3", _subscriptions_for_ever),
    Defect("number stands still", "CSeq of our requests does not rise", "P4", _number_stands_still),
    Defect("talk after BYE", "a dialog that was ended is probed", "P5", _talk_after_bye),
    Defect("offer over offer", "our second offer does not wait for the first", "P6", _offer_over_offer),
    Defect("no glare", "a re-INVITE is taken while another exchange is open", "P6", _no_glare),
    Defect("open offer forgotten", "an UPDATE is told while an offer is open", "P6", _open_offer_forgotten),
    Defect("any size", "nobody looks at the size of an answer", "P7", _any_size),
    Defect(
        "provisionals at once",
        "a reliable provisional does not wait for the PRACK of the last",
        "P8",
        _provisionals_at_once,
    ),
    Defect("say 200 once", "the 2xx is not repeated", "P9", _say_200_once),
    Defect("every INVITE is new", "repetitions are not recognised", "P10", _every_invite_is_new),
    Defect("acknowledge once", "a repeated 2xx is not acknowledged", "P11", _acknowledge_once),
    Defect("swallow UPDATE", "an UPDATE is neither told nor answered", "P12", _swallow_updates),
    Defect("miscount legs", "a leg that the peer ended stays", "P13", _miscount_legs),
)


def catch(defect: Defect, *, programs: int = 600, seed: int = 3) -> Caught:
    """Run programs with the defect in place until something notices."""
    with Patches() as patches:
        defect.plant(patches)
        for number in range(programs):
            try:
                run_program(seed * 10_000_000 + number)
            except ProgramBroken as found:
                broken = found.broken
                if isinstance(broken, PromiseBroken):
                    return Caught(broken.promise, str(broken), number + 1)
                return Caught("crash", repr(broken), number + 1)
    return Caught("", "", programs)
