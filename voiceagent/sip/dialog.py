"""PURE. One dialog (RFC 3261 §12): its identity, sequence numbers, route set and remote target."""

from __future__ import annotations

import ipaddress

from voiceagent.errors import SipError
from voiceagent.sip.effects import Address
from voiceagent.sip.grammar import NameAddr
from voiceagent.sip.message import Request, Response
from voiceagent.sip.transaction.reply import fields_of
from voiceagent.sip.uri import SipUri

DialogKey = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""


def address_of(uri_text: str) -> Address | None:
    """Return the address that a URI names outright, or None where a name would have to be resolved."""
    try:
        uri = SipUri.parse(uri_text)
    except SipError:
        return None
    if not is_ip(uri.host):
        return None
    return Address(uri.host, uri.port or (5061 if uri.scheme == "sips" or uri.transport == "tls" else 5060))


def is_ip(host: str) -> bool:
    """Tell whether ``host`` is an IPv4 or IPv6 literal (without brackets)."""
    if not host or not (host[-1].isdigit() or ":" in host):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Dialog:
    """State shared by all usages of one dialog. ``peer`` is the fallback address for unresolvable hops."""

    __slots__ = (
        "call_id",
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
            routes=tuple(str(route) for route in reversed(response.record_route)),
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

    def next_hop(self) -> Address:
        """Return where requests go: the first route, else the remote target, else the peer (§8.1.2)."""
        hop = NameAddr.parse(self.routes[0]).uri_text if self.routes else self.target
        return address_of(hop) or self.peer

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
    contact = message.contact
    return None if contact is None else contact.uri_text
