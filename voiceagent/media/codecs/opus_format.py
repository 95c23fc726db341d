"""PURE. What can be read off an Opus packet and its SDP parameters without a codec (RFC 6716, RFC 7587)."""

from __future__ import annotations

from dataclasses import dataclass

SCALE = 6
"""Timestamp units (48 kHz, whatever the audio's rate) per sample at 8 kHz."""
MAX_SAMPLES = 960
"""Of one packet at 8 kHz: 120 ms (RFC 6716 §3.2.5, R5)."""
OUR_FMTP = "maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;useinbandfec=1"
"""The line is narrow-band: more bandwidth than that would be sent for nothing (RFC 7587 §6.1)."""
_SILK = (80, 160, 320, 480)
_HYBRID = (80, 160)
_CELT = (20, 40, 80, 160)
DEFAULT_BITS = 20_000


def samples(packet: bytes) -> int:
    """Return how long ``packet`` sounds, in samples at 8 kHz; 0 when it is malformed (RFC 6716 §3.1)."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = _SILK[config & 3]
    elif config < 16:
        frame = _HYBRID[config & 1]
    else:
        frame = _CELT[config & 3]
    if code == 3:
        if len(packet) < 2:
            return 0
        count = packet[1] & 0x3F
    else:
        count = 2 if code else 1
    total = frame * count
    return total if total <= MAX_SAMPLES else 0


@dataclass(frozen=True, slots=True)
class OpusWishes:
    """What the peer's fmtp asks of the stream that we send."""

    fec: bool = False
    cbr: bool = False
    bits: int = DEFAULT_BITS
    """Per second, for the audio alone."""


def wishes(fmtp: str) -> OpusWishes:
    """Read the peer's fmtp; unknown parameters and nonsense are passed over."""
    told: dict[str, str] = {}
    for part in fmtp.split(";"):
        name, _, value = part.partition("=")
        told.setdefault(name.strip().lower(), value.strip())
    most = told.get("maxaveragebitrate", "")
    bits = int(most) if most.isascii() and most.isdigit() and len(most) <= 9 else DEFAULT_BITS
    return OpusWishes(
        fec=told.get("useinbandfec") == "1",
        cbr=told.get("cbr") == "1",
        bits=max(6000, min(bits, DEFAULT_BITS)),
    )
