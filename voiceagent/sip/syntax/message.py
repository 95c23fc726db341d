"""PURE. Requests and responses: the parsed message, typed access to its headers, and its bytes.

Accessors parse on first use and remember the result; they raise SipError (``status`` 400) when that header is
malformed, so a bad header hurts only those who need it. A message from ``parser.parse_datagram`` has its core
headers (top Via, From, To, Call-ID, CSeq) already read without error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from voiceagent.errors import SipError
from voiceagent.sip.limits import DEFAULT
from voiceagent.sip.syntax.grammar_addr import NameAddr
from voiceagent.sip.syntax.grammar_scan import WSP, bad, is_token, parse_int, parse_params, split_commas
from voiceagent.sip.syntax.grammar_values import CSeq, RAck, ReferTo, Replaces, SessionExpires
from voiceagent.sip.syntax.grammar_via import Via
from voiceagent.sip.syntax.headers import Headers
from voiceagent.sip.syntax.uri import SipUri


def _single(headers: Headers, name: str, code: str) -> str:
    value = headers.get(name)
    if not value:
        raise SipError(f"{name} is missing", status=400, code=f"missing_{code}")
    return value


def _list(headers: Headers, name: str, code: str) -> list[str]:
    values = headers.split_all(name, DEFAULT.list_values)
    if len(values) > DEFAULT.list_values:
        raise bad(code, f"more than {DEFAULT.list_values} values")
    return values


def _top_via(headers: Headers) -> Via:
    value = _single(headers, "Via", "via")
    first = split_commas(value, 1)[0] if "," in value else value
    # Forgiving where only replying is at stake: "SIP/2.0/UDP 192.0.2.15;;" still tells where the reply goes.
    return Via.parse(first, skip_empty_params=True)


def _all_vias(headers: Headers) -> list[Via]:
    values = _list(headers, "Via", "via")
    if len(values) == 1 and not _empty_param(values[0]):
        return [headers.derived("via", _top_via)]
    return [Via.parse(value) for value in values]


_empty_param = re.compile(r";[ \t]*(?:;|$)").search


def _from(headers: Headers) -> NameAddr:
    return NameAddr.parse(_single(headers, "From", "from"), "from")


def _to(headers: Headers) -> NameAddr:
    return NameAddr.parse(_single(headers, "To", "to"), "to")


def _call_id(headers: Headers) -> str:
    value = _single(headers, "Call-ID", "call_id")
    if " " in value or "\t" in value or "\x00" in value:
        raise bad("call_id", "white space or NUL inside")
    return value


def _cseq(headers: Headers) -> CSeq:
    return CSeq.parse(_single(headers, "CSeq", "cseq"))


def _contacts(headers: Headers) -> list[NameAddr]:
    return [NameAddr.parse(value, "contact") for value in _list(headers, "Contact", "contact")]


def _routes(headers: Headers) -> list[NameAddr]:
    return [NameAddr.parse(value, "route") for value in _list(headers, "Route", "route")]


def _record_routes(headers: Headers) -> list[NameAddr]:
    return [NameAddr.parse(value, "record_route") for value in _list(headers, "Record-Route", "record_route")]


def _content_type(headers: Headers) -> tuple[str, dict[str, str]] | None:
    value = headers.get("Content-Type")
    if value is None:
        return None
    media, semicolon, tail = value.partition(";")
    kind, slash, subtype = media.partition("/")
    kind, subtype = kind.strip(WSP), subtype.strip(WSP)
    if not slash or not is_token(kind) or not is_token(subtype):
        raise bad("content_type", "not type/subtype")
    params = parse_params(";" + tail, "content_type") if semicolon else ()
    return f"{kind}/{subtype}".lower(), {name.lower(): text or "" for name, text in reversed(list(params))}


def _number(headers: Headers, name: str, what: str, maximum: int | None = None) -> int | None:
    value = headers.get(name)
    return None if value is None else parse_int(value, what, maximum=maximum)


def _max_forwards(headers: Headers) -> int | None:
    return _number(headers, "Max-Forwards", "max_forwards", 255)


def _expires(headers: Headers) -> int | None:
    return _number(headers, "Expires", "expires")


def _session_expires(headers: Headers) -> SessionExpires | None:
    value = headers.get("Session-Expires")
    return None if value is None else SessionExpires.parse(value)


def _replaces(headers: Headers) -> Replaces | None:
    value = headers.get("Replaces")
    return None if value is None else Replaces.parse(value)


def _refer_to(headers: Headers) -> ReferTo | None:
    value = headers.get("Refer-To")
    return None if value is None else ReferTo.parse(value)


def _rack(headers: Headers) -> RAck | None:
    value = headers.get("RAck")
    return None if value is None else RAck.parse(value)


class Message:
    """What requests and responses share. Do not make one directly."""

    __slots__ = ()
    headers: Headers
    body: bytes

    @property
    def via(self) -> Via:
        """The top Via; forgives empty parameters (``;;``), which ``vias`` does not."""
        return self.headers.derived("via", _top_via)

    @property
    def vias(self) -> list[Via]:
        """All Via values, top first."""
        return self.headers.derived("vias", _all_vias)

    @property
    def from_(self) -> NameAddr:
        """From."""
        return self.headers.derived("from", _from)

    @property
    def to(self) -> NameAddr:
        """To."""
        return self.headers.derived("to", _to)

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self.headers.derived("call_id", _call_id)

    @property
    def cseq(self) -> CSeq:
        """CSeq."""
        return self.headers.derived("cseq", _cseq)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; ``uri_text`` is ``*`` for the wildcard of REGISTER."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contact values."""
        return self.headers.derived("contacts", _contacts)

    @property
    def route(self) -> list[NameAddr]:
        """Route values, the next hop first."""
        return self.headers.derived("route", _routes)

    @property
    def record_route(self) -> list[NameAddr]:
        """Record-Route values, top first."""
        return self.headers.derived("record_route", _record_routes)

    @property
    def require(self) -> list[str]:
        """Option tags of Require."""
        return [tag for tag in _list(self.headers, "Require", "require") if tag]

    @property
    def supported(self) -> list[str]:
        """Option tags of Supported."""
        return [tag for tag in _list(self.headers, "Supported", "supported") if tag]

    @property
    def content_type(self) -> str | None:
        """``type/subtype`` in lower case, without parameters; None when absent."""
        parsed = self.headers.derived("content_type", _content_type)
        return None if parsed is None else parsed[0]

    @property
    def content_type_params(self) -> dict[str, str]:
        """Parameters of Content-Type, names in lower case (``boundary``)."""
        parsed = self.headers.derived("content_type", _content_type)
        return {} if parsed is None else parsed[1]

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, 0–255; None when absent (RFC 2543 clients)."""
        return self.headers.derived("max_forwards", _max_forwards)

    @property
    def expires(self) -> int | None:
        """Expires in seconds."""
        return self.headers.derived("expires", _expires)

    @property
    def session_expires(self) -> SessionExpires | None:
        """Session-Expires (RFC 4028)."""
        return self.headers.derived("session_expires", _session_expires)

    @property
    def replaces(self) -> Replaces | None:
        """Replaces (RFC 3891)."""
        return self.headers.derived("replaces", _replaces)

    @property
    def refer_to(self) -> ReferTo | None:
        """Refer-To (RFC 3515)."""
        return self.headers.derived("refer_to", _refer_to)

    @property
    def rack(self) -> RAck | None:
        """RAck (RFC 3262)."""
        return self.headers.derived("rack", _rack)

    def _bytes(self, start_line: str) -> bytes:
        lines = [start_line]
        lines += [f"{name}: {value}" for name, value in self.headers.items() if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        head = "\r\n".join(lines)
        # One CRLF per line and no other CR or LF: nothing put into a message can add a line to it.
        if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
            raise ValueError("a start line or header value holds CR or LF")
        return head.encode("utf-8", "surrogateescape") + self.body


@dataclass(slots=True)
class Request(Message):
    """A request. ``uri`` is the Request-URI as it stood on the line; ``request_uri`` reads it."""

    method: str
    uri: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = "SIP/2.0"

    @property
    def request_uri(self) -> SipUri:
        """The Request-URI; SipError 400 when malformed. The scheme is not judged here."""
        uri = self.uri
        return self.headers.derived(("uri", uri), lambda _: SipUri.parse(uri))

    def to_bytes(self) -> bytes:
        """The message as sent, with the exact Content-Length as its last header."""
        return self._bytes(f"{self.method} {self.uri} {self.version}")


@dataclass(slots=True)
class Response(Message):
    """A response."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = "SIP/2.0"

    @property
    def is_provisional(self) -> bool:
        """1xx."""
        return self.status < 200

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    def to_bytes(self) -> bytes:
        """The message as sent, with the exact Content-Length as its last header."""
        return self._bytes(f"{self.version} {self.status} {self.reason}")
