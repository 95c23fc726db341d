"""PURE. What is chosen among the encodings of both sides: codec, packet time, events, comfort noise."""

from __future__ import annotations

from typing import Literal

from voiceagent.media.sdp.codecs import COMFORT_NOISE, NOT_AUDIO, TELEPHONE_EVENT, Codec, codec_named
from voiceagent.media.sdp.values import MediaDescription, RtpMap

CodecPreference = Literal["untouched", "theirs", "ours"]
"""Which codec of an offer is taken.

``theirs`` is the first of the offer that we have, ``ours`` the first of ours that is offered, ``untouched``
the first G.711 of the offer, because it needs no transcoding, and else ``theirs``.
"""


def choose(
    entries: list[RtpMap], known: list[Codec], preference: CodecPreference
) -> tuple[RtpMap, Codec] | None:
    """The entry of an offer that is taken, and what it is."""
    pairs = [(entry, codec) for entry in entries for codec in known if codec.is_same(entry)]
    if not pairs:
        return None
    if preference == "ours":
        return min(pairs, key=lambda pair: known.index(pair[1]))
    if preference == "untouched":
        return next((pair for pair in pairs if pair[1].plain), pairs[0])
    return pairs[0]


def packet_time(media: MediaDescription, ours: int, possible: tuple[int, ...], codec: Codec) -> int:
    """The packet time that the peer asks for where we can send it; never longer than its ``maxptime``."""
    can = [one for one in possible if one in codec.ptimes] or [ours]
    asked = media.ptime
    chosen = asked if asked is not None and asked in can else ours
    most = media.maxptime
    if most is not None and chosen > most:
        return max((one for one in can if one <= most), default=min(can))
    return chosen


def is_audio(entry: RtpMap) -> bool:
    return entry.encoding.lower() not in NOT_AUDIO


def event_rates(clock_rate: int) -> tuple[int, ...]:
    """Clocks of telephone-event to look for beside a codec.

    RFC 4733 §2.1 wants the codec's own; many phones offer only 8000 beside Opus, and mean it.
    """
    return (clock_rate,) if clock_rate == 8000 else (clock_rate, 8000)


def noise_type(entries: list[RtpMap], clock_rate: int) -> int | None:
    """The payload type of comfort noise at the codec's clock (RFC 3389 §4)."""
    for entry in entries:
        if entry.encoding.lower() == COMFORT_NOISE.lower() and entry.clock_rate == clock_rate == 8000:
            return entry.payload_type
    return None


def find(entries: list[RtpMap], wanted: RtpMap) -> RtpMap | None:
    for entry in entries:
        same_name = entry.encoding.lower() == wanted.encoding.lower()
        if same_name and entry.clock_rate == wanted.clock_rate and entry.channels == wanted.channels:
            return entry
    return None


def event_type(entries: list[RtpMap], clock_rate: int) -> int | None:
    """The telephone-event payload type at this clock rate."""
    for entry in entries:
        if entry.encoding.lower() == TELEPHONE_EVENT and entry.clock_rate == clock_rate:
            return entry.payload_type
    return None


def codec_of(entry: RtpMap) -> Codec:
    try:
        return codec_named(entry.encoding)
    except ValueError:
        return Codec(entry.encoding, entry.clock_rate)


def name_of(entry: RtpMap) -> str:
    return codec_of(entry).name
