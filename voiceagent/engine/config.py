"""All settings of the embedded provider in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .webhook_signature import webhook_key

VoiceChoice = Literal["auto", "flite", "espeak", "tone"]
RecogniserChoice = Literal["auto", "pocketsphinx", "canned"]
VadChoice = Literal["auto", "silero", "webrtc", "energy"]


@dataclass(frozen=True, slots=True)
class HostedConfig:
    """The engine has the caller's line itself: SIP in, signed webhook out, calls REST, control sockets."""

    webhook_secret: str
    """``whsec_`` and a key in base64, as Standard Webhooks has it; ``new_webhook_secret()`` makes one."""
    webhook_url: str | None = None
    """Where calls are offered. None: callers are refused with 480 until it is set on the running engine."""
    sip_host: str = "127.0.0.1"
    sip_port: int = 0
    """UDP port; 0 takes a free one."""
    advertised_host: str | None = None
    """The address told in SIP and SDP, where it differs from ``sip_host``."""
    allowed_sources: tuple[str, ...] | None = None
    """Addresses and CIDR blocks that may call; None: this machine only."""
    max_calls: int = 100
    """Further callers get 503."""
    ring_s: float = 30.0
    """A call neither accepted nor rejected by then is refused with 480."""
    webhook_timeout_s: float = 5.0
    """Time for one attempt to be answered."""
    retry_first_s: float = 0.5
    """Wait before the second attempt; it doubles up to ``retry_most_s`` while the caller rings."""
    retry_most_s: float = 10.0
    media_timeout_s: float = 60.0
    """The call ends when no RTP came for so long; 0 never."""
    end_close: int = 1000
    """Close code of the control sockets when the call ends; 1006 aborts TCP, as vendors often do."""

    def __post_init__(self) -> None:
        webhook_key(self.webhook_secret)
        if self.ring_s <= 0 or self.webhook_timeout_s <= 0:
            raise ValueError("ring_s and webhook_timeout_s must be positive")
        if self.retry_first_s < 0 or self.retry_most_s < self.retry_first_s:
            raise ValueError("retry_first_s must not be negative, nor above retry_most_s")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one embedded provider. Every field has a working default."""

    host: str = "127.0.0.1"
    port: int = 0
    """TCP port; 0 takes a free one."""
    api_key: str | None = None
    """When set, the handshake needs ``Authorization: Bearer <api_key>``; anything else gets HTTP 401."""
    model: str = "voiceagent-embedded"
    """Model name shown to a client which names none in ``?model=``."""
    session_minutes: float = 60.0
    """Age at which a session ends with ``session_expired`` and close code 1001."""
    strict: bool = True
    """Refuse unknown fields, as the vendor does. False ignores them."""
    echo_event_id: bool = True
    """Name the client's ``event_id`` in errors. False sends null, as vendors sometimes do."""

    voice: VoiceChoice | str = "auto"
    """Built-in voice, or the name of a ``voiceagent.tts`` entry point."""
    recogniser: RecogniserChoice | str = "auto"
    """Built-in recogniser, or the name of a ``voiceagent.stt`` entry point."""
    vad: VadChoice | str = "auto"
    """Built-in voice activity detector, or the name of a ``voiceagent.vad`` entry point."""
    speculate: bool = True
    """Begin to recognise after 250 ms of silence; thrown away when the caller goes on."""
    brain: str = "rules"
    """``rules``, or the name of a ``voiceagent.brain`` entry point. ``chat_url`` wins over ``rules``."""
    language: str = "en"
    """BCP 47; the built-in recogniser hears English only."""

    chat_url: str | None = None
    """Base URL of an OpenAI-compatible chat endpoint, for example ``http://127.0.0.1:11434/v1``."""
    chat_model: str = "default"
    chat_key: str | None = None
    chat_timeout_s: float = 20.0

    pace: float = 4.0
    """Audio is sent this many times faster than real time; 0 sends without waiting."""
    chunk_ms: int = 200
    """Length of one audio delta."""
    faults: str = ""
    """A misbehaviour script, see :mod:`voiceagent.engine.faults`."""
    hear: tuple[str, ...] = ()
    """Loop-back mode: what the caller's turns are recognised as, in order; the last one repeats."""
    hosted: HostedConfig | None = None
    """When set, the engine also takes calls itself."""
    seed: int | None = None
    """When set, all ids are counted, and all dice are seeded: runs repeat to the byte."""

    def __post_init__(self) -> None:
        if self.session_minutes <= 0:
            raise ValueError("session_minutes must be positive")
        if not 20 <= self.chunk_ms <= 1000:
            raise ValueError("chunk_ms must be between 20 and 1000")
        if self.pace < 0:
            raise ValueError("pace must not be negative")
