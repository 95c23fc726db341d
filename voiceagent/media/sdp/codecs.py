"""PURE. The codecs this agent can name in SDP, and how they are recognised in an offer."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.media.codecs.opus_format import OUR_FMTP
from voiceagent.media.sdp.values import RtpMap

TELEPHONE_EVENT = "telephone-event"
COMFORT_NOISE = "CN"
NOT_AUDIO = frozenset({TELEPHONE_EVENT, COMFORT_NOISE.lower()})
"""Encodings that come beside a codec and are none."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding. ``clock_rate`` is that of the RTP timestamp (8000 for G.722, RFC 3551 §4.5.2).

    ``ptimes`` are the packet times, in ms, that a stream of ours can have; ``plain`` is G.711, which needs no
    transcoding.
    """

    name: str
    clock_rate: int
    static_payload_type: int | None = None
    channels: int = 1
    fmtp: str | None = None
    ptimes: tuple[int, ...] = (10, 20, 30, 40, 60)
    plain: bool = False

    def is_same(self, entry: RtpMap) -> bool:
        """True when an rtpmap means this codec; names compare without case (RFC 8866 §6.6)."""
        return (
            entry.clock_rate == self.clock_rate
            and entry.channels == self.channels
            and entry.encoding.lower() == self.name.lower()
        )


CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec("PCMU", 8000, 0, plain=True),
        Codec("PCMA", 8000, 8, plain=True),
        Codec("G722", 8000, 9),
        Codec("opus", 48_000, None, 2, OUR_FMTP, (10, 20, 40, 60)),
    )
}


_BY_LOWER_NAME = {name.lower(): codec for name, codec in CODECS.items()}


def codec_named(name: str) -> Codec:
    """The codec of this name, case as in ``CODECS`` or not; ValueError for an unknown one."""
    codec = _BY_LOWER_NAME.get(name.lower())
    if codec is not None:
        return codec
    raise ValueError(f"unknown codec {name!r}; known: {', '.join(CODECS)}")
