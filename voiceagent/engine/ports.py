"""The four exchangeable parts of the embedded provider.

Plug-ins register under the entry points ``voiceagent.vad``, ``voiceagent.stt``, ``voiceagent.tts`` and
``voiceagent.brain``; each entry point is a factory without required arguments.
All PCM here is signed 16-bit little-endian mono.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol


class Vad(Protocol):
    """Voice activity over 8 kHz PCM; one object per stream, reset between uses."""

    name: str

    def feed(self, pcm: bytes) -> float:
        """Take any whole number of samples; return the latest speech probability, 0 to 1."""
        ...

    def reset(self) -> None:
        """Forget the past, so that the object can serve another stream."""
        ...


class ExpectKind(StrEnum):
    """What a question expects to hear."""

    ANYTHING = "anything"
    YES_NO = "yes_no"
    PHRASES = "phrases"
    DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Expectation:
    """The grammar of one question. ``phrases`` are whole utterances ("billing", "opening hours please")."""

    kind: ExpectKind = ExpectKind.ANYTHING
    phrases: tuple[str, ...] = ()
    min_digits: int = 1
    max_digits: int = 16


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was heard. ``text`` is empty when nothing fits; ``confident`` when both passes agree."""

    text: str
    confident: bool = True
    alternative: str = ""
    """The grammar's best guess when the passes disagree: worth a "Did you say …?"."""
    decode_ms: float = 0.0


class Recogniser(Protocol):
    """Speech to text, one whole turn at a time, never on the event loop's thread."""

    name: str

    async def transcribe(self, pcm: bytes, rate: int, expect: Expectation) -> Hypothesis:
        """Return what one turn of ``rate`` Hz PCM says."""
        ...

    async def warm_up(self) -> None:
        """Load models and start workers, so that the first turn is not slow."""
        ...

    async def close(self) -> None:
        """End the workers."""
        ...


class Voice(Protocol):
    """Text to speech."""

    name: str
    rate: int
    """Hz of the PCM that :meth:`speak` yields."""

    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Yield PCM, a chunk per sentence or smaller; first chunk within 100 ms. Closing it cancels."""
        ...

    async def warm_up(self) -> None:
        """Load the voice."""
        ...

    async def close(self) -> None:
        """End the workers."""
        ...


@dataclass(frozen=True, slots=True)
class BrainTurn:
    """All that a brain may look at when a response is created."""

    session_instructions: str
    instructions: str | None
    """Per-response instructions as they came in the frame, or None."""
    items: Sequence[Mapping[str, Any]]
    """The conversation's items as the wire shows them, oldest first (or the response's own input)."""
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = "auto"
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Say:
    """Speak ``text``; a brain may yield several, sentence by sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Call the function tool ``name`` with JSON-serialisable ``arguments``."""

    name: str
    arguments: Mapping[str, Any]


class Brain(Protocol):
    """Decides what a response says or does."""

    name: str

    def think(self, turn: BrainTurn) -> AsyncIterator[Say | CallTool]:
        """Yield what the response consists of."""
        ...


AudioFormat = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
