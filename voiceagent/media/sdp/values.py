"""PURE. What a session description holds (RFC 8866), read-only. Unknown lines and attributes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from voiceagent.errors import SipError
from voiceagent.media.sdp.serialise import serialise


class SdpError(SipError):
    """A session description that cannot be read (``status`` 400, 413) or not be agreed on (488)."""

    code = "sdp"


class Direction(StrEnum):
    """Which way media flows, seen from the side that wrote it (RFC 3264 §5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """The direction of a side that sends and receives as told."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        """True for sendrecv and sendonly."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """True for sendrecv and recvonly."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> Direction:
        """The same flow seen from the other side."""
        return Direction.of(sends=self.receives, receives=self.sends)

    def narrowed(self, other: Direction) -> Direction:
        """What both allow."""
        return Direction.of(sends=self.sends and other.sends, receives=self.receives and other.receives)


class Attribute(NamedTuple):
    """``a=name:value``; a property attribute has the value None."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class Line(NamedTuple):
    """Any other line, kept as it came: its type letter and its value."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Origin:
    """``o=`` (RFC 8866 §5.2). Numbers stay text: they may be 64 bit and are only compared."""

    username: str
    session_id: str
    version: str
    address: str
    addrtype: str = "IP4"

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {self.addrtype} {self.address}"


@lru_cache(1024)
def ip_literal(address: str, addrtype: str) -> IPv4Address | IPv6Address | None:
    """Return the address as a literal; None for anything else. Few addresses, asked for in every call."""
    try:
        return IPv6Address(address) if addrtype == "IP6" else IPv4Address(address)
    except AddressValueError:
        return None


_BROADCAST = IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Connection:
    """``c=`` (§5.7). ``address`` without the TTL or count of a multicast address (``suffix``)."""

    address: str
    addrtype: str = "IP4"
    suffix: str = ""

    @classmethod
    def of(cls, address: str) -> Connection:
        """The connection line for an IPv4 or IPv6 literal."""
        return cls(address, "IP6" if ":" in address else "IP4")

    def __str__(self) -> str:
        return f"IN {self.addrtype} {self.address}{self.suffix}"

    @property
    def ip(self) -> IPv4Address | IPv6Address | None:
        """The address as a literal; None for a host name."""
        return ip_literal(self.address, self.addrtype)

    @property
    def is_hold(self) -> bool:
        """True for ``0.0.0.0`` and ``::``: do not send (RFC 3264 §8.4)."""
        ip = self.ip
        return ip is not None and ip.is_unspecified

    @property
    def is_reachable(self) -> bool:
        """True for a unicast literal. Names are not resolved, groups and broadcast are not sent to."""
        ip = self.ip
        return ip is not None and not ip.is_multicast and ip != _BROADCAST


class RtpMap(NamedTuple):
    """One payload type's encoding (§6.6): ``0 PCMU/8000``."""

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int = 1

    def __str__(self) -> str:
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload_type} {self.encoding}/{self.clock_rate}{channels}"


STATIC_RTPMAPS: dict[int, RtpMap] = {
    entry.payload_type: entry
    for entry in (
        RtpMap(0, "PCMU", 8000),
        RtpMap(3, "GSM", 8000),
        RtpMap(4, "G723", 8000),
        RtpMap(5, "DVI4", 8000),
        RtpMap(6, "DVI4", 16000),
        RtpMap(7, "LPC", 8000),
        RtpMap(8, "PCMA", 8000),
        RtpMap(9, "G722", 8000),
        RtpMap(10, "L16", 44100, 2),
        RtpMap(11, "L16", 44100),
        RtpMap(12, "QCELP", 8000),
        RtpMap(13, "CN", 8000),
        RtpMap(15, "G728", 8000),
        RtpMap(18, "G729", 8000),
    )
}
"""Audio payload types that need no rtpmap (RFC 3551 §6)."""


class _Attributes:
    """Look-ups shared by both levels."""

    __slots__ = ()
    attributes: tuple[Attribute, ...]

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of this name; ``""`` for a property, None when absent."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value or ""
        return None

    def attribute_all(self, name: str) -> list[str]:
        """The values of all attributes of this name."""
        return [attribute.value or "" for attribute in self.attributes if attribute.name == name]

    @property
    def own_direction(self) -> Direction | None:
        """The direction told at this level, or None."""
        for attribute in self.attributes:
            if attribute.value is None and attribute.name in _DIRECTIONS:
                return Direction(attribute.name)
        return None


_DIRECTIONS = frozenset(direction.value for direction in Direction)


def small_int(text: str, maximum: int, digits: int = 10) -> int | None:
    """ASCII digits as an int up to ``maximum``; None for anything else."""
    if not text or len(text) > digits or not text.isascii() or not text.isdigit():
        return None
    number = int(text)
    return number if number <= maximum else None


@dataclass(frozen=True, slots=True)
class MediaDescription(_Attributes):
    """One ``m=`` section. ``formats`` are kept as text; ``rtpmaps`` reads those that are payload types."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()
    connection: Connection | None = None
    port_count: int = 1
    extra: tuple[Line, ...] = ()

    @property
    def rtpmaps(self) -> list[RtpMap]:
        """The encodings offered, in the order of the m-line.

        A malformed rtpmap is passed over (``a=rtpmap:31 LPC``); static types need none; doubles count once.
        """
        told: dict[int, RtpMap] = {}
        for value in self.attribute_all("rtpmap"):
            entry = parse_rtpmap(value)
            if entry is not None:
                told.setdefault(entry.payload_type, entry)
        found: dict[int, RtpMap] = {}
        for text in self.formats:
            number = small_int(text, 127)
            if number is None or number in found:
                continue
            entry = told.get(number) or STATIC_RTPMAPS.get(number)
            if entry is not None:
                found[number] = entry
        return list(found.values())

    def fmtp(self, payload_type: int) -> str | None:
        """The format parameters of one payload type, as text."""
        for value in self.attribute_all("fmtp"):
            number, _, rest = value.strip().partition(" ")
            if small_int(number, 127) == payload_type:
                return rest.strip()
        return None

    @property
    def ptime(self) -> int | None:
        """Packet length asked for, milliseconds; None when absent or nonsense (``20.0`` is 20)."""
        return self._milliseconds("ptime")

    @property
    def maxptime(self) -> int | None:
        """Longest packet accepted, milliseconds."""
        return self._milliseconds("maxptime")

    @property
    def rtcp_mux(self) -> bool:
        """True when RTCP may share the RTP port (RFC 5761)."""
        return self.attribute("rtcp-mux") is not None

    @property
    def rtcp_port(self) -> int:
        """Where this side wants RTCP: the RTP port under rtcp-mux, else ``a=rtcp`` (RFC 3605) or the next."""
        if self.rtcp_mux:
            return self.port
        told = small_int((self.attribute("rtcp") or "").strip().partition(" ")[0], 65_535)
        return told or self.port + 1

    def _milliseconds(self, name: str) -> int | None:
        value = self.attribute(name)
        if value is None:
            return None
        number = small_int(value.strip().partition(".")[0], 1000)
        return number or None


@dataclass(frozen=True, slots=True)
class SessionDescription(_Attributes):
    """One session description. ``to_bytes`` writes it back in the order of RFC 8866 §5."""

    origin: Origin | None
    media: tuple[MediaDescription, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    connection: Connection | None = None
    name: str = "-"
    times: tuple[str, ...] = ("0 0",)
    extra: tuple[Line, ...] = ()

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The c= line that holds for a media section: its own, else that of the session."""
        return media.connection or self.connection

    def direction_of(self, media: MediaDescription) -> Direction:
        """The direction of a media section: its own, else that of the session, else sendrecv."""
        return media.own_direction or self.own_direction or Direction.SENDRECV

    def to_bytes(self) -> bytes:
        """The text as sent, lines ended by CRLF."""
        return serialise(self)


def parse_rtpmap(value: str) -> RtpMap | None:
    """Read ``96 opus/48000/2``; None when malformed."""
    number, _, rest = value.strip().partition(" ")
    payload_type = small_int(number, 127)
    parts = rest.strip().split("/")
    if payload_type is None or not 2 <= len(parts) <= 3 or not parts[0]:
        return None
    clock_rate = small_int(parts[1].strip(), 1_000_000)
    channels = small_int(parts[2].strip(), 255) if len(parts) == 3 else 1
    if not clock_rate or not channels:
        return None
    return RtpMap(payload_type, parts[0], clock_rate, channels)
