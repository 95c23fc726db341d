"""Outward: the ``RealtimeModelSend…`` union to frames and sequencer events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import proxy

from voiceagent.errors import ConfigError, RequestRefused
from voiceagent.realtime.appends import Appends
from voiceagent.realtime.model_events import RealtimeModelResponseOutcomeEvent
from voiceagent.realtime.model_inputs import (
    RealtimeModelSendAudio,
    RealtimeModelSendDigit,
    RealtimeModelSendEvent,
    RealtimeModelSendInterrupt,
    RealtimeModelSendItemDelete,
    RealtimeModelSendPaused,
    RealtimeModelSendRawMessage,
    RealtimeModelSendResponseCreate,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendTakenOver,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
    RealtimeModelSendWithdraw,
)
from voiceagent.realtime.requests import Origin, Outcome, OutcomeKind, ResponseRequest
from voiceagent.realtime.sequencer_io import (
    DigitReceived,
    InterruptAsked,
    Paused,
    Submitted,
    TakenOver,
    Withdrawn,
)
from voiceagent.realtime.wire_frames import (
    append_frame,
    commit_frame,
    frame,
    item_create_frame,
    item_delete_frame,
    message_item,
    session_update_frame,
    tool_output_item,
)

if TYPE_CHECKING:
    from voiceagent.realtime.link import RealtimeLink

_EXPECTED = 256


@dataclass(frozen=True, slots=True)
class Expected:
    """A frame of ours whose answer (or refusal) we can recognise. ``kind``: update, item, truncate, other."""

    kind: str
    about: str
    """The item id, or the event id of an update."""
    sent_at: float


class Outbound:
    """Everything that our side sends, and what answers are awaited."""

    __slots__ = ("_given", "_hears", "_link", "appends", "call_items", "expected", "items")

    def __init__(self, link: RealtimeLink) -> None:
        self._link: RealtimeLink = proxy(link)  # it owns this: the two are freed together, at once
        self.appends = Appends(link.conversation.mirror.input_format)
        self._hears = link.profile.accepts_audio
        self._given = 0
        """Bytes of audio that were appended."""
        self.expected: dict[str, Expected] = {}
        """By our event id; the oldest are forgotten."""
        self.items: dict[str, float] = {}
        """Items of ours that are not acknowledged yet, with the time of sending."""
        self.call_items: dict[str, str] = {}
        """Tool call id to the item id of our output, for servers that mint item ids of their own."""

    def send(self, event: RealtimeModelSendEvent) -> None:
        """Send one event."""
        self._WAYS[type(event)](self, event)

    def expect(self, kind: str, about: str, event_id: str = "") -> str:
        """Note a frame that is about to be sent; returns its event id."""
        event_id = event_id or f"evt_{self._link.tokens()}"
        self.expected[event_id] = Expected(kind, about or event_id, self._link.now())
        if len(self.expected) > _EXPECTED:
            del self.expected[next(iter(self.expected))]
        return event_id

    # ── audio ───────────────────────────────────────────────────────────────────────────────────
    def configured(self) -> None:
        """The audio format is agreed on, and audio may go out."""
        self.appends = Appends(self._link.conversation.mirror.input_format)

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send caller audio as :mod:`.appends` says; ``commit`` ends the caller's turn after it."""
        if not self._hears:
            raise ConfigError("audio", "the provider hears this call itself: no audio can be sent")
        if due := self.appends.add(audio):
            self._append(due)
        if commit:
            self.flush_audio()
            self._link.write_audio(commit_frame(self.expect("other", "commit")), keep=True)

    def flush_audio(self) -> None:
        """Send what waits for its append: what follows is about it."""
        if held := self.appends.flush():
            self._append(held)

    def keep_audio(self, audio: bytes) -> None:
        """Append ``audio`` as it is; it waits rather than being dropped when the socket cannot keep up."""
        self._append(audio, keep=True)

    def _append(self, audio: bytes, *, keep: bool = False) -> None:
        self._given += len(audio)
        self._link.write_audio(append_frame(audio), keep=keep)

    @property
    def audio_bytes(self) -> int:
        """How much audio was taken for the provider, what waits for its append included."""
        return self._given + len(self.appends.held)

    def _audio(self, event: RealtimeModelSendAudio) -> None:
        self.send_audio(event.audio, commit=event.commit)

    # ── speech ──────────────────────────────────────────────────────────────────────────────────
    def _submit(self, request: ResponseRequest) -> None:
        self._link.feed(Submitted(request))

    def _create(self, event: RealtimeModelSendResponseCreate) -> None:
        if event.request is not None and (event.instructions is not None or event.metadata is not None):
            raise RequestRefused("request", "stands for itself: give no instructions or metadata beside it")
        self._submit(
            event.request
            or ResponseRequest(
                id=self._request_id(),
                instructions=event.instructions,
                metadata=event.metadata,
                correlate=False,
            )
        )

    def _request_id(self) -> str:
        return f"req_{self._link.tokens()}"

    def _interrupt(self, event: RealtimeModelSendInterrupt) -> None:
        self._link.feed(InterruptAsked(event.token or self._link.tokens(), event.by, event.flush))

    def _withdraw(self, event: RealtimeModelSendWithdraw) -> None:
        if self._link.conversation.withdraw_follow_up(event.request_id):
            outcome = Outcome(OutcomeKind.WITHDRAWN, reason="withdrawn before all tool outputs were there")
            self._link.emit(RealtimeModelResponseOutcomeEvent(event.request_id, outcome))
            return
        self._link.feed(Withdrawn(event.request_id))

    def _paused(self, event: RealtimeModelSendPaused) -> None:
        self._link.feed(Paused(event.on))

    def _taken_over(self, event: RealtimeModelSendTakenOver) -> None:
        self._link.feed(TakenOver(event.on))

    def _item_delete(self, event: RealtimeModelSendItemDelete) -> None:
        self._link.write(item_delete_frame(event.item_id, self.expect("other", "delete")))

    def _digit(self, event: RealtimeModelSendDigit) -> None:
        self._link.feed(DigitReceived(event.digit))

    # ── items ───────────────────────────────────────────────────────────────────────────────────
    def put_item(self, item: Mapping[str, Any], item_id: str) -> None:
        """Create an item and note that its acknowledgement is awaited."""
        event_id = self.expect("item", item_id)
        self.items[item_id] = self._link.now()
        if len(self.items) > _EXPECTED:
            del self.items[next(iter(self.items))]
        self._link.write(item_create_frame(item, event_id))

    def _item_id(self) -> str:
        return f"item_{self._link.tokens()}"

    def _user_input(self, event: RealtimeModelSendUserInput) -> None:
        item_id = self._item_id()
        self.put_item(message_item(event.text, event.role, item_id), item_id)
        if event.request is not None:
            self._submit(event.request)
        elif event.respond:
            self._submit(ResponseRequest(id=self._request_id(), origin=Origin.TURN, coalesce="message"))

    def _tool_output(self, event: RealtimeModelSendToolOutput) -> None:
        item_id = self._item_id()
        self.call_items[event.call_id] = item_id
        if len(self.call_items) > _EXPECTED:
            del self.call_items[next(iter(self.call_items))]
        self.put_item(tool_output_item(event.call_id, event.output, item_id), item_id)
        request = event.request
        if request is None and event.start_response:
            request = ResponseRequest(id=self._request_id(), origin=Origin.TOOL, deadline_s=60.0)
        conversation = self._link.conversation
        home = conversation.tool_answered(event.call_id, item_id, request)
        if home is not None:
            due = conversation.due_follow_up(home)
            if due is not None:
                self._submit(due)
        elif request is not None:
            # A call we never saw (made before we attached): there is no barrier to wait for.
            self._submit(replace(request, needs=request.needs | {item_id}, follow_up_of=None))

    # ── the session ─────────────────────────────────────────────────────────────────────────────
    def _update(self, event: RealtimeModelSendSessionUpdate) -> None:
        event_id = self.expect("update", "", event.event_id)
        self._link.write(session_update_frame(event.session, event_id))

    def oldest_update(self) -> tuple[str, Expected] | None:
        """Return the update that waits longest for its answer; the server answers them in order."""
        for event_id, expected in self.expected.items():
            if expected.kind == "update":
                return event_id, expected
        return None

    # ── raw ─────────────────────────────────────────────────────────────────────────────────────
    def _raw(self, event: RealtimeModelSendRawMessage) -> None:
        message = {key: value for key, value in event.message.items() if key != "other_data"}
        other = event.message.get("other_data")
        if isinstance(other, Mapping):
            message.update(other)  # pyright: ignore[reportUnknownArgumentType]
        kind = message.get("type")
        if not isinstance(kind, str) or not kind:
            raise RequestRefused("type", "a raw message needs the name of its event")
        if kind == "response.create":
            self._raw_create(message.get("response"))
        elif kind == "response.cancel":
            self._raw_cancel(message.get("response_id"))
        elif kind == "session.update" and isinstance(message.get("session"), Mapping):
            given = message.get("event_id")
            self._update(
                RealtimeModelSendSessionUpdate(message["session"], given if isinstance(given, str) else "")
            )
        elif kind == "input_audio_buffer.append":
            if not self._hears:
                raise ConfigError("audio", "the provider hears this call itself: no audio can be sent")
            self.flush_audio()
            self._link.write_audio(frame(message))
        else:
            if kind.startswith("input_audio_buffer."):
                self.flush_audio()
            if not isinstance(message.get("event_id"), str):
                message["event_id"] = self.expect("other", kind)
            self._link.write(frame(message))

    def _raw_create(self, response: object) -> None:
        fields: dict[str, Any] = dict(response) if isinstance(response, Mapping) else {}  # pyright: ignore[reportUnknownArgumentType]
        conversation = fields.pop("conversation", None)
        if conversation not in (None, "auto", "none"):
            raise RequestRefused("response.conversation", "must be auto or none")
        self._submit(
            ResponseRequest(
                id=self._request_id(),
                instructions=fields.pop("instructions", None),
                metadata=fields.pop("metadata", None),
                out_of_band=conversation == "none",
                correlate=False,
                extra=fields,
            )
        )

    def _raw_cancel(self, response_id: object) -> None:
        if isinstance(response_id, str):
            response = self._link.conversation.responses.get(response_id)
            if response is None or response.status is not None:
                self._link.notice("cancel_of_nothing", response_id=response_id)
                return
            if response.request_id is not None:
                self._link.feed(Withdrawn(response.request_id))
                return
        self._link.feed(InterruptAsked(self._link.tokens()))

    _WAYS: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        RealtimeModelSendRawMessage: _raw,
        RealtimeModelSendUserInput: _user_input,
        RealtimeModelSendAudio: _audio,
        RealtimeModelSendToolOutput: _tool_output,
        RealtimeModelSendInterrupt: _interrupt,
        RealtimeModelSendSessionUpdate: _update,
        RealtimeModelSendResponseCreate: _create,
        RealtimeModelSendWithdraw: _withdraw,
        RealtimeModelSendPaused: _paused,
        RealtimeModelSendTakenOver: _taken_over,
        RealtimeModelSendItemDelete: _item_delete,
        RealtimeModelSendDigit: _digit,
    }
