"""What a media port is told (the path agreed on) and what it tells (its owner's events)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from voiceagent.errors import MediaError
from voiceagent.media.codecs import LAWS
from voiceagent.media.comfort_noise import PAYLOAD_TYPE
from voiceagent.media.fingerprint import DtlsParameters
from voiceagent.media.g711 import Law
from voiceagent.media.source_lock import Address
from voiceagent.media.srtp_profile import SrtpKeys

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
"""Ours, as our SDP says it (RFC 3264 §5.1)."""
Security = SrtpKeys | DtlsParameters
"""Keys that SDES brought, or what DTLS needs to bring them."""


@dataclass(frozen=True, slots=True)
class MediaPath:
    """What offer and answer agreed on for one audio stream."""

    remote: Address | None
    """Connection address and port of the peer's SDP; None while unknown, or on hold by 0.0.0.0: as before."""
    codec: str = "PCMU"
    """What we send: PCMU, PCMA, G722 or opus."""
    payload_type: int = 0
    event_payload_type: int | None = 101
    """Of telephone-event, None where it was not agreed on: then digits go out as tones."""
    direction: Direction = "sendrecv"
    learn: bool = True
    """May a source other than ``remote`` prove itself (phones behind NAT)? Off for fixed trunks."""
    security: Security | None = None
    """None: plain RTP. Else nothing leaves in the clear, and nothing unauthenticated is looked at."""
    rtcp: Address | None = None
    """Where the peer takes RTCP; None under ``rtcp_mux``, or where there is none."""
    rtcp_mux: bool = False
    """RTCP shares the port of RTP (RFC 5761)."""
    inband_digits: bool = False
    """Listen for DTMF tones in the caller's audio (costs ≈ 0.5 % of a core): for phones without events."""
    line: Law | None = None
    """The law of the frames on our side; None: that of ``codec``, µ-law where it has none."""
    ptime: int = 20
    """Milliseconds of audio in a packet of ours."""
    fmtp: str = ""
    """What the peer asks of our stream (Opus)."""
    event_rate: int = 8000
    """Clock of telephone-event."""
    receives: Mapping[int, str] | None = None
    """Codecs that the peer may send, by payload type; None: ``codec`` as ``payload_type`` only."""
    receive_event_type: int | None = None
    """Payload type of the peer's telephone-events; None: the one that we use."""
    comfort_noise_type: int = PAYLOAD_TYPE

    @property
    def law(self) -> Law:
        """The law of the frames on our side."""
        return self.line or LAWS.get(self.codec, "ulaw")

    @property
    def clock_rate(self) -> int:
        """Timestamp units in a second."""
        return 48_000 if self.codec == "opus" else 8000

    @property
    def audio_types(self) -> Mapping[int, str]:
        """The codec of each audio payload type that the peer may use."""
        return self.receives if self.receives is not None else {self.payload_type: self.codec}

    @property
    def digit_type(self) -> int | None:
        """The payload type of the peer's telephone-events."""
        return self.event_payload_type if self.receive_event_type is None else self.receive_event_type

    @property
    def payload_types(self) -> frozenset[int]:
        """All payload types that the peer may use."""
        digits = self.digit_type
        return frozenset({*self.audio_types, self.comfort_noise_type, *(() if digits is None else (digits,))})


class PortEvents(Protocol):
    """What a port tells its owner."""

    def on_audio(self, audio: bytes) -> None:
        """One or several 20 ms frames of the caller, in order, gaps filled."""
        ...

    def on_digit(self, digit: str) -> None:
        """The caller pressed a key; told once, at the beginning of the press."""
        ...

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        """The item's first packet has left."""
        ...

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        """The item was played to its end; items cut by ``stop_playing`` are not told here."""
        ...

    def on_media_lost(self, silence_s: float) -> None:
        """No packet came for so long, though some should; told again each time that the limit has passed."""
        ...

    def on_media_failed(self, error: MediaError) -> None:
        """The media can never flow: the DTLS handshake failed, or its certificate is not the agreed one."""
        ...


class NoEvents:
    """Who is told by a closed port: nobody. A ``PortEvents``."""

    def on_audio(self, audio: bytes) -> None: ...

    def on_digit(self, digit: str) -> None: ...

    def on_playback_started(self, response_id: str, item_id: str) -> None: ...

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None: ...

    def on_media_lost(self, silence_s: float) -> None: ...

    def on_media_failed(self, error: MediaError) -> None: ...


NOBODY: PortEvents = NoEvents()
