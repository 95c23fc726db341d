"""PURE. RTCP packets (RFC 3550 §6): sender and receiver reports, SDES and BYE, built and read.

Reading is tolerant of what does no harm (reduced size, RFC 5506; unknown packet types; padding) and strict
about lengths: whatever does not add up ends the reading of that datagram with :class:`RtcpFormatError`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

SR, RR, SDES, BYE, APP = 200, 201, 202, 203, 204
CNAME = 1
MAX_BLOCKS = 31
MAX_COMPOUND = 16
"""Packets of one datagram that are read."""
MAX_DATAGRAM = 1500

_HEAD = struct.Struct("!BBH")
_SENDER = struct.Struct("!IIIII")
_BLOCK = struct.Struct("!IIIIII")
_U32 = struct.Struct("!I")


class RtcpFormatError(ValueError):
    """The datagram is no RTCP."""


class ReportBlock(NamedTuple):
    """What a receiver says about one source (§6.4.1). Times are as on the wire."""

    ssrc: int
    fraction_lost: int
    """Lost of 256 since the last report."""
    cumulative_lost: int
    """Signed, 24 bits: duplicates can make it negative."""
    highest_sequence: int
    """Extended by the count of wraps in the upper 16 bits."""
    jitter: int
    """In timestamp units."""
    last_sr: int
    """Middle 32 bits of the NTP time of the last sender report that came; 0 without one."""
    delay_since_last_sr: int
    """In 1/65536 s."""


class SenderInfo(NamedTuple):
    """The sender's part of a sender report."""

    ntp: int
    """64 bits: seconds since 1900 and their fraction."""
    rtp_timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report (``sender`` set) or a receiver report."""

    ssrc: int
    sender: SenderInfo | None = None
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """SDES: the canonical names told, by source."""

    names: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that have left."""

    ssrcs: tuple[int, ...]
    reason: str = ""


Packet = Report | Description | Bye


def build_report(report: Report) -> bytes:
    """One SR or RR. At most 31 blocks."""
    kind, info = RR, b""
    if report.sender is not None:
        kind = SR
        sender = report.sender
        info = _SENDER.pack(
            sender.ntp >> 32,
            sender.ntp & 0xFFFFFFFF,
            sender.rtp_timestamp & 0xFFFFFFFF,
            sender.packets & 0xFFFFFFFF,
            sender.octets & 0xFFFFFFFF,
        )
    blocks = report.blocks[:MAX_BLOCKS]
    body = _U32.pack(report.ssrc) + info + b"".join(_block(block) for block in blocks)
    return _packet(kind, len(blocks), body)


def _block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, block.cumulative_lost)) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc,
        (block.fraction_lost & 0xFF) << 24 | lost,
        block.highest_sequence & 0xFFFFFFFF,
        block.jitter & 0xFFFFFFFF,
        block.last_sr,
        block.delay_since_last_sr & 0xFFFFFFFF,
    )


def build_name(ssrc: int, name: str) -> bytes:
    """An SDES packet with the canonical name of one source; the name is cut at 255 bytes."""
    text = name.encode("utf-8")[:255]
    chunk = _U32.pack(ssrc) + bytes((CNAME, len(text))) + text
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def build_bye(ssrc: int) -> bytes:
    """A BYE of one source, without a reason."""
    return _packet(BYE, 1, _U32.pack(ssrc))


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def parse_compound(data: bytes) -> list[Packet]:
    """The packets of one datagram that we understand, in order. Raises :class:`RtcpFormatError`."""
    size = len(data)
    if size < 8 or size > MAX_DATAGRAM:
        raise RtcpFormatError(f"{size} bytes are no compound packet")
    found: list[Packet] = []
    at = 0
    for _ in range(MAX_COMPOUND):
        if at >= size:
            break
        if size - at < 4:
            raise RtcpFormatError("a header is cut off")
        first, kind, words = _HEAD.unpack_from(data, at)
        if first >> 6 != 2 or not 192 <= kind <= 223:
            raise RtcpFormatError("not RTCP")
        end = at + 4 + 4 * words
        if end > size:
            raise RtcpFormatError("a packet is longer than its datagram")
        body = data[at + 4 : end]
        if first & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                raise RtcpFormatError("malformed padding")
            body = body[: -body[-1]]
        packet = _parse(kind, first & 0x1F, body)
        if packet is not None:
            found.append(packet)
        at = end
    return found


def _parse(kind: int, count: int, body: bytes) -> Packet | None:
    if kind in (SR, RR):
        return _report(kind, count, body)
    if kind == SDES:
        return _description(count, body)
    if kind == BYE:
        if len(body) < 4 * count:
            raise RtcpFormatError("BYE is cut off")
        rest = body[4 * count :]
        reason = rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else ""
        return Bye(struct.unpack_from(f"!{count}I", body), reason)
    return None


def _report(kind: int, count: int, body: bytes) -> Report:
    fixed = 4 + (_SENDER.size if kind == SR else 0)
    if len(body) < fixed + count * _BLOCK.size:
        raise RtcpFormatError("a report is cut off")
    (ssrc,) = _U32.unpack_from(body)
    sender = None
    if kind == SR:
        high, low, timestamp, packets, octets = _SENDER.unpack_from(body, 4)
        sender = SenderInfo(high << 32 | low, timestamp, packets, octets)
    blocks: list[ReportBlock] = []
    for index in range(count):
        source, lost, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, fixed + index * _BLOCK.size)
        cumulative = lost & 0xFFFFFF
        if cumulative & 0x800000:
            cumulative -= 0x1000000
        blocks.append(ReportBlock(source, lost >> 24, cumulative, highest, jitter, last_sr, delay))
    return Report(ssrc, sender, tuple(blocks))


def _description(count: int, body: bytes) -> Description:
    names: list[tuple[int, str]] = []
    at = 0
    for _ in range(count):
        if len(body) - at < 4:
            raise RtcpFormatError("SDES is cut off")
        (ssrc,) = _U32.unpack_from(body, at)
        start = at
        at += 4
        while at < len(body) and body[at]:
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise RtcpFormatError("an SDES item is cut off")
            if body[at] == CNAME:
                names.append((ssrc, body[at + 2 : at + 2 + body[at + 1]].decode("utf-8", "replace")))
            at += 2 + body[at + 1]
        # The list ends with one to four zero bytes, up to the next word.
        at = start + (at - start) // 4 * 4 + 4
    return Description(tuple(names))
