"""PURE. How the realtime session of a flow's calls is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voiceagent.call.leg import G711
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.config import RealtimeSessionConfig

DEFAULT_INSTRUCTIONS = "You are a friendly telephone assistant. Be brief, and speak in whole sentences."


@dataclass(frozen=True, slots=True)
class SessionDefaults:
    """What a session is set up with unless its flow says otherwise."""

    voice: str | None = None
    silence_ms: int = 400
    """Silence that ends the caller's turn."""
    transcription: Mapping[str, Any] | None = None
    """The wire's object for the transcriber of the caller's words, or None."""


def session_config(
    flow: Flow, audio_format: G711, defaults: SessionDefaults, *, playout: bool = True
) -> RealtimeSessionConfig:
    """Return the configuration for a call of ``flow``; ``playout`` says that we play the audio."""
    options = flow.options
    return RealtimeSessionConfig(
        instructions=f"{flow.instructions or DEFAULT_INSTRUCTIONS} {options.standing}".rstrip(),
        voice=options.voice or defaults.voice,
        input_audio_format=audio_format,
        output_audio_format=audio_format,
        turn_detection={
            "type": "server_vad",
            "silence_duration_ms": options.silence_ms or defaults.silence_ms,
            "create_response": False,
            "interrupt_response": True,
        },
        transcription=transcription_of(flow, defaults.transcription),
        max_output_tokens=options.max_output_tokens,
        speed=options.speed,
        playout=playout,
    )


def transcription_of(flow: Flow, transcription: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the transcriber of a flow's calls: it listens for the flow's language."""
    return None if transcription is None else {**transcription, "language": flow.options.words.tag}
