"""PURE. The SIP endpoint: datagrams, commands and the time in; datagrams and events out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.ids import Tokens
from voiceagent.sip.address import Address
from voiceagent.sip.check import check_response
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.dialogs import invite_client, invite_offer, invite_server, refer, refer_taken, replaces
from voiceagent.sip.dialogs.info import send_info
from voiceagent.sip.dialogs.invite import Leg, OurOffer, hang_up_established, probe
from voiceagent.sip.dialogs.update import send_update
from voiceagent.sip.effects import Dropped, SipEffect
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.endpoint_requests import take_request
from voiceagent.sip.syntax.grammar import NameAddr
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import Malformed, parse_datagram
from voiceagent.sip.syntax.uri import SipUri, host_text
from voiceagent.sip.transaction.reply import reply_address
from voiceagent.sip.trunk.numbers import any_matches
from voiceagent.sip.trunk.strangers import ReplyBudget
from voiceagent.sip.trunk.trunk_keeper import TrunkKeeper, TrunkStatus
from voiceagent.sip.trunk.trunks import Trunk


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
    ``cancel``, ``reject``, ``ring``, ``answer_offer``, ``refuse_offer``, ``accept_refer``,
    ``refuse_refer``, ``refer_outcome``) return nothing
    for a leg that is unknown, over, or in a state where they mean nothing. Those that start something
    (``accept``, ``offer``, ``update``, ``refer``, ``send_info``, ``probe``) raise SipError then: code
    ``no_such_leg`` (481) when it is unknown or over, ``bad_state`` (491) when it is not the moment.
    """

    def __init__(self, config: EndpointConfig, tokens: Tokens) -> None:
        self.config = config
        self._core = Core(config, tokens)
        self._keeper = TrunkKeeper(self._core)
        self._budget = ReplyBudget()
        gate = self._core.gate
        self._accepts = config.accepts() if gate is None else gate.hears

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

    def receive_broken(
        self, head: bytes, source: Address, status: int, why: str, now: float
    ) -> list[SipEffect]:
        """Take the head of a stream message that cannot be framed: it is refused once, as far as it reads.

        The connection is closed by the caller: nothing after such a message can be understood.
        """
        core = self._core
        core.wire.now = now
        if self._accepts(source) and not self._unproven(source):
            message = parse_datagram(head.rstrip(b"\r\n") + b"\r\n\r\n")
            request = message.partial if isinstance(message, Malformed) else message
            if isinstance(request, Request) and request.method != "ACK":
                core.counts[f"malformed_{why}"] += 1
                core.respond_stateless(request, source, status)
                return core.wire.take()
        self._drop(why, source)
        return core.wire.take()

    # Connections.

    def flow_opened(
        self, address: Address, now: float, identities: tuple[str, ...] = (), listener: int = -1
    ) -> list[SipEffect]:
        """A stream connection stands. ``address.flow`` is its new number, never used before.

        ``identities`` are the names in the peer's verified certificate; ``listener`` is the number of ours
        that accepted it, -1 for a connection that we opened.
        """
        core = self._core
        core.wire.now = now
        core.flows.opened(address, identities, listener)
        return core.wire.take()

    def flow_closed(self, address: Address, now: float, reason: str = "connection closed") -> list[SipEffect]:
        """A stream connection is gone: requests that wait for an answer on it fail at once.

        Responses still owed go to where the peer listens (§18.2.2), later requests of its dialogs as well.
        """
        core = self._core
        core.wire.now = now
        core.flows.closed(address.flow)
        core.layer.unreachable(address, reason)
        self._keeper.flow_lost(address.flow)
        return core.wire.take()

    def transport_failed(self, address: Address, now: float, reason: str = "unreachable") -> list[SipEffect]:
        """Nothing can be delivered to ``address`` (ICMP, refused connection): requests for it fail at once.

        A call of ours goes to its next destination, or ends (``failed``, 503).
        """
        core = self._core
        core.wire.now = now
        core.counts["transport_failed"] += 1
        core.layer.unreachable(address, reason)
        return core.wire.take()

    def flow_in_use(self, flow: int) -> bool:
        """Tell whether a call, an open transaction or a registration needs this connection."""
        core = self._core
        if self._keeper.holds(flow):
            return True
        dialogs = (leg.dialog for leg in core.legs.values())
        return (
            any(dialog is not None and dialog.peer.flow == flow for dialog in dialogs)
            or any(
                server.source.flow == flow and not server.answered for server in core.layer.servers.values()
            )
            or any(client.destination.flow == flow for client in core.layer.clients.values())
        )

    def accepts_flow(self, source: Address) -> bool:
        """Tell whether ``source`` may connect to us: it is on the allow-list, or we are calling it."""
        return self._accepts(source) or source.host in self._core.callees

    def expects_flow(self, source: Address) -> bool:
        """Tell whether a place is kept for ``source``: its address is listed, or we are calling it."""
        gate = self._core.gate
        listed = self._accepts(source) if gate is None else gate.candidates(source).listed
        return listed or source.host in self._core.callees

    def _unproven(self, source: Address) -> bool:
        """Tell whether ``source`` would have to prove itself by a password first."""
        gate = self._core.gate
        return gate is not None and not gate.at_home(source)

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
            return
        if source.flow > 0 and client.destination.transport == source.transport:
            # What else belongs to this transaction goes by the connection that answered.
            client.destination = source._replace(name=client.destination.name)
        client.response_received(response)

    def _malformed(self, message: Malformed, source: Address) -> None:
        if message.reply_status is None or message.partial is None or self._unproven(source):
            self._drop(message.why, source)
            return
        self._core.counts[f"malformed_{message.why}"] += 1
        self._core.respond_stateless(message.partial, source, message.reply_status)

    def _stranger(self, data: bytes, source: Address) -> None:
        core = self._core
        if self.config.refuse_unknown_sources and self._budget.left(source.host, core.wire.now):
            message = parse_datagram(data)
            if isinstance(message, Request) and message.method != "ACK":
                reply = core.stateless(message, source, 403)  # without Server: nothing to learn here
                if len(reply) <= len(data):
                    self._budget.spend(source.host)
                    core.counts["refused_unknown_source"] += 1
                    core.wire.send(reply, reply_address(message, source))
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
        """Answer with 200 and ``sdp`` (our offer, to an INVITE without one). Confirmed follows.

        The 200 waits for the PRACK of early media, and ``sdp`` is not repeated then (RFC 3262 §5).
        """
        found = self._required(leg, now)
        waiting = found.reliable is not None and found.reliable.accepting is not None
        if not found.inbound or found.established or waiting:
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
        destination: Address | Sequence[Address] = (),
        now: float,
        headers: Iterable[tuple[str, str]] = (),
        trunk: str = "",
    ) -> tuple[str, list[SipEffect]]:
        """Call ``target_uri`` through ``destination`` with our offer; return the new leg and what to do.

        With a ``trunk`` its rules and our account there hold, and without a destination the call goes to its
        servers, those that are not known to be down first. SipError: ``no_such_trunk`` (404),
        ``number_not_allowed`` (403), ``trunk_full`` (503), ``no_destination`` (503).

        Of several destinations the next one is tried after a transport failure, a 503, or silence
        (RFC 3263 §4.3). Ended(by="failed", status=503) follows when none can be reached.
        Raises SipError ``too_many_legs`` (503) at the configured limit.
        """
        core = self._core
        core.wire.now = now
        if len(core.legs) >= self.config.max_legs:
            raise SipError("too many legs", status=503, code="too_many_legs")
        candidates = [destination] if isinstance(destination, Address) else list(destination)
        if trunk:
            candidates = self._over_trunk(trunk, target_uri, candidates)
        if not candidates:
            raise SipError("nowhere to send the call", status=503, code="no_destination")
        leg = invite_client.start(
            core, target_uri, from_uri, from_name, sdp, candidates, tuple(headers), trunk
        )
        return leg.id, core.wire.take()

    def _over_trunk(self, name: str, target_uri: str, given: list[Address]) -> list[Address]:
        core, table = self._core, self.config.trunks
        trunk = None if table is None else table.get(name)
        if trunk is None:
            raise SipError(f"no trunk {name!r}", status=404, code="no_such_trunk")
        user = SipUri.parse(target_uri).user
        if not any_matches(trunk.numbers_out, user):
            raise SipError(f"{user!r} may not be called over {name}", status=403, code="number_not_allowed")
        if core.gate is not None and trunk.max_calls and core.gate.calls[name] >= trunk.max_calls:
            raise SipError(f"{name} has as many calls as it may", status=503, code="trunk_full")
        return self._keeper.destinations(trunk, given)

    # Trunks.

    def open_trunks(self, now: float) -> list[SipEffect]:
        """Begin to register, and to ask the trunks' servers whether they live; TrunkState tells the rest."""
        self._core.wire.now = now
        self._keeper.open()
        return self._core.wire.take()

    def close_trunks(self, now: float, *, retreat: bool = False) -> list[SipEffect]:
        """Take back our registrations, ask no more; TrunkState ``unregistered`` tells each that is done.

        ``retreat``: go on asking, for the calls that run; :meth:`open_trunks` registers again.
        """
        self._core.wire.now = now
        if retreat:
            self._keeper.retreat()
        else:
            self._keeper.close()
        return self._core.wire.take()

    def renew_trunk(self, trunk: Trunk, now: float) -> list[SipEffect]:
        """Go on with ``trunk`` in the place of the one of its name: its addresses are others now.

        Live calls stay with the server that they were set up with; our password is for the new ones only, and
        for those calls. What else a trunk is must be as before.
        """
        self._core.wire.now = now
        self._core.renew_trunk(trunk)
        self._keeper.renew(trunk)
        return self._core.wire.take()

    def trunk_status(self) -> tuple[TrunkStatus, ...]:
        """Return how every trunk stands."""
        return self._keeper.status()

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
        """Ask the peer to call ``target`` (a URI, possibly with ``?Replaces=``); ReferProgress follows.

        Raises SipError ``not_supported`` (405) where the peer's Allow leaves REFER out.
        """
        found = self._referable(leg, now)
        refer.send_refer(self._core, found, target, tuple(headers))
        return self._core.wire.take()

    def refer_replacing(
        self, leg: str, other: str, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> list[SipEffect]:
        """Ask the peer of ``leg`` to take our place in the call with ``other`` (attended, RFC 5589 §7).

        ReferProgress follows. Both legs must be established.
        """
        found, target = self._referable(leg, now), self._established(other, now).dialog
        assert target is not None
        refer_to = replaces.refer_target(target.target, replaces.replaces_of(target))
        refer.send_refer(self._core, found, refer_to, tuple(headers))
        return self._core.wire.take()

    def accept_refer(self, leg: str, number: int, now: float) -> list[SipEffect]:
        """Take a ReferReceived: 202, NOTIFY 100; the outcome is owed by :meth:`refer_outcome`."""
        found = self._open(leg, now)
        if found is not None:
            refer_taken.accept_refer(self._core, found, number)
        return self._core.wire.take()

    def refuse_refer(self, leg: str, number: int, status: int, now: float) -> list[SipEffect]:
        """Refuse a ReferReceived with a status of 300–699."""
        found = self._open(leg, now)
        if found is not None:
            status = status if 300 <= status <= 699 else 603
            refer_taken.refuse_refer(self._core, found, number, status)
        return self._core.wire.take()

    def refer_outcome(
        self, leg: str, status: int, reason: str, now: float, number: int | None = None
    ) -> list[SipEffect]:
        """Tell the peer what became of its REFER (NOTIFY), also after the call; from 200 on that is the end.

        ``number`` is ReferReceived's; None is the oldest one.
        """
        found = self._open(leg, now) or self._core.referrers.get(leg)
        if found is not None and 100 <= status <= 699:
            refer_taken.notify(self._core, found, number, status, reason)
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

    def peer_takes(self, leg: str, method: str) -> bool | None:
        """Whether the peer has said (Allow) that it takes ``method``; None where it has said nothing."""
        found = self._core.legs.get(leg)
        if found is None or found.abilities.allows is None:
            return None
        return method in found.abilities.allows

    def replaces(self, leg: str) -> str:
        """Return the Replaces value (RFC 3891) for a leg's dialog; empty where it is not established."""
        found = self._core.legs.get(leg)
        if found is None or found.dialog is None or not found.established:
            return ""
        return str(replaces.replaces_of(found.dialog))

    def call_id(self, leg: str) -> str:
        """Return the Call-ID of a leg; empty where it is over."""
        found = self._core.legs.get(leg)
        if found is None:
            return ""
        if found.dialog is not None:
            return found.dialog.call_id
        return "" if found.client is None else found.client.request.call_id

    def identity(self, leg: str) -> str:
        """Return the URI that we are in a leg's dialog, to go by in further calls for it."""
        found = self._core.legs.get(leg)
        if found is None or found.dialog is None:
            return f"sip:{self.config.user}@{host_text(self.config.local.host, self.config.local.port)}"
        return NameAddr.parse(found.dialog.local).uri_text

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

    def _referable(self, leg: str, now: float) -> Leg:
        found = self._established(leg, now)
        if found.abilities.allows is not None and not found.abilities.takes("REFER"):
            raise SipError("transfer not supported by the peer", status=405, code="not_supported")
        return found

    def _established(self, leg: str, now: float) -> Leg:
        found = self._required(leg, now)
        if not found.established or found.dialog is None:
            raise SipError("the call is not established", status=491, code="bad_state")
        return found


def _within_dialog(message: object) -> bool:
    return isinstance(message, Request) and message.to.tag is not None
