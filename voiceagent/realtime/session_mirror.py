"""PURE. The provider's session as it last told us: prompt, turn detection, formats, end of life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from voiceagent.realtime.config import BYTES_PER_MS


@dataclass(slots=True)
class SessionMirror:
    """Fields stay as they are where ``session.updated`` does not mention them."""

    instructions: str = ""
    auto_create: bool = False
    auto_interrupt: bool = True
    vad: bool = True
    input_format: str = "audio/pcmu"
    output_format: str = "audio/pcmu"
    expires_at: float | None = None
    """Unix time at which the provider ends this connection."""
    session_id: str | None = None

    @property
    def output_bytes_per_ms(self) -> int:
        """Bytes in one millisecond of agent audio."""
        return BYTES_PER_MS.get(self.output_format, 8)

    def take(self, session: Mapping[str, Any]) -> None:
        """Take over a ``session`` object, in the layout of any provider of this wire."""
        audio = _object(session.get("audio"))
        audio_in, audio_out = _object(audio.get("input")), _object(audio.get("output"))
        instructions = session.get("instructions")
        if isinstance(instructions, str):
            self.instructions = instructions
        self.input_format = _format(audio_in, self.input_format)
        self.output_format = _format(audio_out, self.output_format)
        identity = session.get("id")
        if isinstance(identity, str):
            self.session_id = identity
        expires = session.get("expires_at")
        if isinstance(expires, int | float) and not isinstance(expires, bool) and expires > 0:
            self.expires_at = float(expires)
        for place in (audio_in, session):
            if "turn_detection" in place:
                self._take_turns(place["turn_detection"])
                break

    def _take_turns(self, value: object) -> None:
        turns = _object(value)
        self.vad = bool(turns) and turns.get("type") not in (None, "none")
        # Both switches default to true on the wire; without turn detection nothing happens by itself.
        self.auto_create = self.vad and turns.get("create_response") is not False
        self.auto_interrupt = self.vad and turns.get("interrupt_response") is not False

    def snapshot(self) -> dict[str, Any]:
        """Return plain values for people; the prompt only by its length."""
        return {
            "id": self.session_id,
            "instructions_chars": len(self.instructions),
            "vad": self.vad,
            "auto_create": self.auto_create,
            "auto_interrupt": self.auto_interrupt,
            "input_format": self.input_format,
            "output_format": self.output_format,
            "expires_at": self.expires_at,
        }


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _format(side: Mapping[str, Any], default: str) -> str:
    value = side.get("format")
    name = value if isinstance(value, str) else _object(value).get("type")
    return name if isinstance(name, str) and name in BYTES_PER_MS else default
