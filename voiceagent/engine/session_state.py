"""The session object: defaults, updates, and its face on the wire. PURE."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .ports import AudioFormat
from .protocol_errors import Refusal

DEFAULT_INSTRUCTIONS = (
    "Speak as a friendly telephone agent. Say quoted text word for word. "
    "Keep every answer to one or two sentences."
)
SERVER_VAD_DEFAULTS: Mapping[str, Any] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD_DEFAULTS: Mapping[str, Any] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
PCM: Mapping[str, Any] = {"type": "audio/pcm", "rate": 24000}


class SessionState:
    """Configuration of one session. Only fields present in an update change; null clears.

    ``speed``, ``noise_reduction``, ``truncation``, ``tracing`` and ``prompt`` are kept and shown, not obeyed.
    """

    def __init__(
        self,
        session_id: str,
        model: str,
        voice: str,
        expires_at: int,
        *,
        strict: bool = True,
        line_format: AudioFormat | None = None,
    ) -> None:
        """``line_format``: the law of the telephone line that we play to; clients cannot change it."""
        self.id = session_id
        self.line_format = line_format
        self.strict = strict
        self._config: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "expires_at": expires_at,
            "instructions": DEFAULT_INSTRUCTIONS,
            "output_modalities": ["audio"],
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "include": None,
            "audio": {
                "input": {
                    "format": dict(PCM) if line_format is None else {"type": line_format},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": dict(SERVER_VAD_DEFAULTS),
                },
                "output": {
                    "format": dict(PCM) if line_format is None else {"type": line_format},
                    "voice": voice,
                    "speed": 1.0,
                },
            },
        }

    def update(self, change: Mapping[str, Any], *, voice_frozen: bool) -> None:
        """Merge a checked ``session`` object. Refuses, changing nothing, what may not change."""
        model = change.get("model")
        if self.strict and model is not None and model != self._config["model"]:
            raise Refusal(
                "cannot_update_model",
                f"Cannot change the model of a session: it is '{self._config['model']}'.",
                param="session.model",
            )
        output = change.get("audio", {}).get("output", {})
        if voice_frozen and "voice" in output and voice_name(output["voice"]) != self.voice:
            raise voice_refusal("session.audio.output.voice")
        for name, value in change.items():
            if name in ("type", "model"):
                continue
            if name == "audio":
                self._update_audio(value)
            else:
                self._config[name] = copy.deepcopy(value)

    def _update_audio(self, change: Mapping[str, Any]) -> None:
        for side, fields in change.items():
            target: dict[str, Any] = self._config["audio"][side]
            for name, value in fields.items():
                if name == "format":
                    if self.line_format is None:
                        target[name] = wire_format(value)
                elif name == "turn_detection" and value is not None:
                    target[name] = _with_defaults(value)
                elif name == "voice":
                    target[name] = voice_name(value)
                else:
                    target[name] = copy.deepcopy(value)

    def view(self) -> dict[str, Any]:
        """Return the session object of ``session.created`` and ``session.updated``."""
        return copy.deepcopy(self._config)

    @property
    def model(self) -> str:
        """Model name, fixed at the handshake."""
        return self._config["model"]

    @property
    def instructions(self) -> str:
        """The standing prompt."""
        return self._config["instructions"]

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Tools offered for the whole session."""
        return self._config["tools"]

    @property
    def tool_choice(self) -> Any:
        """``auto``, ``none``, ``required`` or a named tool."""
        return self._config["tool_choice"]

    @property
    def modalities(self) -> list[str]:
        """``["audio"]`` or ``["text"]``."""
        return self._config["output_modalities"]

    @property
    def max_output_tokens(self) -> int | str:
        """1 to 4096, or ``inf``."""
        return self._config["max_output_tokens"]

    @property
    def input_format(self) -> AudioFormat:
        """Format of appended audio."""
        return self._config["audio"]["input"]["format"]["type"]

    @property
    def output_format(self) -> dict[str, Any]:
        """Format of audio deltas, as the wire shows it."""
        return self._config["audio"]["output"]["format"]

    @property
    def voice(self) -> str:
        """The voice's name on the wire."""
        return self._config["audio"]["output"]["voice"]

    @property
    def transcription(self) -> Mapping[str, Any] | None:
        """Input transcription settings; None when switched off."""
        return self._config["audio"]["input"]["transcription"]

    @property
    def turn_detection(self) -> Mapping[str, Any] | None:
        """``server_vad`` or ``semantic_vad`` settings with defaults filled in; None when switched off."""
        return self._config["audio"]["input"]["turn_detection"]


def wire_format(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a format object with the rate that PCM has."""
    return dict(PCM) if value["type"] == "audio/pcm" else {"type": value["type"]}


def voice_name(value: Any) -> str:
    """Return the name of a voice given as a string or as ``{"id": …}``."""
    return value if isinstance(value, str) else value["id"]


def voice_refusal(path: str) -> Refusal:
    """The refusal of a voice change after audio was sent."""
    return Refusal(
        "cannot_update_voice",
        "Cannot update a conversation's voice if assistant audio is present.",
        param=path,
    )


def _with_defaults(value: Mapping[str, Any]) -> dict[str, Any]:
    base = SERVER_VAD_DEFAULTS if value["type"] == "server_vad" else SEMANTIC_VAD_DEFAULTS
    return {**base, **value}
