"""The session: the one object through which a call talks with its model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Literal

from voiceagent.errors import ProviderError
from voiceagent.ids import Tokens, random_token
from voiceagent.realtime.config import RealtimeSessionConfig, session_changes
from voiceagent.realtime.event_stream import EventStream
from voiceagent.realtime.handles import ResponseHandle
from voiceagent.realtime.model import RealtimeModel
from voiceagent.realtime.model_events import (
    RealtimeModelConnectionStatusEvent,
    RealtimeModelEvent,
    RealtimeModelInterruptDoneEvent,
    RealtimeModelListener,
    RealtimeModelResponseOutcomeEvent,
    RealtimeModelResponseProgressEvent,
    RealtimeModelSessionUpdatedEvent,
    RealtimeModelSessionUpdateRefusedEvent,
    RealtimeModelToolCallEvent,
)
from voiceagent.realtime.model_inputs import (
    RealtimeModelSendDigit,
    RealtimeModelSendInterrupt,
    RealtimeModelSendItemDelete,
    RealtimeModelSendPaused,
    RealtimeModelSendResponseCreate,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendTakenOver,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
    RealtimeModelSendWithdraw,
)
from voiceagent.realtime.requests import (
    InterruptedBy,
    Origin,
    Outcome,
    OutcomeKind,
    ResponseRequest,
)

UPDATE_TIMEOUT_S = 10.0
INTERRUPT_CAP_S = 5.0
KEPT_HANDLES = 256


class RealtimeSession:
    """One conversation with a realtime model: an async context manager.

    ::

        async with RealtimeSession(model=OpenAIRealtimeWebSocketModel(api_key=key)) as session:
            handle = await session.create_response(instructions="Greet the caller.")
            outcome = await handle.outcome()
    """

    def __init__(
        self,
        *,
        model: RealtimeModel,
        config: RealtimeSessionConfig | None = None,
        tokens: Tokens = random_token,
    ) -> None:
        self.model = model
        self.config = config or RealtimeSessionConfig()
        self._tokens = tokens
        self._handles: dict[str, ResponseHandle] = {}
        self._finished: list[str] = []
        self._interrupts: dict[str, asyncio.Future[str | None]] = {}
        self._updates: dict[str, asyncio.Future[None]] = {}
        self._calls: dict[str, str] = {}
        self._answered: dict[str, ResponseHandle | None] = {}
        self._follow_ups: dict[str, ResponseHandle] = {}
        self._streams: list[EventStream] = []
        self._standing = self.config.instructions or ""
        self._closed_reason: str | None = None
        self._now: Callable[[], float] = time.monotonic  # the loop's, once open
        self._remove_listener: Callable[[], None] | None = None

    # ── life ────────────────────────────────────────────────────────────────────────────────────
    async def __aenter__(self) -> RealtimeSession:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close("closed" if error is None else f"closed after {type(error).__name__}")

    async def open(self) -> None:
        """Connect and configure; on :class:`~voiceagent.errors.ProviderError` the session is closed."""
        if self._remove_listener is not None or self._closed_reason is not None:
            raise ProviderError("a session is opened only once", code="already_open")
        self._now = asyncio.get_running_loop().time
        self._remove_listener = self.model.add_listener(self._on_event)
        try:
            await self.model.connect(self.config)
        except BaseException:
            await self.close("never connected")
            raise

    async def close(self, reason: str = "closed") -> None:
        """End the conversation. Every open request ends ``lost``; harmless when already closed."""
        if self._closed_reason is None:
            self._closed_reason = reason
        await self.model.close(reason)
        self._end_all(reason)
        if self._remove_listener is not None:
            self._remove_listener()
            self._remove_listener = None

    def carry_over(self, model: RealtimeModel) -> None:
        """Go on with ``model``, which takes the present one's place and is connected already."""
        if self._remove_listener is not None:
            self._remove_listener()
        self.model = model
        self._remove_listener = model.add_listener(self._on_event)

    def let_go(self) -> RealtimeModel:
        """Give the connected model away: this session is over, the conversation is not."""
        if self._remove_listener is not None:
            self._remove_listener()
            self._remove_listener = None
        self._closed_reason = "given away"
        return self.model

    @property
    def closed(self) -> bool:
        """True once closed by us or gone with the link."""
        return self._closed_reason is not None

    # ── speech ──────────────────────────────────────────────────────────────────────────────────
    async def create_response(
        self, *, instructions: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> ResponseHandle:
        """Make the model speak and return the handle at once; the sequencer picks the moment.

        ``instructions`` replace the standing prompt for this response (the API's meaning) and go out exactly
        as given; so does ``metadata`` (at most 16 string pairs, keys up to 64, values up to 512 characters).
        What is not given is left out of the frame; with neither, the frame has no ``response`` object.

        Raises :class:`~voiceagent.errors.RequestRefused` before anything is sent when a limit is broken.
        """
        return self.submit(
            ResponseRequest(id=self.new_id(), instructions=instructions, metadata=metadata, correlate=False)
        )

    def submit(self, request: ResponseRequest) -> ResponseHandle:
        """Hand a request to the sequencer. The same id twice gives the same handle and sends nothing.

        After the session has closed, the handle is already settled ``lost``.
        """
        known = self._handles.get(request.id)
        if known is not None:
            return known
        handle = self._keep(request)
        if self._closed_reason is not None:
            self._settle(handle, Outcome(OutcomeKind.LOST, reason=self._closed_reason))
            return handle
        try:
            self.model.send(RealtimeModelSendResponseCreate(request=request))
        except BaseException:
            del self._handles[request.id]  # never accepted
            raise
        return handle

    def handle(self, request_id: str) -> ResponseHandle | None:
        """Return the handle of a request, also for a while after it has ended."""
        return self._handles.get(request_id)

    def withdraw(self, request_id: str) -> None:
        """Say that the request is no longer wanted; unknown and ended ids are ignored."""
        handle = self._handles.get(request_id)
        if handle is not None and not handle.done and self._closed_reason is None:
            self.model.send(RealtimeModelSendWithdraw(request_id))

    async def interrupt(
        self, *, by: InterruptedBy = InterruptedBy.OPERATOR, flush: bool = False
    ) -> str | None:
        """Stop the voice; resolves when it has stopped. Returns the response that was cut, if any.

        ``flush`` also ends what waits in the queue, but never safety or operator requests.
        """
        if self._closed_reason is not None:
            return None
        token = self._tokens()
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._interrupts[token] = done
        try:
            self.model.send(RealtimeModelSendInterrupt(token, by, flush))
            async with asyncio.timeout(INTERRUPT_CAP_S):
                return await done
        except TimeoutError:
            return None
        finally:
            self._interrupts.pop(token, None)

    async def send_message(
        self, text: str, *, role: Literal["user", "system", "assistant"] = "user", respond: bool = True
    ) -> ResponseHandle | None:
        """Add a text message; with ``respond``, ask for a reply to it and return that reply's handle.

        Messages that wait for the same moment are answered together: older replies end ``superseded``.
        """
        request = None
        handle = None
        if respond:
            request = ResponseRequest(id=self.new_id(), origin=Origin.TURN, coalesce="message")
            handle = self._keep(request)
            if self._closed_reason is not None:
                self._settle(handle, Outcome(OutcomeKind.LOST, reason=self._closed_reason))
        if self._closed_reason is None:
            self.model.send(RealtimeModelSendUserInput(text, role, respond=respond, request=request))
        return handle

    def note(self, text: str) -> None:
        """Add a line of context for the model without asking for speech."""
        if self._closed_reason is None:
            self.model.send(RealtimeModelSendUserInput(text, "system", respond=False))

    def send_tool_output(
        self,
        call_id: str,
        output: str,
        start_response: bool = True,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> ResponseHandle | None:
        """Answer one tool call. The model speaks once, after all calls of that response are answered.

        All outputs of one response with ``start_response`` share one handle; without it the result is None
        (but another output of the same response may still ask for the follow-up). A second output of the same
        call is not sent. ``extra`` are further fields of that reply's request: its tools, say.
        """
        if call_id in self._answered:
            return self._answered[call_id]
        if self._closed_reason is not None and not start_response:
            return None
        response_id = self._calls.pop(call_id, None)
        request = handle = None
        if start_response:
            handle = self._follow_ups.get(response_id) if response_id is not None else None
            if handle is None:
                request = ResponseRequest(
                    id=self.new_id(),
                    origin=Origin.TOOL,
                    deadline_s=60.0,
                    follow_up_of=response_id,
                    extra=dict(extra or {}),
                )
                handle = self._keep(request)
                if response_id is not None:
                    self._follow_ups[response_id] = handle
            if self._closed_reason is not None:
                self._settle(handle, Outcome(OutcomeKind.LOST, reason=self._closed_reason))
                return handle
        self._answered[call_id] = handle
        self.model.send(RealtimeModelSendToolOutput(call_id, output, start_response, request))
        return handle

    def compose(self, text: str, mode: Literal["append", "replace"] = "append") -> str:
        """Return instructions for one response: the standing prompt and ``text``, or ``text`` alone.

        The API replaces the standing prompt by per-response instructions; ``append`` keeps it.
        """
        if mode == "replace" or not self._standing:
            return text
        return f"{self._standing}\n\n{text}"

    @property
    def standing_instructions(self) -> str:
        """The session's prompt as the provider last confirmed it."""
        return self._standing

    # ── audio ───────────────────────────────────────────────────────────────────────────────────
    def send_audio(self, audio: bytes) -> None:
        """Send caller audio in the input format; the link joins it to appends (:mod:`.appends`)."""
        if self._closed_reason is None:
            self.model.send_audio(audio)

    @property
    def audio_ms(self) -> float:
        """Where in the provider's audio the next of :meth:`send_audio` will stand, in ms."""
        return self.model.audio_ms

    def commit_audio(self) -> None:
        """End the caller's turn by hand (for sessions without turn detection)."""
        if self._closed_reason is None:
            self.model.send_audio(b"", commit=True)

    def playback_started(self, response_id: str, item_id: str) -> None:
        """The playout sends the first sample of this item."""
        self.model.playback_started(response_id, item_id)

    def playback_ended(self, response_id: str, item_id: str, heard_ms: int, *, cut: bool = False) -> None:
        """The playout will play no more of this item: to its end, or ``cut`` after ``heard_ms``."""
        self.model.playback_ended(response_id, item_id, heard_ms, cut=cut)

    def pause(self, on: bool = True) -> None:
        """Tell that the call is on hold, or back: while on hold only safety requests speak."""
        if self._closed_reason is None:
            self.model.send(RealtimeModelSendPaused(on))

    def take_over(self, on: bool = True) -> None:
        """Tell that a human speaks in the agent's place, or hands back: until then nothing is said."""
        if self._closed_reason is None:
            self.model.send(RealtimeModelSendTakenOver(on))

    def forget_item(self, item_id: str) -> None:
        """Take an item out of the conversation."""
        if self._closed_reason is None:
            self.model.send(RealtimeModelSendItemDelete(item_id))

    def digit(self, digit: str) -> None:
        """Tell that the caller pressed a key: prompts that may be dropped end. The model is not told."""
        if self._closed_reason is None:
            self.model.send(RealtimeModelSendDigit(digit))

    # ── the session itself ──────────────────────────────────────────────────────────────────────
    def post_update(self, **changes: Any) -> str:
        """Send ``session.update`` without waiting; the event id may stand in a request's ``needs``.

        ``changes`` are fields of :class:`RealtimeSessionConfig`, or ``extra`` for anything else of the wire.
        """
        event_id = f"upd_{self._tokens()}"
        self._post_update(event_id, changes)
        return event_id

    def _post_update(self, event_id: str, changes: Mapping[str, Any]) -> None:
        session = session_changes(changes, layout=self.model.config_layout)
        self.model.send(RealtimeModelSendSessionUpdate(session, event_id))

    async def update(self, **changes: Any) -> None:
        """Change the provider's session and wait for its word.

        Raises :class:`~voiceagent.errors.ProviderError` with the provider's code when it refuses, goes away,
        or says nothing for 10 s.
        """
        if self._closed_reason is not None:
            raise ProviderError(f"the session is closed: {self._closed_reason}", code="closed")
        event_id = f"upd_{self._tokens()}"
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._updates[event_id] = answer
        try:
            self._post_update(event_id, changes)
            async with asyncio.timeout(UPDATE_TIMEOUT_S):
                await answer
        except TimeoutError:
            raise ProviderError("session.update was not answered", code="update_timeout") from None
        finally:
            self._updates.pop(event_id, None)

    # ── listening ───────────────────────────────────────────────────────────────────────────────
    def add_listener(self, listener: RealtimeModelListener) -> Callable[[], None]:
        """Call ``listener`` synchronously with every model event; the result takes it away again."""
        return self.model.add_listener(listener)

    def events(self, *, limit: int = 2048) -> EventStream:
        """Return an async iterator over all events from now on; the oldest are dropped past ``limit``."""
        stream = EventStream(limit)
        if self._closed_reason is not None:
            stream.end()
        else:
            self._streams.append(stream)
        return stream

    def __aiter__(self) -> AsyncIterator[RealtimeModelEvent]:
        return self.events()

    def snapshot(self) -> Mapping[str, Any]:
        """Return the state for people: plain, JSON-serialisable values."""
        return {
            "closed": self._closed_reason,
            "requests": {key: handle.state for key, handle in self._handles.items()},
            "model": dict(self.model.snapshot()),
        }

    def new_id(self) -> str:
        """Return an unused request id."""
        return f"req_{self._tokens()}"

    # ── inside ──────────────────────────────────────────────────────────────────────────────────
    def _keep(self, request: ResponseRequest) -> ResponseHandle:
        handle = ResponseHandle(request)
        self._handles[request.id] = handle
        return handle

    def _settle(self, handle: ResponseHandle, outcome: Outcome) -> None:
        if not handle.settle(outcome):
            return
        self._finished.append(handle.id)
        if len(self._finished) > KEPT_HANDLES:
            self._handles.pop(self._finished.pop(0), None)

    def _on_event(self, event: RealtimeModelEvent) -> None:
        for stream in self._streams:
            stream.put(event)
        act = self._ACTS.get(type(event))
        if act is not None:
            act(self, event)

    def _on_progress(self, event: RealtimeModelResponseProgressEvent) -> None:
        handle = self._handles.get(event.request_id)
        if handle is not None:
            handle.advance(event.progress, self._now(), event.response_id)

    def _on_outcome(self, event: RealtimeModelResponseOutcomeEvent) -> None:
        handle = self._handles.get(event.request_id)
        if handle is not None:
            self._settle(handle, event.outcome)

    def _on_interrupt_done(self, event: RealtimeModelInterruptDoneEvent) -> None:
        done = self._interrupts.get(event.token)
        if done is not None and not done.done():
            done.set_result(event.stopped)

    def _on_updated(self, event: RealtimeModelSessionUpdatedEvent) -> None:
        instructions = event.session.get("instructions")
        if isinstance(instructions, str):
            self._standing = instructions
        answer = self._updates.get(event.event_id) if event.event_id is not None else None
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _on_update_refused(self, event: RealtimeModelSessionUpdateRefusedEvent) -> None:
        answer = self._updates.get(event.event_id)
        if answer is not None and not answer.done():
            answer.set_exception(ProviderError(event.message, code=event.code or "update_refused"))

    def _on_tool_call(self, event: RealtimeModelToolCallEvent) -> None:
        self._calls[event.call_id] = event.response_id

    def _on_status(self, event: RealtimeModelConnectionStatusEvent) -> None:
        if event.status == "disconnected":
            if self._closed_reason is None:
                self._closed_reason = event.reason or "disconnected"
            self._end_all(self._closed_reason)

    def _end_all(self, reason: str) -> None:
        for handle in list(self._handles.values()):
            if not handle.done:
                self._settle(handle, Outcome(OutcomeKind.LOST, reason=reason))
        for done in self._interrupts.values():
            if not done.done():
                done.set_result(None)
        for answer in self._updates.values():
            if not answer.done():
                answer.set_exception(ProviderError(f"the link is gone: {reason}", code="link_lost"))
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.end()

    _ACTS: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        RealtimeModelResponseProgressEvent: _on_progress,
        RealtimeModelResponseOutcomeEvent: _on_outcome,
        RealtimeModelInterruptDoneEvent: _on_interrupt_done,
        RealtimeModelSessionUpdatedEvent: _on_updated,
        RealtimeModelSessionUpdateRefusedEvent: _on_update_refused,
        RealtimeModelToolCallEvent: _on_tool_call,
        RealtimeModelConnectionStatusEvent: _on_status,
    }
