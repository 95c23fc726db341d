"""PURE. The sequencer's vocabulary: events in (past tense) and effects out (orders to its driver)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from voiceagent.realtime.fact import fact
from voiceagent.realtime.requests import InterruptedBy, Outcome, Progress, ResponseRequest


# ── events: wishes of our own side ──────────────────────────────────────────────────────────────
@fact
class Submitted:
    """A request has been accepted at the call site and wants a place in the queue."""

    request: ResponseRequest


@fact
class Withdrawn:
    """The asker no longer wants ``request_id``; ends it at once if it is not yet audible, else cancels it."""

    request_id: str


@fact
class InterruptAsked:
    """Someone wants silence. ``token`` comes back in :class:`InterruptDone` when the voice has stopped."""

    token: str
    by: InterruptedBy = InterruptedBy.OPERATOR
    flush: bool = False
    """Also end what waits in the queue (but never safety or operator requests)."""


# ── events: the link ────────────────────────────────────────────────────────────────────────────
@fact
class LinkUp:
    """The provider's session is configured. ``quiet`` asks for 1.5 s of listening first (re-attach)."""

    quiet: bool = False


@fact
class LinkDown:
    """The socket is gone; ``terminal`` when it will not come back (then every request ends ``lost``)."""

    reason: str
    terminal: bool = False


@fact
class Closing:
    """The session is being closed by us: no frame leaves any more, every request ends ``lost``."""

    reason: str = "closed"


@fact
class RoundTripMeasured:
    """A frame of ours was answered after ``seconds``."""

    seconds: float


@fact
class SessionExpiring:
    """The provider will end this connection ``in_s`` seconds from now (``expires_at``)."""

    in_s: float


@fact
class Paused:
    """The call is on hold (``on``) or back: while on hold, only safety requests are sent."""

    on: bool


@fact
class TakenOver:
    """A human speaks with the caller in the agent's place (``on``), or has handed back.

    Until then nothing that could be heard is sent, not even safety requests; what speaks now is cut, and
    what of it was not heard yet is said later.
    """

    on: bool


@fact
class DigitReceived:
    """The caller pressed a key: ends droppable prompts, waiting or speaking, and nothing else."""

    digit: str


# ── events: the provider (decoded by wire.py; unknown ones never get here) ──────────────────────
@fact
class SessionMirrored:
    """``session.created|updated``: whether the server answers turns by itself and interrupts by itself."""

    auto_create: bool
    auto_interrupt: bool
    event_id: str | None = None
    """The ``event_id`` of our own update that this acknowledges, where the driver can tell."""
    vad: bool = True
    """False when turn detection is off: then no end of speech will ever be announced."""


@fact
class ResponseCreated:
    """``response.created``."""

    response_id: str
    metadata: Mapping[str, str] | None = None
    out_of_band: bool = False


@fact
class ResponseDone:
    """``response.done``. ``status``: completed, cancelled, failed, incomplete."""

    response_id: str | None
    status: str
    reason: str | None = None
    """``status_details.reason``: turn_detected, client_cancelled, max_output_tokens, content_filter."""
    error_code: str | None = None
    error_message: str = ""
    retry_after_s: float | None = None
    metadata: Mapping[str, str] | None = None
    out_of_band: bool = False
    text: str = ""
    """The whole transcript of the response."""
    audio_ms: int | None = None
    """How much audio it produced, where the driver counted it; sharpens the cap on its playback."""


@fact
class ServerError:
    """``error``. ``event_id`` is ours when the provider says which frame it refuses."""

    code: str | None
    message: str = ""
    event_id: str | None = None
    param: str | None = None


@fact
class OutputStarted:
    """First audio (or text, when ``audible`` is False) of a response has arrived; repeats are harmless."""

    response_id: str
    audible: bool = True


@fact
class SpeechStarted:
    """``input_audio_buffer.speech_started``: the caller has begun to speak."""

    item_id: str | None = None


@fact
class SpeechStopped:
    """``input_audio_buffer.speech_stopped``."""

    item_id: str | None = None


@fact
class InputCommitted:
    """``input_audio_buffer.committed``: the caller's turn has become an item."""

    item_id: str | None = None


@fact
class TimeoutTriggered:
    """``input_audio_buffer.timeout_triggered``: the server commits silence and will answer it."""


@fact
class ItemAcked:
    """``conversation.item.added|created|done`` for our item (or ``session.updated`` for our update)."""

    item_id: str


@fact
class ItemRefused:
    """An item or update that we sent was refused; requests that need it cannot be sent."""

    item_id: str
    code: str | None = None
    message: str = ""


# ── events: the ear (our own playout, or output_audio_buffer.* where the provider plays) ───────
@fact
class PlaybackStarted:
    """The first sample of a response goes to the caller."""

    response_id: str


@fact
class PlaybackEnded:
    """Nothing more of this response will be heard. ``cut`` when it was stopped before its end."""

    response_id: str
    heard_ms: int
    heard_text: str = ""
    cut: bool = False


SequencerEvent = (
    Submitted
    | Withdrawn
    | InterruptAsked
    | LinkUp
    | LinkDown
    | Closing
    | RoundTripMeasured
    | SessionExpiring
    | Paused
    | TakenOver
    | DigitReceived
    | SessionMirrored
    | ResponseCreated
    | ResponseDone
    | ServerError
    | OutputStarted
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | TimeoutTriggered
    | ItemAcked
    | ItemRefused
    | PlaybackStarted
    | PlaybackEnded
)


# ── effects ─────────────────────────────────────────────────────────────────────────────────────
@fact
class SendCreate:
    """Send ``response.create`` for ``request`` (see :func:`voiceagent.realtime.wire.create_frame`)."""

    request: ResponseRequest
    event_id: str
    attempt: int


@fact
class SendCancel:
    """Send ``response.cancel``. Only the probe (rule 12) goes without a ``response_id``."""

    response_id: str | None
    event_id: str


@fact
class SendBufferClear:
    """Send ``output_audio_buffer.clear`` (only where the provider owns the output buffer)."""

    event_id: str


@fact
class StopPlayback:
    """Silence our own playout of ``response_id`` now; the driver answers with :class:`PlaybackEnded`.

    Truncation follows from that answer: the driver sends ``conversation.item.truncate`` at what was heard.
    """

    response_id: str


@fact
class SwallowOutput:
    """Do not play what arrives for ``response_id``: nobody wants it any more."""

    response_id: str


@fact
class Progressed:
    """A request has come further."""

    request_id: str
    progress: Progress
    response_id: str | None = None
    attempt: int = 1


@fact
class Settled:
    """A request has ended, once and for all."""

    request_id: str
    outcome: Outcome


@fact
class InterruptDone:
    """The voice has stopped (or there was none). ``stopped`` names the response that was cut, if any."""

    token: str
    stopped: str | None = None


@fact
class Notice:
    """Why something is as it is: a decision with its reason code, for console, journal and metrics."""

    code: str
    request_id: str | None = None
    response_id: str | None = None
    details: Mapping[str, str | int | float] = field(default_factory=dict[str, "str | int | float"])


SequencerEffect = (
    SendCreate
    | SendCancel
    | SendBufferClear
    | StopPlayback
    | SwallowOutput
    | Progressed
    | Settled
    | InterruptDone
    | Notice
)
