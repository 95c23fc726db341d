"""PURE. A tolerant reader of session descriptions (RFC 8866, RFC 4566).

Forgives what phones get wrong and what does not change the meaning: bare LF, missing ``s=`` or ``t=``,
unknown line types, odd attributes. Refuses what it would have to guess. Raises SdpError and nothing else.
"""

from __future__ import annotations

from voiceagent.media.sdp.limits import DEFAULT, SdpLimits
from voiceagent.media.sdp.serialise import KEPT_ORDER
from voiceagent.media.sdp.values import (
    Attribute,
    Connection,
    Line,
    MediaDescription,
    Origin,
    SdpError,
    SessionDescription,
    ip_literal,
    small_int,
)


def _bad(code: str, message: str) -> SdpError:
    return SdpError(f"SDP: {message}", status=400, code=f"sdp_{code}")


def parse_sdp(data: bytes, limits: SdpLimits = DEFAULT) -> SessionDescription:
    """Read one session description; SdpError 400 when malformed, 413 when larger than ``limits.size``."""
    if len(data) > limits.size:
        raise SdpError(f"SDP: over {limits.size} bytes", status=413, code="sdp_too_large")
    text = data.decode("utf-8", "surrogateescape")
    if "\x00" in text:
        raise _bad("nul", "NUL inside")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip(" \t"):
        lines.pop()
    if not lines or lines[0].rstrip(" \t") != "v=0":
        raise _bad("version", "does not begin with v=0")
    if len(lines) > limits.lines:
        raise _bad("too_many_lines", f"over {limits.lines} lines")
    session = _Section()
    sections: list[_Section] = []
    current = session
    attributes = 0
    for line in lines[1:]:
        if len(line) < 2 or line[1] != "=" or not ("a" <= line[0] <= "z"):
            raise _bad("line", "a line is not <letter>=<value>")
        kind, value = line[0], line[2:].strip(" \t")
        if kind == "m":
            if len(sections) >= limits.media:
                raise _bad("too_many_media", f"over {limits.media} m= lines")
            current = _Section(value)
            sections.append(current)
        elif kind == "a":
            attributes += 1
            if attributes > limits.attributes:
                raise _bad("too_many_attributes", f"over {limits.attributes} a= lines")
            name, colon, rest = value.partition(":")
            current.attributes.append(Attribute(name, rest if colon else None))
        elif kind == "c":
            # A second c= only adds multicast layers; the first one counts.
            if current.connection is None:
                current.connection = _connection(value)
        elif kind == "o" and current is session:
            if session.origin is not None:
                raise _bad("origin", "two o= lines")
            session.origin = _origin(value)
        elif kind == "s" and current is session:
            session.name = value
        elif kind == "t" and current is session:
            session.times.append(value)
        elif kind == "r" and current is session:
            session.times.append(f"r={value}")
        elif kind == "v":
            raise _bad("version", "two v= lines")
        else:
            current.extra.append(Line(kind, value))
    return SessionDescription(
        origin=session.origin,
        media=tuple(_media(section, limits) for section in sections),
        attributes=tuple(session.attributes),
        connection=session.connection,
        name=session.name,
        times=tuple(session.times) or ("0 0",),
        extra=_in_order(session.extra),
    )


class _Section:
    """The lines of one level while they are being read."""

    __slots__ = ("attributes", "connection", "extra", "head", "name", "origin", "times")

    def __init__(self, head: str = "") -> None:
        self.head = head
        self.attributes: list[Attribute] = []
        self.connection: Connection | None = None
        self.extra: list[Line] = []
        self.name = "-"
        self.origin: Origin | None = None
        self.times: list[str] = []


def _in_order(lines: list[Line]) -> tuple[Line, ...]:
    if len(lines) < 2:
        return tuple(lines)
    return tuple(sorted(lines, key=lambda line: KEPT_ORDER.find(line.kind) % 100))


def _origin(value: str) -> Origin:
    parts = value.rsplit(maxsplit=5) if " " in value else []
    if len(parts) != 6:
        raise _bad("origin", "o= needs six fields")
    username, session_id, version, nettype, addrtype, address = parts
    for number in (session_id, version):
        if len(number) > 20 or not number.isascii() or not number.isdigit():
            raise _bad("origin", "the session id or version is not a 64-bit number")
    if nettype != "IN" or addrtype not in ("IP4", "IP6"):
        raise _bad("origin", "not an Internet address")
    return Origin(username, session_id, version, address, addrtype)


def _connection(value: str) -> Connection:
    parts = value.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise _bad("connection", "c= is not IN IP4 or IN IP6 and an address")
    address, slash, suffix = parts[2].partition("/")
    if not address or len(address) > 255:
        raise _bad("connection", "c= has no address")
    if parts[1] == "IP6":
        if ":" in address and ip_literal(address, "IP6") is None:
            raise _bad("connection", "malformed IPv6 address")
    elif not address.strip("0123456789.") and ip_literal(address, "IP4") is None:
        raise _bad("connection", "malformed IPv4 address")
    return Connection(address, parts[1], slash + suffix)


def _media(section: _Section, limits: SdpLimits) -> MediaDescription:
    parts = section.head.split()
    if len(parts) < 3:
        raise _bad("media", "m= needs a kind, a port and a protocol")
    port_text, slash, count_text = parts[1].partition("/")
    port = small_int(port_text, 65_535, limits.int_digits)
    count = small_int(count_text, 65_535, limits.int_digits) if slash else 1
    if port is None or not count:
        raise _bad("media", "the port is not a number below 65536")
    formats = parts[3:]
    if len(formats) > limits.payload_types:
        raise _bad("too_many_formats", f"over {limits.payload_types} formats")
    return MediaDescription(
        kind=parts[0].lower(),
        port=port,
        protocol=parts[2].upper(),
        formats=tuple(formats),
        attributes=tuple(section.attributes),
        connection=section.connection,
        port_count=count,
        extra=_in_order(section.extra),
    )
