"""PURE. What all parts of the endpoint share: tables, counters, and the building of our messages."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING

from voiceagent.errors import SipError
from voiceagent.ids import Tokens
from voiceagent.sip.address import Address
from voiceagent.sip.auth.authorise import answer_in_dialog, credentials_of
from voiceagent.sip.auth.digest_account import DigestAccount
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.dialogs.dialog import Dialog, DialogKey
from voiceagent.sip.dialogs.refer_taken import refuse_open
from voiceagent.sip.effects import Ended, SipEvent
from voiceagent.sip.flows import Flows
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.multipart import find_body
from voiceagent.sip.syntax.uri import user_text
from voiceagent.sip.transaction import ClientTransaction, InviteClient, ServerTransaction, TransactionLayer
from voiceagent.sip.transaction.reply import ReplyHead, fields_of, reply_address, reply_bytes, reply_head
from voiceagent.sip.transaction.wire import Wire
from voiceagent.sip.trunk.gatekeeper import Gatekeeper
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable

if TYPE_CHECKING:
    from voiceagent.sip.dialogs.invite import Leg

SDP = "application/sdp"
HeaderLines = tuple[tuple[str, str], ...]

MOST_CALLEES = 32
"""Hosts that one leg may have us listen to: a peer that names ever new ones is not followed any more."""


class Core:
    """The endpoint's insides, handed to every part of it. Not for use outside of this package."""

    __slots__ = (
        "_allow",
        "accounts",
        "callees",
        "config",
        "counts",
        "dialogs",
        "flows",
        "gate",
        "layer",
        "legs",
        "methods",
        "referrers",
        "supported",
        "supported_text",
        "tokens",
        "wire",
    )

    def __init__(self, config: EndpointConfig, tokens: Tokens) -> None:
        self.config = config
        self.tokens = tokens
        self.supported = supported_tags(config)
        """Option tags that we understand."""
        self.supported_text = ", ".join(self.supported)
        """The Supported value."""
        self.methods = methods_of(config)
        """Methods that we take."""
        self._allow: dict[str, str] = {}
        self.flows = Flows(config.listeners or (config.local,))
        self.wire = Wire(config.timers, self.flows.live)
        self.layer = TransactionLayer(self.wire, ack_for_refusal)
        self.legs: dict[str, Leg] = {}
        """Legs whose end was not told yet, by id."""
        self.dialogs: dict[DialogKey, Leg] = {}
        """Dialogs that still take requests, also for a while after their leg's end."""
        self.counts: Counter[str] = Counter()
        self.referrers: dict[str, Leg] = {}
        """Legs of which a REFER is still to be reported on, also after their end."""
        self.callees: Counter[str] = Counter()
        """IP addresses that we send requests to; they may answer and speak in their dialog, nothing else."""

        self.gate: Gatekeeper | None = None
        """Judges who may come in; None where there are no trunks, only addresses."""
        self.accounts: dict[str, DigestAccount] = {}
        """Our accounts at trunks, by the trunk's name."""
        if config.trunks is not None:
            self._know_trunks(config.trunks)
            self.gate = Gatekeeper(
                config.trunks,
                secret="".join(tokens() for _ in range(4)).encode(),
                realm=config.digest_realm,
                nonce_life_s=config.nonce_life,
                refuse_unknown=config.refuse_unknown_sources,
                dice=self.dice,
                identities=self.flows.identities,
            )

    def _know_trunks(self, table: TrunkTable) -> None:
        """Hear the servers of trunks for their responses, and hold our accounts there."""
        for trunk in table.by_name.values():
            self.callees.update(trunk.hosts)
            if trunk.username:
                self.accounts[trunk.name] = DigestAccount(
                    trunk.username,
                    trunk.password,
                    hosts=trunk.hosts,
                    realm=trunk.realm,
                    tokens=self.tokens,
                )

    def renew_trunk(self, trunk: Trunk) -> None:
        """A trunk has moved. Live calls go on with the hosts they were set up with, whatever these were."""
        assert self.gate is not None
        former = self.gate.table.by_name[trunk.name]
        self.gate.table.renew(trunk)
        self.callees.update(trunk.hosts)
        kept: set[str] = set()
        for leg in self.legs.values():
            host = None if leg.dialog is None else leg.dialog.peer.host
            if leg.trunk == trunk.name and host is not None and host not in trunk.hosts:
                kept.add(host)
                if host not in leg.callees:
                    self.befriend(leg, host)
        for host in former.hosts:
            self._unfriend(host)
        account = self.accounts.get(trunk.name)
        if account is not None:
            account.pin(trunk.hosts, kept)

    # Effects.

    def emit(self, event: SipEvent) -> None:
        """Tell what has happened."""
        self.wire.out.append(event)

    def end(self, leg: Leg, by: str, status: int | None = None, reason: str = "") -> bool:
        """Tell the end of a leg, once. Its timers stop, and an offer still open is closed with 487.

        False when it had ended before.
        """
        if leg.ended:
            return False
        pending, leg.peer_offer = leg.peer_offer, None
        if pending is not None:
            self.respond(pending.server, 487)
        refuse_open(self, leg)
        leg.ended = True
        if self.legs.pop(leg.id, None) is not None and self.gate is not None:
            self.gate.call_ended(leg.trunk)
        leg.stop_timers(self)
        if isinstance(leg.client, InviteClient) and not leg.established:
            leg.client.give_up_in(self.wire.values.give_up)
        if leg.callees:
            self.wire.timers.at(self.wire.now + self.wire.values.give_up, lambda: self._part(leg))
        if leg.our_offer is not None and isinstance(leg.our_offer.client, InviteClient):
            # A re-INVITE that was ringing has no timer of its own any more.
            leg.our_offer.client.give_up_in(self.wire.values.give_up)
        leg.let_go()
        self.counts[f"ended_{by}"] += 1
        self.emit(Ended(leg.id, by, status, reason))
        return True

    def begin(self, leg: Leg) -> None:
        """A leg lives from now on, and counts for its trunk."""
        self.legs[leg.id] = leg
        if self.gate is not None:
            self.gate.call_began(leg.trunk)

    def befriend(self, leg: Leg, host: str) -> None:
        """Hear the other side of a leg, wherever it is, until a while after the leg's end."""
        leg.callees.append(host)
        self.callees[host] += 1

    def follow(self, leg: Leg, dialog: Dialog) -> None:
        """Hear the host that requests of ``dialog`` go to: a route or Contact may name another one."""
        host = self.next_hop(dialog).host
        if host == dialog.peer.host or host in leg.callees or leg.ended:
            return
        if len(leg.callees) < MOST_CALLEES:
            self.befriend(leg, host)
        else:
            self.counts["over_max_callees"] += 1

    def _part(self, leg: Leg) -> None:
        for host in leg.callees:
            self._unfriend(host)

    def _unfriend(self, host: str) -> None:
        self.callees[host] -= 1
        if self.callees[host] <= 0:
            del self.callees[host]

    def dice(self, sides: int) -> int:
        """Return a number below ``sides``, as unguessable as the tokens are."""
        return zlib.crc32(self.tokens().encode()) % sides

    # Responses.

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "",
        *,
        tag: str | None = None,
    ) -> bool:
        """Build and send one response; False when a final one went before."""
        if transaction.answered:
            return False
        head = self.head_of(transaction)
        if self.config.user_agent and status > 100:
            headers = (*headers, ("Server", self.config.user_agent))
        data = reply_bytes(head, status, reason, tag or self.tokens(), headers, body, content_type)
        return transaction.respond(status, data)

    @staticmethod
    def head_of(transaction: ServerTransaction) -> ReplyHead:
        """Return the lines that all responses of an unanswered transaction share."""
        head = transaction.head
        if head is None:
            head = transaction.head = reply_head(transaction.request, transaction.source)
        return head

    def respond_stateless(
        self, request: Request, source: Address, status: int, reason: str = "", headers: HeaderLines = ()
    ) -> None:
        """Answer without a transaction (§8.2.7)."""
        if self.config.user_agent:
            headers = (*headers, ("Server", self.config.user_agent))
        data = self.stateless(request, source, status, reason, headers)
        self.wire.send(data, reply_address(request, source))

    @staticmethod
    def stateless(
        request: Request, source: Address, status: int, reason: str = "", headers: HeaderLines = ()
    ) -> bytes:
        """Build a response that needs no transaction: its To tag is the same for every copy."""
        head = reply_head(request, source)
        tag = f"{zlib.crc32((head.vias + head.from_ + head.ids).encode('utf-8', 'surrogateescape')):08x}"
        return reply_bytes(head, status, reason, tag, headers)

    # Requests.

    def via(self, destination: Address) -> str:
        """Return a Via value for ``destination``: a new branch, and a reply to the source port (RFC 3581)."""
        local = self.flows.local_for(destination)
        return f"{local.via_head}z9hG4bK{self.tokens()}{local.via_tail}"

    def contact(self, peer: Address, user: str = "", *, secure: bool = False) -> str:
        """Return the Contact value by which ``peer`` reaches us; ``secure``: a SIPS URI (§12.1.1)."""
        local = self.flows.local_for(peer)
        user = user_text(user or self.config.user)
        if secure:
            return f"<sips:{user}@{local.host_port}>"
        return f"<sip:{user}@{local.host_port}{local.param}>"

    def open_client(self, request: Request, destination: Address) -> ClientTransaction:
        """Open the transaction of a request of ours, not started yet.

        One too long for UDP goes by TCP, where we listen on that, too; where it is refused it goes by UDP
        after all (§18.1.1).
        """
        destination = self.flows.through(destination)
        client = self.layer.open_client(request, destination)
        if destination.transport == "udp" and len(client.data) > self.config.udp_limit:
            over_tcp = destination._replace(transport="tcp", flow=0)
            if self.flows.has("tcp", ipv6=":" in destination.host):
                local, old = self.flows.local_for(over_tcp), request.via
                longer = Request(request.method, request.uri, request.headers.copy(), request.body)
                longer.headers.set("Via", f"{local.via_head}{old.branch}{local.via_tail}")
                client.otherwise = request, destination
                client.request, client.data = longer, longer.to_bytes()
                client.destination, client.reliable = over_tcp, True
                self.counts["too_long_for_udp"] += 1
        return client

    def in_dialog(
        self,
        dialog: Dialog,
        method: str,
        *,
        contact: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> ClientTransaction:
        """Open the transaction of a request within ``dialog``; the caller sets callbacks and starts it."""
        if self.config.user_agent:
            headers = (*headers, ("User-Agent", self.config.user_agent))
        hop = self.next_hop(dialog)
        request = dialog.request(
            method, self.via(hop), contact=contact, headers=headers, body=body, content_type=content_type
        )
        account = dialog.account
        if account is not None:
            account.prepare(request, hop.host)
        client = self.open_client(request, hop)
        if hop.flow > 0:
            client.otherwise = request, dialog.home
        if account is not None:
            answer_in_dialog(self, dialog, client, account)
        return client

    def next_hop(self, dialog: Dialog) -> Address:
        """Return where the next request of ``dialog`` goes, by its own connection while that stands."""
        return self.flows.through(dialog.next_hop(self.flows.live))

    def ack_2xx(self, dialog: Dialog, invite: Request) -> tuple[bytes, Address]:
        """Build the ACK for a 2xx to our ``invite``: a request of its own, with its credentials (§13.2.2.4).

        They are left out where it does not go to our trunk: the callee's Contact may be anywhere.
        """
        hop = self.next_hop(dialog)
        account = dialog.account
        ours = account is not None and account.serves(hop.host)
        ack = dialog.request(
            "ACK",
            self.via(hop),
            contact="",
            number=invite.cseq.number,
            headers=credentials_of(invite) if ours else (),
        )
        return ack.to_bytes(), hop

    def allow(self, trunk: str = "") -> str:
        """Return the Allow value for a peer, less what its ``trunk`` may not use."""
        told = self._allow.get(trunk)
        if told is None:
            gate = self.gate
            told = ", ".join(self.methods if gate is None else gate.allowed(trunk, self.methods))
            self._allow[trunk] = told
        return told

    def takes(self, method: str) -> bool:
        """Tell whether ``method`` is one of ours."""
        return method in self.methods


def methods_of(config: EndpointConfig) -> tuple[str, ...]:
    """Return the methods that an endpoint so configured takes."""
    more = [("REFER", config.allow_refer), ("PRACK", config.reliable_provisionals != "off")]
    added = [method for method, wanted in more if wanted and method not in config.allowed]
    return (*config.allowed, *added)


def supported_tags(config: EndpointConfig) -> tuple[str, ...]:
    """Return the option tags of an endpoint so configured."""
    timer = ("timer",) if config.session_expires else ()
    reliable = () if config.reliable_provisionals == "off" else ("100rel",)
    return tuple(dict.fromkeys((*config.supported, *timer, *reliable)))


def sdp_of(message: Request | Response) -> bytes | None:
    """Return the session description of a message, alone or within multipart; None where there is none.

    Raises SipError 400 for a multipart that cannot be taken apart.
    """
    return find_body(message, SDP) if message.body else None


def sdp_or_none(message: Request | Response) -> bytes | None:
    """Return the session description of a message that can no longer be refused."""
    try:
        return sdp_of(message)
    except SipError:
        return None


def _same_hop(request: Request, method: str, to: str) -> Request:
    """Copy what ACK (for 300–699) and CANCEL share with their INVITE (§17.1.1.3, §9.1)."""
    lines = [("Via", request.headers.get("Via") or ""), ("Max-Forwards", "70")]
    lines += [("Route", route) for route in request.headers.get_all("Route")]
    lines += [
        ("From", request.headers.get("From") or ""),
        ("To", to),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq.number} {method}"),
    ]
    return Request(method, request.uri, fields_of(lines))


def ack_for_refusal(request: Request, response: Response) -> bytes:
    """Build the ACK for a 300–699: same hop and branch as its INVITE, To as in the response."""
    return _same_hop(request, "ACK", response.headers.get("To") or "").to_bytes()


def cancel_for(request: Request) -> Request:
    """Build the CANCEL for our INVITE ``request``."""
    return _same_hop(request, "CANCEL", request.headers.get("To") or "")
