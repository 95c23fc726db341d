"""A realtime provider in memory: the wire of the embedded one, its rules for what is said, and no sound.

What the model says is decided by the same rules as in the embedded engine
(:mod:`voiceagent.engine.brain_rules`), so a simulated agent says what the demonstration's agent says, tool
calls included. How long that takes comes from words per minute. Audio is a steady tone: only its length means
something.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from voiceagent.engine.brain_rules import decide
from voiceagent.engine.brain_text import sentences
from voiceagent.engine.items import Conversation, Item, view
from voiceagent.engine.ports import BrainTurn, CallTool, Say
from voiceagent.engine.protocol_checks import unsupported
from voiceagent.engine.protocol_errors import Refusal
from voiceagent.engine.protocol_schema import client_events
from voiceagent.engine.protocol_usage import RateMeter
from voiceagent.engine.responses import ResponseOrder, ResponseRun
from voiceagent.engine.session_state import SessionState, wire_format
from voiceagent.errors import ProviderError
from voiceagent.ids import counted_tokens
from voiceagent.simulate.memory_link import MemoryLink
from voiceagent.simulate.scenario import Provider
from voiceagent.simulate.speech_time import PAUSE_MS, spoken_ms

Brain = Callable[[BrainTurn], Sequence[Say | CallTool]]
BYTES_PER_MS = 8
CHUNK_MS = 1000
"""Length of an audio delta."""
AHEAD = 8
"""So many times faster than speech the audio is made."""
TONE = bytes((0x5A,)) * (CHUNK_MS * BYTES_PER_MS)
"""Loud enough to count as a voice in both laws."""

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class SimProvider:
    """The server side of one session after another; fulfils :class:`~.memory_link.Server`."""

    def __init__(self, settings: Provider, brain: Brain = decide) -> None:
        self.settings = settings
        self._brain = brain
        self._loop = asyncio.get_running_loop()
        self._tokens = counted_tokens("")
        self._link: MemoryLink | None = None
        self._refusals = settings.refuse_creates
        self._back_at = 0.0
        self._checks = client_events(True)
        self._acts: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._session_update,
            "conversation.item.create": self._item_create,
            "conversation.item.truncate": self._item_truncate,
            "conversation.item.delete": self._item_delete,
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
            "input_audio_buffer.clear": lambda _: self.emit("input_audio_buffer.cleared"),
        }
        self._fresh()

    def _fresh(self) -> None:
        """Forget the session before: a new connection is a new conversation."""
        self._state = SessionState(self.new_id("sess"), "simulated", "default", 0)
        self._conversation = Conversation(self.new_id("conv"))
        self._meter = RateMeter()
        self._runs: dict[str, tuple[ResponseRun, asyncio.TimerHandle | None]] = {}
        self._active: str | None = None
        self._unheard: set[str] = set()
        """Turns of the caller whose words are not known yet."""
        self._waiting: deque[ResponseRun] = deque()
        """Responses that answer such a turn."""
        self._began = self._loop.time()

    # ── the connection ──────────────────────────────────────────────────────────────────────────
    async def open(self, *_: Any, **__: Any) -> MemoryLink:
        """Connect; fulfils :class:`voiceagent.realtime.websocket.OpenTransport`."""
        await asyncio.sleep(self.settings.connect_ms / 1000)
        if self._loop.time() < self._back_at:
            raise ProviderError("the simulated provider is away", code="unreachable")
        return MemoryLink(self)

    def connected(self, link: MemoryLink) -> None:
        self._link = link
        self._fresh()
        self.emit("session.created", session=self._state.view())

    def gone(self, link: MemoryLink) -> None:
        if link is self._link:
            self._link = None
            self._stop()

    def lose(self) -> None:
        """The connection breaks, and cannot be had again for the time that the settings say."""
        self._back_at = self._loop.time() + self.settings.away_ms / 1000
        self._stop()
        if self._link is not None:
            self._link.lose(1006, "lost, as the scenario says")
        self._link = None

    def _stop(self) -> None:
        for run, timer in self._runs.values():
            run.live = False
            if timer is not None:
                timer.cancel()
        self._runs.clear()
        self._active = None

    # ── sending and receiving ───────────────────────────────────────────────────────────────────
    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._tokens()}"

    def emit(self, kind: str, **fields: Any) -> None:
        if self._link is not None:
            event = {"type": kind, "event_id": self.new_id("event"), **fields}
            self._link.deliver(_dumps(event).encode())

    def take(self, frame: bytes) -> None:
        event: dict[str, Any] = json.loads(frame)
        event_id = event.get("event_id")
        try:
            kind = event["type"]
            check = self._checks.get(kind)
            if check is None or kind not in self._acts:
                raise unsupported(kind, "type", self._acts)
            self._acts[kind](check(event, ""))
        except Refusal as refusal:
            self.emit("error", error=refusal.error(event_id))

    # ── session and conversation ────────────────────────────────────────────────────────────────
    def _session_update(self, event: dict[str, Any]) -> None:
        self._state.update(event["session"], voice_frozen=False)
        self.emit("session.updated", session=self._state.view())

    def _item_create(self, event: dict[str, Any]) -> None:
        item: Item = {key: value for key, value in event["item"].items() if value is not None}
        item.setdefault("id", self.new_id("item"))
        item |= {"object": "realtime.item", "status": "completed"}
        if item["type"] == "function_call_output":
            self._conversation.check_tool_output(item)
        self._add(item, event.get("previous_item_id"))

    def _add(self, item: Item, after: str | None = None) -> str | None:
        previous = self._conversation.add(item, after=after)
        self.emit("conversation.item.added", previous_item_id=previous, item=view(item))
        self.emit("conversation.item.done", previous_item_id=previous, item=view(item))
        return previous

    def _item_truncate(self, event: dict[str, Any]) -> None:
        place = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        self._conversation.truncate(**place)
        self.emit("conversation.item.truncated", **place)

    def _item_delete(self, event: dict[str, Any]) -> None:
        self._conversation.delete(event["item_id"])
        self.emit("conversation.item.deleted", item_id=event["item_id"])

    # ── the caller ──────────────────────────────────────────────────────────────────────────────
    @property
    def silence_ms(self) -> int:
        """Silence that ends the caller's turn."""
        return int((self._state.turn_detection or {}).get("silence_duration_ms", 500))

    def caller_begins(self) -> str:
        """The caller speaks; whatever is being made is ended, as server VAD does. Returns the turn."""
        item_id = self.new_id("item")
        self.emit("input_audio_buffer.speech_started", audio_start_ms=self._now_ms(), item_id=item_id)
        if (self._state.turn_detection or {}).get("interrupt_response", True):
            self._cancel(self._active, "turn_detected")
        return item_id

    def caller_stopped(self, item_id: str) -> None:
        """The turn is over (its silence included) and becomes an item of the conversation."""
        self.emit("input_audio_buffer.speech_stopped", audio_end_ms=self._now_ms(), item_id=item_id)
        item: Item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self._unheard.add(item_id)
        self.emit(
            "input_audio_buffer.committed", previous_item_id=self._conversation.last_id(), item_id=item_id
        )
        self._add(item)

    def caller_said(self, item_id: str, text: str) -> None:
        """The words of the turn are known; empty when nothing could be understood."""
        self._unheard.discard(item_id)
        if item_id in self._conversation:  # not where the session is another one meanwhile
            item = self._conversation.get(item_id, code="invalid_value", deed="transcribing")
            item["content"][0]["transcript"] = text
            if self._state.transcription is not None:
                self.emit(
                    "conversation.item.input_audio_transcription.completed",
                    item_id=item_id,
                    content_index=0,
                    transcript=text,
                    usage={"type": "duration", "seconds": 0.0},
                )
        while self._waiting and not self._unheard:
            self._perform(self._waiting.popleft())

    def _now_ms(self) -> int:
        return round((self._loop.time() - self._began) * 1000)

    # ── responses ───────────────────────────────────────────────────────────────────────────────
    def _response_create(self, event: dict[str, Any]) -> None:
        if self._refusals:
            self._refusals -= 1
            raise Refusal("server_error", "refused, as the scenario says", kind="server_error")
        order = self._order(event.get("response") or {})
        if order.in_conversation and self._active is not None:
            raise Refusal(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._active}. "
                "Wait until the response is finished before creating a new one.",
            )
        run = ResponseRun(self, self._conversation, order, self._meter)
        if order.in_conversation:
            self._active = run.id
        run.begin()
        self._later(run, self.settings.first_audio_ms / 1000, self._perform)

    def _order(self, given: Mapping[str, Any]) -> ResponseOrder:
        state = self._state
        output: Mapping[str, Any] = given.get("audio", {}).get("output", {})
        return ResponseOrder(
            instructions=given.get("instructions"),
            standing=state.instructions,
            metadata=given.get("metadata"),
            in_conversation=given.get("conversation", "auto") == "auto",
            context=given.get("input"),
            modalities=tuple(given.get("output_modalities", state.modalities)),
            output_format=wire_format(output["format"]) if "format" in output else state.output_format,
            tools=given.get("tools", state.tools),
            tool_choice=given.get("tool_choice", state.tool_choice),
            max_output_tokens=given.get("max_output_tokens", state.max_output_tokens),
        )

    def _later(self, run: ResponseRun, after_s: float, go_on: Callable[[ResponseRun], None]) -> None:
        self._runs[run.id] = (run, self._loop.call_later(after_s, go_on, run))

    def _perform(self, run: ResponseRun) -> None:
        if not run.live:
            return
        if self._unheard:
            self._waiting.append(run)
            return
        order = run.order
        turn = BrainTurn(
            session_instructions=order.standing,
            instructions=order.instructions,
            items=list(order.context if order.context is not None else self._conversation),
            tools=order.tools,
            tool_choice=order.tool_choice,
            metadata=order.metadata or {},
        )
        try:
            thoughts = self._brain(turn)
        except Exception as error:
            self._release(run)
            about = {
                "type": "server_error",
                "code": "server_error",
                "message": f"{type(error).__name__}: {error}",
            }
            run.finish("failed", error=about)
            return
        self._go_on(run, self._play(run, thoughts))

    def _play(self, run: ResponseRun, thoughts: Sequence[Say | CallTool]) -> Iterator[float]:
        """Send everything of a response; yields the seconds to wait before going on."""
        speed = float(self._state.view()["audio"]["output"]["speed"])
        for thought in thoughts:
            if isinstance(thought, CallTool):
                run.call(thought.name, json.dumps(dict(thought.arguments), ensure_ascii=False))
                continue
            for sentence in sentences(thought.text):
                run.transcript(sentence)
                left = round(spoken_ms(sentence, self.settings.words_per_minute) / speed) + PAUSE_MS
                while left > 0 and run.order.spoken:
                    size = min(left, CHUNK_MS)
                    run.audio(TONE[: size * BYTES_PER_MS], size)
                    left -= size
                    yield size / 1000 / AHEAD

    def _go_on(self, run: ResponseRun, playing: Iterator[float]) -> None:
        if not run.live:
            return
        wait_s = next(playing, None)
        if wait_s is not None:
            self._later(run, wait_s, lambda one: self._go_on(one, playing))
            return
        self._release(run)
        run.finish("completed")

    def _release(self, run: ResponseRun) -> None:
        _, timer = self._runs.pop(run.id, (run, None))
        if timer is not None:
            timer.cancel()
        if self._active == run.id:
            self._active = None

    def _response_cancel(self, event: dict[str, Any]) -> None:
        if not self._cancel(event.get("response_id") or self._active, "client_cancelled"):
            raise Refusal("response_cancel_not_active", "Cancellation failed: no active response found")

    def _cancel(self, response_id: str | None, reason: str) -> bool:
        run, _ = self._runs.get(response_id or "", (None, None))
        if run is None:
            return False
        self._release(run)
        run.finish("cancelled", reason=reason)
        return True
