"""PURE. The codecs this agent can name in SDP, and how they are recognised in an offer."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.media.sdp.values import RtpMap

TELEPHONE_EVENT = "telephone-event"


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding. ``clock_rate`` is that of the RTP timestamp (8000 for G.722, RFC 3551 §4.5.2)."""

    name: str
    clock_rate: int
    static_payload_type: int | None = None
    channels: int = 1
    fmtp: str | None = None

    def is_same(self, entry: RtpMap) -> bool:
        """True when an rtpmap means this codec; names compare without case (RFC 8866 §6.6)."""
        return (
            entry.encoding.lower() == self.name.lower()
            and entry.clock_rate == self.clock_rate
            and entry.channels == self.channels
        )


CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec("PCMU", 8000, 0),
        Codec("PCMA", 8000, 8),
        Codec("G722", 8000, 9),
        Codec("opus", 48_000, None, 2, "useinbandfec=1"),
    )
}


def codec_named(name: str) -> Codec:
    """The codec of this name, case as in ``CODECS`` or not; ValueError for an unknown one."""
    for codec in CODECS.values():
        if codec.name.lower() == name.lower():
            return codec
    raise ValueError(f"unknown codec {name!r}; known: {', '.join(CODECS)}")
