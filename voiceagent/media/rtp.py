"""PURE. RTP headers (RFC 3550 §5.1), sequence arithmetic and the outgoing stream's state.

Receiving: :func:`parse` takes any legal packet apart, with a short road for the packet that nearly all of
them are (12-byte header, nothing extra). Sending: :class:`RtpWriter` fills one reused buffer.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = 12
"""Bytes of a header without CSRCs and extension."""
SEQ_MOD = 1 << 16
TS_MOD = 1 << 32
MAX_PACKET = 2048
"""Nothing that we negotiate is longer; ptime 60 ms of G.711 is 492 bytes."""

_FIXED = struct.Struct("!BBHII")
_WORDS = struct.Struct("!HH")
_SEQ_TS = struct.Struct("!HI")


class RtpPacket(NamedTuple):
    """One parsed packet. ``payload`` has padding, CSRCs and extension taken off."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    """Profile word and body of the header extension (RFC 3550 §5.3.1)."""


class RtpFormatError(ValueError):
    """The datagram is no RTP packet."""


def is_rtcp(data: bytes) -> bool:
    """True for RTCP on a multiplexed port: packet types 192–223 read as payload types 64–95 (RFC 5761 §4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def parse(data: bytes) -> RtpPacket:
    """Take a packet apart. Raises :class:`RtpFormatError`."""
    size = len(data)
    if size < HEADER:
        raise RtpFormatError(f"{size} bytes are too few for a header")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    if first == 0x80:
        return RtpPacket(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[HEADER:])
    if first >> 6 != 2:
        raise RtpFormatError(f"version {first >> 6}")
    offset = HEADER
    csrcs: tuple[int, ...] = ()
    count = first & 0x0F
    if count:
        if size < offset + 4 * count:
            raise RtpFormatError("CSRC list is cut off")
        csrcs = struct.unpack_from(f"!{count}I", data, offset)
        offset += 4 * count
    extension: tuple[int, bytes] | None = None
    if first & 0x10:
        if size < offset + 4:
            raise RtpFormatError("header extension is cut off")
        profile, words = _WORDS.unpack_from(data, offset)
        offset += 4
        if size < offset + 4 * words:
            raise RtpFormatError("header extension is cut off")
        extension = (profile, data[offset : offset + 4 * words])
        offset += 4 * words
    end = size
    if first & 0x20:
        padding = data[-1]
        if padding == 0 or padding > size - offset:
            raise RtpFormatError(f"padding of {padding} bytes")
        end = size - padding
    return RtpPacket(
        second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[offset:end], csrcs, extension
    )


def build(packet: RtpPacket) -> bytes:
    """Serialise ``packet`` without padding."""
    first = 0x80 | len(packet.csrcs)
    body = struct.pack(f"!{len(packet.csrcs)}I", *packet.csrcs) if packet.csrcs else b""
    if packet.extension is not None:
        profile, extension = packet.extension
        if len(extension) % 4:
            raise RtpFormatError("a header extension counts in words of 4 bytes")
        first |= 0x10
        body += _WORDS.pack(profile, len(extension) // 4) + extension
    second = packet.payload_type | (0x80 if packet.marker else 0)
    header = _FIXED.pack(first, second, packet.sequence, packet.timestamp, packet.ssrc)
    return header + body + packet.payload


def seq_delta(newer: int, older: int) -> int:
    """Signed distance of two sequence numbers, −32768 to 32767, over the wrap."""
    return ((newer - older + 0x8000) & 0xFFFF) - 0x8000


def ts_delta(newer: int, older: int) -> int:
    """Signed distance of two timestamps over the wrap."""
    return ((newer - older + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class RtpWriter:
    """The outgoing stream: sequence, timestamp and SSRC, and one buffer for all its packets.

    The returned buffers are reused: send them at once. Start values must be random (RFC 3550 §5.1): the
    shell draws them from its token source.
    """

    __slots__ = ("_audio", "_event", "payload_type", "sequence", "ssrc", "ticks", "timestamp")

    def __init__(self, payload_type: int, *, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc & 0xFFFFFFFF
        self.sequence = sequence & 0xFFFF
        self.timestamp = timestamp & 0xFFFFFFFF
        self.ticks = 160
        """Timestamp units of 20 ms: 960 for a clock of 48 kHz."""
        self._audio = bytearray(HEADER + 160)
        self._event = bytearray(HEADER + 4)
        self.set_payload_type(payload_type)

    def restart_low(self) -> None:
        """Draw the sequence number into the lower half before the first packet (RFC 3711 §3.3.1).

        An SRTP receiver that misses the first packets must not mistake a wrap for a new beginning.
        """
        self.sequence &= 0x7FFF

    def set_payload_type(self, payload_type: int) -> None:
        """Name the audio payload type of the packets to come."""
        self.payload_type = payload_type
        _FIXED.pack_into(self._audio, 0, 0x80, payload_type, 0, 0, self.ssrc)

    def audio(self, frame: bytes, marker: bool = False) -> bytearray:
        """Return the packet of one 160-byte frame, and move on by one frame."""
        buffer = self._audio
        sequence = self.sequence
        timestamp = self.timestamp
        _SEQ_TS.pack_into(buffer, 2, sequence, timestamp)
        buffer[1] = self.payload_type | 0x80 if marker else self.payload_type
        buffer[HEADER:] = frame
        self.sequence = (sequence + 1) & 0xFFFF
        self.timestamp = (timestamp + 160) & 0xFFFFFFFF
        return buffer

    def packet(self, payload: bytes, ticks: int, marker: bool = False) -> bytearray:
        """Return the packet of any payload, and move on by ``ticks``."""
        buffer = self._audio
        _SEQ_TS.pack_into(buffer, 2, self.sequence, self.timestamp)
        buffer[1] = self.payload_type | 0x80 if marker else self.payload_type
        buffer[HEADER:] = payload
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + ticks) & 0xFFFFFFFF
        return buffer

    def event(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> bytearray:
        """Return one telephone-event packet stamped ``timestamp``, and move on by one frame's time."""
        buffer = self._event
        second = payload_type | 0x80 if marker else payload_type
        _FIXED.pack_into(buffer, 0, 0x80, second, self.sequence, timestamp, self.ssrc)
        buffer[HEADER:] = payload
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + self.ticks) & 0xFFFFFFFF
        return buffer

    def skip(self, frames: int) -> None:
        """Let ``frames`` frames of 20 ms pass unsent: the timestamp moves on, the sequence does not."""
        self.timestamp = (self.timestamp + self.ticks * frames) & 0xFFFFFFFF
