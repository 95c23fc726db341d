"""PURE. What a session asks of the provider, and how the wire says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from voiceagent.errors import ConfigError, RequestRefused

AudioFormat = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]

BYTES_PER_MS: Mapping[str, int] = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}
"""Bytes of one millisecond: 24 kHz 16-bit PCM, or 8 kHz G.711."""
SILENCE: Mapping[str, bytes] = {"audio/pcm": b"\0", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}
"""The byte of digital silence; PCM has two of it in a sample."""


def flow_owned_turns() -> dict[str, Any]:
    """Return the turn detection of flows: the server hears turns and stops talking, we create every reply."""
    return {"type": "server_vad", "create_response": False, "interrupt_response": True}


@dataclass(frozen=True, slots=True)
class RealtimeSessionConfig:
    """How one session is set up. ``None`` leaves a field to the provider; ``extra`` is laid on ``session``.

    ``turn_detection`` is the wire's object, or None for no turn detection at all. ``playout`` says that
    someone plays the audio and reports what was heard (:meth:`RealtimeSession.playback_ended`);
    without it, a response counts as heard when its generation ends.
    """

    instructions: str | None = None
    voice: str | None = None
    input_audio_format: AudioFormat = "audio/pcmu"
    output_audio_format: AudioFormat = "audio/pcmu"
    turn_detection: Mapping[str, Any] | None = field(default_factory=flow_owned_turns)
    transcription: Mapping[str, Any] | None = None
    noise_reduction: Mapping[str, Any] | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = None
    output_modalities: Sequence[str] | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    speed: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    playout: bool = False

    def to_accept(self, *, model: str = "", layout: Literal["ga", "flat"] = "ga") -> dict[str, Any]:
        """Return the body that accepts a hosted call: the whole session, but for audio formats.

        Those belong to the provider's own SIP leg.
        """
        session = self.to_session_update(layout=layout)
        for side in ("input", "output"):
            session["audio"][side].pop("format", None)
            if not session["audio"][side]:
                del session["audio"][side]
        if not session["audio"]:
            del session["audio"]
        return {"model": model, **session} if model else session

    def __post_init__(self) -> None:
        for name in ("input_audio_format", "output_audio_format"):
            if getattr(self, name) not in BYTES_PER_MS:
                raise ConfigError(name, f"must be one of {', '.join(BYTES_PER_MS)}")

    def to_session_update(self, *, layout: Literal["ga", "flat"] = "ga") -> dict[str, Any]:
        """Return the ``session`` object of ``session.update``.

        ``ga`` is the generally available layout; ``flat`` has voice and turn detection at top level (xAI).
        """
        session: dict[str, Any] = {"type": "realtime"}
        audio_in: dict[str, Any] = {"format": wire_format(self.input_audio_format)}
        audio_out: dict[str, Any] = {"format": wire_format(self.output_audio_format)}
        turns = None if self.turn_detection is None else dict(self.turn_detection)
        if layout == "ga":
            audio_in["turn_detection"] = turns
            if self.voice is not None:
                audio_out["voice"] = self.voice
        else:
            session["turn_detection"] = turns
            if self.voice is not None:
                session["voice"] = self.voice
        if self.transcription is not None:
            audio_in["transcription"] = dict(self.transcription)
        if self.noise_reduction is not None:
            audio_in["noise_reduction"] = dict(self.noise_reduction)
        if self.speed is not None:
            audio_out["speed"] = self.speed
        if self.instructions is not None:
            session["instructions"] = self.instructions
        if self.output_modalities is not None:
            session["output_modalities"] = list(self.output_modalities)
        if self.tools:
            session["tools"] = [dict(tool) for tool in self.tools]
        if self.tool_choice is not None:
            session["tool_choice"] = self.tool_choice
        if self.max_output_tokens is not None:
            session["max_output_tokens"] = self.max_output_tokens
        session["audio"] = {"input": audio_in, "output": audio_out}
        return merged(session, self.extra)


def without_field(session: dict[str, Any], path: str | None) -> bool:
    """Take the field named ``session.a.b`` out of ``session``; False when it is not there."""
    names = (path or "").split(".")
    if names[0] == "session":
        names = names[1:]
    place: Any = session
    for name in names[:-1]:
        if not isinstance(place, dict) or name not in place:
            return False
        place = place[name]  # pyright: ignore[reportUnknownVariableType]
    if not names or not isinstance(place, dict) or names[-1] not in place:
        return False
    del place[names[-1]]
    return True


def wire_format(audio_format: AudioFormat) -> dict[str, Any]:
    """Return the wire's format object; PCM names its rate, G.711 has only one."""
    if audio_format == "audio/pcm":
        return {"type": "audio/pcm", "rate": 24000}
    return {"type": audio_format}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it, object by object; lists and values are replaced whole."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            result[key] = value
    return result


_UPDATABLE = (
    "instructions",
    "voice",
    "turn_detection",
    "transcription",
    "noise_reduction",
    "tools",
    "tool_choice",
    "output_modalities",
    "max_output_tokens",
    "speed",
    "extra",
)


def session_changes(changes: Mapping[str, Any], *, layout: Literal["ga", "flat"] = "ga") -> dict[str, Any]:
    """Return the ``session`` object that changes exactly the fields named in ``changes``; None sends null.

    Raises :class:`~voiceagent.errors.RequestRefused` for names that cannot change during a session.
    """
    session: dict[str, Any] = {"type": "realtime"}
    audio_in: dict[str, Any] = {}
    audio_out: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in _UPDATABLE:
            raise RequestRefused(name, f"cannot be changed here; choose from {', '.join(_UPDATABLE)}")
        if name == "extra":
            continue
        if name in ("transcription", "noise_reduction") or (name == "turn_detection" and layout == "ga"):
            audio_in[name] = value
        elif name == "speed" or (name == "voice" and layout == "ga"):
            audio_out[name] = value
        else:
            session[name] = value
    audio: dict[str, Any] = {}
    if audio_in:
        audio["input"] = audio_in
    if audio_out:
        audio["output"] = audio_out
    if audio:
        session["audio"] = audio
    return merged(session, changes.get("extra") or {})
