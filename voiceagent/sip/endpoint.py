"""PURE. The SIP endpoint: datagrams, commands and the time in; datagrams and events out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.ids import Tokens
from voiceagent.sip import invite_client, invite_offer, invite_server, refer
from voiceagent.sip.check import check_response
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Address, Dropped, SipEffect
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.endpoint_requests import take_request
from voiceagent.sip.info import send_info
from voiceagent.sip.invite import Leg, OurOffer, hang_up_established, probe
from voiceagent.sip.message import Request, Response
from voiceagent.sip.parser import Malformed, parse_datagram
from voiceagent.sip.update import send_update


@dataclass(frozen=True, slots=True)
class Figures:
    """What lives in an endpoint now, and what it counted since its start."""

    server_transactions: int
    client_transactions: int
    legs: int
    dialogs: int
    timers: int
    retransmissions: int
    counts: Mapping[str, int]
    """By name: ``drop_<why>``, ``repeated_requests``, ``ended_<by>``, ``stray_ack``, ``over_max_legs`` …"""


class SipEndpoint:
    """A user agent for any number of legs. Owns no socket and no clock; times are monotonic seconds.

    Every method returns what must be done, in order. Commands that end, refuse or report (``hang_up``,
    ``cancel``, ``reject``, ``ring``, ``answer_offer``, ``refuse_offer``, ``refer_outcome``) return nothing
    for a leg that is unknown, over, or in a state where they mean nothing. Those that start something
    (``accept``, ``offer``, ``update``, ``refer``, ``send_info``, ``probe``) raise SipError then: code
    ``no_such_leg`` (481) when it is unknown or over, ``bad_state`` (491) when it is not the moment.
    """

    def __init__(self, config: EndpointConfig, tokens: Tokens) -> None:
        self.config = config
        self._core = Core(config, tokens)
        self._accepts = config.accepts()

    # What comes in.

    def receive(self, data: bytes, source: Address, now: float) -> list[SipEffect]:
        """Take one datagram. Never raises because of what it holds."""
        core = self._core
        core.wire.now = now
        known = self._accepts(source)
        if not known and source[0] not in core.callees:
            self._stranger(data, source)
            return core.wire.take()
        message = parse_datagram(data)
        try:
            if not known and not isinstance(message, Response) and not _within_dialog(message):
                self._drop("unknown_source", source)
            elif isinstance(message, Request):
                take_request(core, message, source)
            elif isinstance(message, Response):
                self._response(message, source)
            elif isinstance(message, Malformed):
                self._malformed(message, source)
            else:
                core.counts["keep_alive"] += 1
        except SipError as error:
            # A header that only this step needed turned out to be malformed.
            self._drop(error.code, source)
        return core.wire.take()

    def wake_at(self) -> float | None:
        """Return the next deadline."""
        return self._core.wire.timers.next_at()

    def wake(self, now: float) -> list[SipEffect]:
        """Do what is due; calling early is harmless."""
        wire = self._core.wire
        wire.now = now
        wire.timers.run_due(now)
        return wire.take()

    def _response(self, response: Response, source: Address) -> None:
        why = check_response(response)
        if why is not None:
            self._drop(why, source)
            return
        client = self._core.layer.find_client(response)
        if client is None:
            self._drop("stray_response", source)
        else:
            client.response_received(response)

    def _malformed(self, message: Malformed, source: Address) -> None:
        if message.reply_status is None or message.partial is None:
            self._drop(message.why, source)
            return
        self._core.counts[f"malformed_{message.why}"] += 1
        self._core.respond_stateless(message.partial, source, message.reply_status)

    def _stranger(self, data: bytes, source: Address) -> None:
        if self.config.refuse_unknown_sources:
            message = parse_datagram(data)
            if isinstance(message, Request) and message.method != "ACK":
                self._core.counts["refused_unknown_source"] += 1
                self._core.respond_stateless(message, source, 403)
                return
        self._drop("unknown_source", source)

    def _drop(self, why: str, source: Address) -> None:
        self._core.counts[f"drop_{why}"] += 1
        self._core.emit(Dropped(why, source))

    # Inbound calls.

    def ring(self, leg: str, now: float, status: int = 180, sdp: bytes | None = None) -> list[SipEffect]:
        """Send a provisional response 101–199, with early media in ``sdp`` if given."""
        found = self._open(leg, now)
        if found is not None and 100 < status < 200:
            invite_server.progress(self._core, found, status, sdp)
        return self._core.wire.take()

    def accept(self, leg: str, sdp: bytes, now: float) -> list[SipEffect]:
        """Answer with 200 and ``sdp`` (our offer, to an INVITE without one). Confirmed follows."""
        found = self._required(leg, now)
        if not found.inbound or found.established:
            raise SipError("the call cannot be accepted", status=491, code="bad_state")
        invite_server.accept(self._core, found, sdp)
        return self._core.wire.take()

    def reject(
        self, leg: str, status: int, reason: str, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> list[SipEffect]:
        """Refuse an unanswered inbound call with a final status 300–699; Ended(by="rejected") follows."""
        found = self._open(leg, now)
        if found is not None and found.inbound and not found.established:
            status = status if 300 <= status <= 699 else 500
            invite_server.refuse(self._core, found, status, reason, tuple(headers))
        return self._core.wire.take()

    # Outbound calls.

    def invite(
        self,
        target_uri: str,
        *,
        from_uri: str,
        from_name: str = "",
        sdp: bytes,
        destination: Address,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
    ) -> tuple[str, list[SipEffect]]:
        """Call ``target_uri`` through ``destination`` with our offer; return the new leg and what to do.

        Raises SipError ``too_many_legs`` (503) at the configured limit.
        """
        core = self._core
        core.wire.now = now
        if len(core.legs) >= self.config.max_legs:
            raise SipError("too many legs", status=503, code="too_many_legs")
        leg = invite_client.start(core, target_uri, from_uri, from_name, sdp, destination, tuple(headers))
        return leg.id, core.wire.take()

    def cancel(self, leg: str, now: float) -> list[SipEffect]:
        """Give up an unanswered outbound call: CANCEL, as soon as it may go. Ended(by="us") comes at once."""
        found = self._open(leg, now)
        if found is not None and not found.inbound:
            invite_client.give_up(self._core, found, "us", 487, "cancelled")
        return self._core.wire.take()

    # Any call.

    def hang_up(self, leg: str, now: float, reason: str = "") -> list[SipEffect]:
        """End the leg in whatever state it is: BYE, CANCEL, or 603 for an unanswered inbound one.

        Ended(by="us") comes at once. BYE for an accepted call waits for its ACK (§15) behind the
        scenes; a 2xx that crosses our CANCEL is acknowledged and ended with BYE.
        """
        core = self._core
        found = self._open(leg, now)
        if found is None:
            return []
        if found.established:
            hang_up_established(core, found, reason)
        elif found.inbound:
            invite_server.refuse(core, found, 603, by="us")
        else:
            invite_client.give_up(core, found, "us", 487, reason or "cancelled")
        return core.wire.take()

    def offer(self, leg: str, sdp: bytes, now: float) -> list[SipEffect]:
        """Send a re-INVITE with a new offer; AnswerReceived follows. Glare (491) is tried again by itself."""
        found = self._established(leg, now)
        invite_offer.offer(self._core, found, OurOffer(sdp))
        return self._core.wire.take()

    def update(self, leg: str, sdp: bytes | None, now: float) -> list[SipEffect]:
        """Send UPDATE (RFC 3311), with an offer if given; AnswerReceived follows, 491 is tried again.

        Before the call is answered an offer is possible only once the first one was answered reliably.
        """
        send_update(self._core, self._required(leg, now), sdp)
        return self._core.wire.take()

    def session_interval(self, leg: str) -> int | None:
        """Return the session interval in force (RFC 4028), in seconds; None when no session timer runs."""
        found = self._core.legs.get(leg)
        terms = None if found is None or found.session is None else found.session.terms
        return None if terms is None else terms.interval

    def answer_offer(self, leg: str, sdp: bytes, now: float) -> list[SipEffect]:
        """Answer the last OfferReceived; nothing when it is no longer open."""
        found = self._open(leg, now)
        if found is not None:
            invite_offer.answer(self._core, found, sdp)
        return self._core.wire.take()

    def refuse_offer(self, leg: str, status: int, now: float) -> list[SipEffect]:
        """Refuse the last OfferReceived with a status of 300–699; the session goes on as it was."""
        found = self._open(leg, now)
        if found is not None:
            invite_offer.refuse(self._core, found, status if 300 <= status <= 699 else 488)
        return self._core.wire.take()

    def refer(
        self, leg: str, target: str, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> list[SipEffect]:
        """Ask the peer to call ``target`` (a URI, possibly with ``?Replaces=``); ReferProgress follows."""
        found = self._established(leg, now)
        refer.send_refer(self._core, found, target, tuple(headers))
        return self._core.wire.take()

    def refer_outcome(self, leg: str, status: int, reason: str, now: float) -> list[SipEffect]:
        """Tell the peer what became of its REFER (NOTIFY); a status from 200 on ends the matter."""
        found = self._open(leg, now)
        if found is not None and 100 <= status <= 699:
            refer.notify(self._core, found, status, reason)
        return self._core.wire.take()

    def send_info(self, leg: str, content_type: str, body: bytes, now: float) -> list[SipEffect]:
        """Send INFO within the dialog."""
        found = self._established(leg, now)
        send_info(self._core, found, content_type, body)
        return self._core.wire.take()

    def probe(self, leg: str, now: float) -> list[SipEffect]:
        """Ask whether the peer still knows the dialog (OPTIONS); 481, 408 or silence ends it (``failed``)."""
        probe(self._core, self._established(leg, now))
        return self._core.wire.take()

    # Figures.

    def figures(self) -> Figures:
        """Count what lives and what happened."""
        core = self._core
        return Figures(
            server_transactions=len(core.layer.servers),
            client_transactions=len(core.layer.clients),
            legs=len(core.legs),
            dialogs=len(core.dialogs),
            timers=len(core.wire.timers),
            retransmissions=core.wire.retransmissions,
            counts=dict(core.counts),
        )

    def _open(self, leg: str, now: float) -> Leg | None:
        self._core.wire.now = now
        return self._core.legs.get(leg)

    def _required(self, leg: str, now: float) -> Leg:
        found = self._open(leg, now)
        if found is None:
            raise SipError(f"no leg {leg}", status=481, code="no_such_leg")
        return found

    def _established(self, leg: str, now: float) -> Leg:
        found = self._required(leg, now)
        if not found.established or found.dialog is None:
            raise SipError("the call is not established", status=491, code="bad_state")
        return found


def _within_dialog(message: object) -> bool:
    return isinstance(message, Request) and message.to.tag is not None
