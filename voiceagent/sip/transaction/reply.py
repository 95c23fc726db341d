"""PURE. Our messages on the way out: shared header blocks, and no line that a value could smuggle in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.sip.address import Address
from voiceagent.sip.flows import DEFAULT_PORTS
from voiceagent.sip.syntax.build import reason_for
from voiceagent.sip.syntax.grammar import split_commas
from voiceagent.sip.syntax.headers import KNOWN_SPELLINGS, Headers, canonical_name
from voiceagent.sip.syntax.message import Request

_line_break = re.compile(r"[\r\n]+")


def one_line(text: str) -> str:
    """Return ``text`` with line breaks turned into spaces, so that no value can add a header."""
    if "\n" in text or "\r" in text:
        return _line_break.sub(" ", text)
    return text


def fields_of(lines: Iterable[tuple[str, str]]) -> Headers:
    """Return headers from (name, value) lines; line breaks in values become spaces."""
    known = KNOWN_SPELLINGS
    return Headers.from_lines(
        [
            (known[name], name, one_line(value))
            if name in known
            else (canonical_name(name), one_line(name), one_line(value))
            for name, value in lines
        ]
    )


def reply_address(request: Request, source: Address) -> Address:
    """Return where responses go (RFC 3261 §18.2.2, RFC 3581 §4).

    That is the request's own connection; over UDP the source's IP, and its port with ``rport``.

    ``maddr`` is ignored on purpose: a stranger must not choose whom we send to.
    """
    if source.transport != "udp":
        return source  # on the connection that the request came by (§18.2.2)
    via = request.via
    if via.asks_rport:
        return source
    return Address(source.host, via.port or 5060, "udp", source.flow)


def home_address(request: Request, source: Address) -> Address:
    """Return where the sender of ``request`` listens: what is left once its connection is gone (§18.2.2).

    Over TLS it has to prove the name that it gives itself in Via, since few certificates bear an IP address.
    """
    via = request.via
    name = via.host if source.transport == "tls" and via.host != source.host else ""
    return Address(source.host, via.port or DEFAULT_PORTS[source.transport], source.transport, 0, name)


@dataclass(slots=True)
class ReplyHead:
    """The lines that every response to one request shares, as text with CRLF."""

    vias: str
    routes: str
    """Record-Route, for 101–299."""
    from_: str
    to: str
    """To without CRLF; a tag of ours is added unless ``has_tag``."""
    has_tag: bool
    ids: str

    @property
    def size(self) -> int:
        """Characters of all these lines."""
        return len(self.vias) + len(self.routes) + len(self.from_) + len(self.to) + len(self.ids)


def reply_head(request: Request, source: Address) -> ReplyHead:
    """Read off ``request`` what its responses repeat (§8.2.6.2). Works for a malformed request as well."""
    headers = request.headers
    lines = headers.get_all("Via")
    if lines:
        lines[0] = _stamped(request, lines[0], source)
    to = headers.get("To")
    try:
        has_tag = to is None or request.to.tag is not None
    except SipError:
        has_tag = True
    routes = headers.get_all("Record-Route")
    sender, call_id, cseq = headers.get("From"), headers.get("Call-ID"), headers.get("CSeq")
    return ReplyHead(
        "".join([f"Via: {line}\r\n" for line in lines]),
        "".join([f"Record-Route: {route}\r\n" for route in routes]) if routes else "",
        "" if sender is None else f"From: {sender}\r\n",
        "" if to is None else f"To: {to}",
        has_tag,
        ("" if call_id is None else f"Call-ID: {call_id}\r\n")
        + ("" if cseq is None else f"CSeq: {cseq}\r\n"),
    )


def _stamped(request: Request, line: str, source: Address) -> str:
    """Return the top Via line with ``received`` and ``rport`` filled in from the packet's source."""
    via = request.via
    if via.asks_rport:
        via = via.seen_from(source[0], source[1])
    elif via.host != source[0] or via.received is not None:
        via = via.with_param("received", source[0])
    else:
        return line
    rest = split_commas(line)[1:] if "," in line else []
    return ", ".join([str(via), *rest])


def reply_bytes(
    head: ReplyHead,
    status: int,
    reason: str = "",
    tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "",
) -> bytes:
    """Return one response. ``tag`` goes into To where it has none and the status is not 100."""
    parts = [
        f"SIP/2.0 {status} {one_line(reason) if reason else reason_for(status)}\r\n",
        head.vias,
        head.routes if 100 < status < 300 else "",
        head.from_,
        head.to,
        f";tag={tag}" if tag and status > 100 and not head.has_tag else "",
        "\r\n" if head.to else "",
        head.ids,
    ]
    parts += [f"{one_line(name)}: {one_line(value)}\r\n" for name, value in headers]
    if body:
        parts.append(f"Content-Type: {content_type}\r\n")
    parts.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "".join(parts).encode("utf-8", "surrogateescape") + body
