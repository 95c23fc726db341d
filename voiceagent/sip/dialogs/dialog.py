"""PURE. One dialog (RFC 3261 §12): its identity, sequence numbers, route set and remote target."""

from __future__ import annotations

import ipaddress
from collections.abc import Container

from voiceagent.errors import SipError
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.auth.digest_account import DigestAccount
from voiceagent.sip.flows import DEFAULT_PORTS
from voiceagent.sip.syntax.grammar import NameAddr
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.uri import SipUri, is_ip
from voiceagent.sip.transaction.reply import fields_of, home_address

DialogKey = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""


def address_of(uri_text: str) -> Address | None:
    """Return the address that a URI names outright, or None where a name would have to be resolved."""
    try:
        uri = SipUri.parse(uri_text)
    except SipError:
        return None
    return address_of_uri(uri)


def address_of_uri(uri: SipUri) -> Address | None:
    """Do :func:`address_of` for a parsed URI; None also for a transport that we do not speak."""
    if not is_ip(uri.host):
        return None
    transport = transport_of(uri)
    # IPv6 in one spelling, that of the sockets: it is compared as text (RFC 5118 §4.5).
    host = str(ipaddress.ip_address(uri.host)) if ":" in uri.host else uri.host
    return None if transport is None else Address(host, uri.port or DEFAULT_PORTS[transport], transport)


def transport_of(uri: SipUri) -> Transport | None:
    """Return the transport that a sip or sips URI asks for (RFC 3263 §4.1); None for one we do not speak.

    UDP where it is left open. ``sips`` is TLS whatever the parameter says, as TCP is what it runs on.
    """
    told = uri.params.get("transport")
    if uri.scheme == "sips":
        return "tls" if told is None or told.lower() in ("tcp", "tls") else None
    return "udp" if told is None else _TRANSPORTS.get(told.lower())


_TRANSPORTS: dict[str, Transport] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}


def _hidden(host: str) -> bool:
    """Tell whether ``host`` is an address that only its own network can reach (RFC 1918, 6598, 4193)."""
    return is_ip(host) and any(ipaddress.ip_address(host) in block for block in _HIDDEN)


_HIDDEN = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10")
)


class Dialog:
    """State shared by all usages of one dialog.

    ``peer`` is where its INVITE came from or went to, and the fallback for hops that would need a resolver.
    ``home`` is where that peer is found once its connection is gone; ``alias`` is the host of its Via.
    """

    __slots__ = (
        "account",
        "alias",
        "call_id",
        "home",
        "initiator",
        "local",
        "local_seq",
        "local_tag",
        "peer",
        "remote",
        "remote_seq",
        "remote_tag",
        "routes",
        "target",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local_tag: str,
        remote_tag: str,
        local: str,
        remote: str,
        local_seq: int,
        remote_seq: int | None,
        routes: tuple[str, ...],
        target: str,
        peer: Address,
        initiator: bool,
        home: Address | None = None,
        alias: str = "",
    ) -> None:
        self.call_id = call_id
        self.local_tag = local_tag
        self.remote_tag = remote_tag
        self.local = local
        """Our From value in requests, tag included."""
        self.remote = remote
        """Our To value in requests, tag included."""
        self.local_seq = local_seq
        self.remote_seq = remote_seq
        self.routes = routes
        self.target = target
        self.peer = peer
        self.home = home or peer._replace(flow=min(peer.flow, 0))
        self.alias = alias
        self.account: DigestAccount | None = None
        """Whose credentials its requests may use: only in a dialog that we began, over a trunk of ours."""
        self.initiator = initiator
        """Whether we chose the Call-ID (decides the glare back-off, §14.1)."""

    @classmethod
    def as_uas(cls, request: Request, local_tag: str, source: Address) -> Dialog:
        """Build the dialog that our response to ``request`` creates (§12.1.1)."""
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_.tag or "",
            local=str(request.to.with_tag(local_tag)),
            remote=request.headers.get("From") or "",
            local_seq=0,
            remote_seq=request.cseq.number,
            routes=tuple(str(route) for route in request.record_route),
            target=_contact_uri(request) or request.from_.uri_text,
            peer=source,
            initiator=False,
            home=home_address(request, source) if source.flow > 0 else None,
            alias=request.via.host,
        )

    @classmethod
    def as_uac(cls, request: Request, response: Response, destination: Address) -> Dialog:
        """Build the dialog that ``response`` to our INVITE creates (§12.1.2)."""
        return cls(
            call_id=request.call_id,
            local_tag=request.from_.tag or "",
            remote_tag=response.to.tag or "",
            local=request.headers.get("From") or "",
            remote=response.headers.get("To") or "",
            local_seq=request.cseq.number,
            remote_seq=None,
            routes=_routes_back(response),
            target=_contact_uri(response) or request.uri,
            peer=destination,
            initiator=True,
        )

    @property
    def key(self) -> DialogKey:
        """What identifies this dialog in requests that reach us."""
        return self.call_id, self.local_tag, self.remote_tag

    def in_order(self, number: int) -> bool:
        """Take the CSeq number of a new request; False when it is not above the last one (§12.2.2)."""
        if self.remote_seq is not None and number <= self.remote_seq:
            return False
        self.remote_seq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take the Contact of a target refresh: re-INVITE or UPDATE, or the 2xx to ours (§12.2)."""
        uri = _contact_uri(message)
        if uri is not None:
            self.target = uri

    def next_hop(self, live: Container[int] = ()) -> Address:
        """Return where requests go: the first route, else the remote target, else the peer (§8.1.2).

        Where that is the peer itself, its connection is taken while it is among those ``live``, and over UDP
        the address that its packets really come from: a phone behind a NAT names one that we cannot reach.
        """
        hop = NameAddr.parse(self.routes[0]).uri_text if self.routes else self.target
        peer = self.peer
        try:
            uri = SipUri.parse(hop)
        except SipError:
            return self._peer_itself(live)
        address = address_of_uri(uri)
        if address is None:
            return self._peer_itself(live)
        if peer.transport == "udp":
            if address.transport != "udp":
                return address
            if uri.host == self.alias != peer.host and _hidden(self.alias) and not _hidden(peer.host):
                return peer
            # Datagrams of this dialog keep leaving from the listener that it began at.
            return address._replace(flow=peer.flow)
        told = uri.scheme == "sips" or "transport" in uri.params
        if (
            (address.host == peer.host or uri.host == self.alias)
            and (uri.port is None or uri.port in (peer.port, self.home.port))
            and (not told or address.transport == peer.transport)
            and (peer.flow in live or not told or address.host != peer.host)
        ):
            return self._peer_itself(live)
        if address.transport == "tls" and address.host == peer.host:
            return address._replace(name=peer.name or self.home.name)
        return address

    def _peer_itself(self, live: Container[int]) -> Address:
        return self.peer if self.peer.flow <= 0 or self.peer.flow in live else self.home

    def request(
        self,
        method: str,
        via: str,
        *,
        contact: str,
        number: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> Request:
        """Build a request within the dialog (§12.2.1.1).

        ``number`` is given only for ACK and CANCEL, which repeat that of their INVITE; all others count up.
        A first route without ``lr`` is a strict router: it becomes the Request-URI, and the target the
        last route.
        """
        if number is None:
            self.local_seq += 1
            number = self.local_seq
        uri = self.target
        routes = self.routes
        if routes:
            first = NameAddr.parse(routes[0])
            if "lr" not in first.uri.params:
                uri = first.uri_text
                routes = (*routes[1:], f"<{self.target}>")
        lines = [("Via", via), ("Max-Forwards", "70")]
        lines += [("Route", route) for route in routes]
        lines += [
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        if contact:
            lines.append(("Contact", contact))
        lines += headers
        if body:
            lines.append(("Content-Type", content_type))
        return Request(method, uri, fields_of(lines), body)


def _contact_uri(message: Request | Response) -> str | None:
    """Return the URI of Contact; one in a response that cannot be read counts as absent.

    A request has been refused for it. A response cannot be: the session that it tells of stands.
    """
    try:
        contact = message.contact
    except SipError:
        if isinstance(message, Response):
            return None
        raise
    return None if contact is None else contact.uri_text


def _routes_back(response: Response) -> tuple[str, ...]:
    """Return the route set of a response (§12.1.2); empty where Record-Route cannot be read."""
    try:
        return tuple(str(route) for route in reversed(response.record_route))
    except SipError:
        return ()
