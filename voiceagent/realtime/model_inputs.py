"""PURE. What can be sent to a realtime model: the ``RealtimeModelSend…`` union.

``response.create`` and ``response.cancel`` pass through the sequencer, whichever of these carries them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from voiceagent.realtime.requests import InterruptedBy, ResponseRequest


@dataclass(frozen=True, slots=True)
class RealtimeModelSendRawMessage:
    """A client event as the wire shows it: ``{"type": …, …}``; fields may also stand under ``other_data``.

    ``response.create`` and ``response.cancel`` go to the sequencer; everything else is forwarded as it is.
    """

    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RealtimeModelSendUserInput:
    """A text message of ``role``; ``request`` (or ``respond``) asks for a reply after it."""

    text: str
    role: Literal["user", "system", "assistant"] = "user"
    respond: bool = True
    request: ResponseRequest | None = None


@dataclass(frozen=True, slots=True)
class RealtimeModelSendAudio:
    """Caller audio in the session's input format; ``commit`` ends the caller's turn by hand."""

    audio: bytes
    commit: bool = False


@dataclass(frozen=True, slots=True)
class RealtimeModelSendToolOutput:
    """The result of one tool call. One follow-up is asked for when all calls of that response are answered.

    ``request`` is the follow-up to use; the first one given for a response wins.
    """

    call_id: str
    output: str
    start_response: bool = True
    request: ResponseRequest | None = None


@dataclass(frozen=True, slots=True)
class RealtimeModelSendInterrupt:
    """Stop the voice. Answered by ``RealtimeModelInterruptDoneEvent`` with the same ``token``."""

    token: str = ""
    by: InterruptedBy = InterruptedBy.OPERATOR
    flush: bool = False


@dataclass(frozen=True, slots=True)
class RealtimeModelSendSessionUpdate:
    """Change the provider's session: the fields of ``session`` that are to change, wire layout.

    Answered by a session-updated or update-refused event carrying ``event_id`` (minted when empty).
    """

    session: Mapping[str, Any]
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class RealtimeModelSendResponseCreate:
    """Make the model speak. ``request`` says all; else ``instructions`` and ``metadata`` go out as given.

    With neither, the frame carries no ``response`` object at all.
    """

    instructions: str | None = None
    metadata: Mapping[str, str] | None = None
    request: ResponseRequest | None = None


@dataclass(frozen=True, slots=True)
class RealtimeModelSendWithdraw:
    """The asker no longer wants the request."""

    request_id: str


@dataclass(frozen=True, slots=True)
class RealtimeModelSendPaused:
    """The call is on hold (``on``), or back: while on hold only safety requests speak."""

    on: bool


@dataclass(frozen=True, slots=True)
class RealtimeModelSendTakenOver:
    """A human speaks in the agent's place (``on``), or has handed back: until then nothing is said."""

    on: bool


@dataclass(frozen=True, slots=True)
class RealtimeModelSendItemDelete:
    """Take an item out of the conversation."""

    item_id: str


@dataclass(frozen=True, slots=True)
class RealtimeModelSendDigit:
    """The caller pressed a key: ends droppable prompts. Nothing goes to the model."""

    digit: str


RealtimeModelSendEvent = (
    RealtimeModelSendRawMessage
    | RealtimeModelSendUserInput
    | RealtimeModelSendAudio
    | RealtimeModelSendToolOutput
    | RealtimeModelSendInterrupt
    | RealtimeModelSendSessionUpdate
    | RealtimeModelSendResponseCreate
    | RealtimeModelSendWithdraw
    | RealtimeModelSendPaused
    | RealtimeModelSendTakenOver
    | RealtimeModelSendItemDelete
    | RealtimeModelSendDigit
)
