"""All settings of the embedded provider in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VoiceChoice = Literal["auto", "flite", "espeak", "tone"]
RecogniserChoice = Literal["auto", "pocketsphinx", "canned"]
VadChoice = Literal["auto", "silero", "webrtc", "energy"]


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
    seed: int | None = None
    """When set, all ids are counted, and all dice are seeded: runs repeat to the byte."""

    def __post_init__(self) -> None:
        if self.session_minutes <= 0:
            raise ValueError("session_minutes must be positive")
        if not 20 <= self.chunk_ms <= 1000:
            raise ValueError("chunk_ms must be between 20 and 1000")
        if self.pace < 0:
            raise ValueError("pace must not be negative")
