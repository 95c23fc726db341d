"""A realtime provider that does what the test says: same wire, no model.

:class:`ScriptedProvider` is the server's behaviour. It is reached in memory
(:meth:`ScriptedProvider.transport`, works on the virtual clock) or through a real socket on 127.0.0.1
(:func:`tests.kit.provider_links.serve`). It accepts ``session.update``, acknowledges items, refuses a second
response of the conversation, speaks planned replies, and misbehaves on cue.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.kit.provider_links import MemoryTransport

BYTES_PER_MS = 8


@dataclass(slots=True)
class Reply:
    """What a response will consist of. Audio is G.711 silence-free filler of ``audio_ms``."""

    text: str = "Hello there, how can I help you?"
    audio_ms: int = 1000
    chunk_ms: int = 200
    first_after_s: float = 0.05
    gap_s: float = 0.02
    """Loop time between chunks: generation is faster than speech."""
    calls: Sequence[tuple[str, str, str]] = ()
    """Tool calls: (call id, name, arguments)."""
    status: str = "completed"
    error_code: str | None = None
    sample: int = 0x5A
    """Every sample of the audio, as a G.711 code; 0xFF is silence."""
    hang: bool = False
    """Never send ``response.done``."""


@dataclass(slots=True)
class _Running:
    id: str
    reply: Reply
    metadata: dict[str, str] | None
    out_of_band: bool
    steps: deque[tuple[float, dict[str, Any]]]
    item_id: str
    audio_sent_ms: int = 0
    text_sent: str = ""
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Faults:
    """Misbehaviour on cue; every counter is used up one by one."""

    swallow_creates: int = 0
    """Ignore that many creates altogether."""
    refuse_creates: deque[tuple[str | None, bool]] = field(default_factory=deque)
    """For each coming create: error code, and whether the error names our event id."""
    drop_events: dict[str, int] = field(default_factory=dict)
    """By event type: how many of the next ones get lost on the way."""
    refuse_session: str | None = None
    """Error code for every ``session.update``."""
    silent_session: bool = False
    """Never answer ``session.update``."""
    refuse_items: int = 0


class ScriptedProvider:
    """The server side of one connection after another."""

    def __init__(
        self,
        *,
        latency_s: float = 0.01,
        expires_at: float | None = None,
        audio_format: Mapping[str, Any] | None = None,
    ) -> None:
        self.audio_format = dict(audio_format or {"type": "audio/pcm", "rate": 24000})
        """What a session starts with; the replies' audio is G.711 whatever the format says."""
        self.latency_s = latency_s
        self.expires_at = expires_at
        self.faults = Faults()
        self.plans: deque[Reply] = deque()
        self.default = Reply()
        self.received: list[dict[str, Any]] = []
        """Client events in order, but appends."""
        self.sent: list[dict[str, Any]] = []
        self.appends: list[int] = []
        """Audio bytes of every append."""
        self.requests: list[Mapping[str, str]] = []
        """Handshake headers of every real connection, with ``:path``."""
        self.session: dict[str, Any] = {}
        self.active: _Running | None = None
        self.beside: dict[str, _Running] = {}
        self.connections = 0
        self.on_client_event: Callable[[dict[str, Any]], None] | None = None
        self._ids = itertools.count(1)
        self._deliver: Callable[[str], None] | None = None
        self._drop: Callable[[int, str], None] | None = None
        self._item_audio: dict[str, int] = {}
        self._last_item: str | None = None

    # ── connections ─────────────────────────────────────────────────────────────────────────────
    def transport(self) -> MemoryTransport:
        """Return our end of an in-memory connection."""
        return MemoryTransport(self)

    def connected(self, deliver: Callable[[str], None], drop: Callable[[int, str], None]) -> None:
        """A client is here: greet it."""
        self.connections += 1
        self._deliver = deliver
        self._drop = drop
        self.active = None
        self.beside.clear()
        self._last_item = None
        self.session = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self._id("sess"),
            "model": "scripted",
            "output_modalities": ["audio"],
            "instructions": "Be helpful.",
            "audio": {
                "input": {"format": dict(self.audio_format), "turn_detection": None},
                "output": {"format": dict(self.audio_format), "voice": "alloy"},
            },
        }
        if self.expires_at is not None:
            self.session["expires_at"] = int(self.expires_at)
        self.emit("session.created", session=self.session)

    def drop(self, code: int = 1006, reason: str = "") -> None:
        """Lose the connection."""
        self._stop_all()
        if self._drop is not None:
            self._drop(code, reason)
        self._deliver = None

    def gone(self, deliver: Callable[[str], None] | None = None) -> None:
        """The client has closed the connection of ``deliver``; another one may have taken its place."""
        if deliver is not None and deliver != self._deliver:
            return
        self._stop_all()
        self._deliver = None

    def _stop_all(self) -> None:
        for running in (*self.beside.values(), *((self.active,) if self.active else ())):
            if running.timer is not None:
                running.timer.cancel()
        self.active = None
        self.beside.clear()

    # ── sending ─────────────────────────────────────────────────────────────────────────────────
    def _id(self, kind: str) -> str:
        return f"{kind}_{next(self._ids):06d}"

    def emit(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a server event, unless a fault loses it."""
        event = {"type": kind, "event_id": self._id("event"), **fields}
        lost = self.faults.drop_events.get(kind, 0)
        if lost:
            self.faults.drop_events[kind] = lost - 1
            return event
        text = json.dumps(event, separators=(",", ":"))
        self.sent.append(json.loads(text))
        if self._deliver is not None:
            self._deliver(text)
        return event

    def emit_text(self, text: str) -> None:
        """Send any text as a frame."""
        if self._deliver is not None:
            self._deliver(text)

    def error(
        self, code: str | None, message: str, *, event_id: str | None = None, param: str | None = None
    ) -> None:
        """Send ``error``."""
        self.emit(
            "error",
            error={
                "type": "invalid_request_error",
                "code": code,
                "message": message,
                "param": param,
                "event_id": event_id,
            },
        )

    # ── receiving ───────────────────────────────────────────────────────────────────────────────
    def types(self) -> list[str]:
        """Return the names of the client events so far."""
        return [event["type"] for event in self.received]

    def creates(self) -> list[dict[str, Any]]:
        """Return every ``response.create`` so far."""
        return [event for event in self.received if event["type"] == "response.create"]

    def take(self, text: str) -> None:
        """Act on one client frame."""
        event: dict[str, Any] = json.loads(text)
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            self.appends.append(len(base64.b64decode(event["audio"], validate=True)))
            return
        self.received.append(event)
        if self.on_client_event is not None:
            self.on_client_event(event)
        act = getattr(self, "_on_" + kind.replace(".", "_"), None)
        if act is None:
            self.error("invalid_value", f"unknown event {kind}", event_id=event.get("event_id"))
        else:
            act(event)

    def _on_session_update(self, event: dict[str, Any]) -> None:
        if self.faults.silent_session:
            return
        if self.faults.refuse_session is not None:
            self.error(
                self.faults.refuse_session, "not like this", event_id=event["event_id"], param="session"
            )
            return
        _merge(self.session, event["session"])
        self.emit("session.updated", session=self.session)

    def _on_conversation_item_create(self, event: dict[str, Any]) -> None:
        if self.faults.refuse_items:
            self.faults.refuse_items -= 1
            self.error("invalid_value", "bad item", event_id=event["event_id"], param="item")
            return
        item = {"object": "realtime.item", "status": "completed", **event["item"]}
        item.setdefault("id", self._id("item"))
        self._add_item(item)

    def _add_item(self, item: dict[str, Any]) -> None:
        previous, self._last_item = self._last_item, item["id"]
        self.emit("conversation.item.added", previous_item_id=previous, item=item)
        self.emit("conversation.item.done", previous_item_id=previous, item=item)

    def _on_conversation_item_truncate(self, event: dict[str, Any]) -> None:
        have = self._item_audio.get(event["item_id"], 0)
        if event["audio_end_ms"] > have:
            message = f"Audio content of {have}ms is already shorter than {event['audio_end_ms']}ms"
            self.error("invalid_value", message, event_id=event["event_id"])
            return
        self.emit(
            "conversation.item.truncated",
            item_id=event["item_id"],
            content_index=event["content_index"],
            audio_end_ms=event["audio_end_ms"],
        )

    def _on_conversation_item_delete(self, event: dict[str, Any]) -> None:
        self.emit("conversation.item.deleted", item_id=event["item_id"])

    def _on_conversation_item_retrieve(self, event: dict[str, Any]) -> None:
        self.error("item_retrieve_invalid_item_id", "no such item", event_id=event.get("event_id"))

    def _on_input_audio_buffer_commit(self, _event: dict[str, Any]) -> None:
        self.committed()

    def _on_input_audio_buffer_clear(self, _event: dict[str, Any]) -> None:
        self.emit("input_audio_buffer.cleared")

    def _on_output_audio_buffer_clear(self, _event: dict[str, Any]) -> None:
        if self.playing is not None:
            response_id, self.playing = self.playing, None
            self.emit("output_audio_buffer.cleared", response_id=response_id)

    def _on_response_create(self, event: dict[str, Any]) -> None:
        if "response" in event and not isinstance(event["response"], dict):
            self.error("invalid_type", "response must be an object", event_id=event.get("event_id"))
            return
        if self.faults.swallow_creates:
            self.faults.swallow_creates -= 1
            return
        if self.faults.refuse_creates:
            code, named = self.faults.refuse_creates.popleft()
            running = self.active.id if self.active else "resp_elsewhere"
            message = "This is not a value we take."
            if code == "conversation_already_has_active_response":
                message = f"Conversation already has an active response in progress: {running}."
            self.error(code, message, event_id=event.get("event_id") if named else None)
            return
        fields = event.get("response") or {}
        out_of_band = fields.get("conversation") == "none"
        if self.active is not None and not out_of_band:
            message = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            self.error("conversation_already_has_active_response", message, event_id=event.get("event_id"))
            return
        self.respond(metadata=fields.get("metadata"), out_of_band=out_of_band)

    def _on_response_cancel(self, event: dict[str, Any]) -> None:
        wanted = event.get("response_id")
        running = self.beside.get(wanted) if wanted in self.beside else self.active
        if running is None or (wanted is not None and running.id != wanted):
            self.error(
                "response_cancel_not_active",
                "Cancellation failed: no active response found",
                event_id=event.get("event_id"),
            )
            return
        self.cancel(running, "client_cancelled")

    # ── speaking ────────────────────────────────────────────────────────────────────────────────
    def respond(
        self, *, metadata: dict[str, str] | None = None, out_of_band: bool = False, reply: Reply | None = None
    ) -> str:
        """Start a response as the server does, asked or unasked; returns its id."""
        reply = reply or (self.plans.popleft() if self.plans else self.default)
        running = _Running(self._id("resp"), reply, metadata, out_of_band, deque(), self._id("item"))
        running.steps.extend(self._steps(running))
        if out_of_band:
            self.beside[running.id] = running
        else:
            assert self.active is None, "the script lets two responses of the conversation overlap"
            self.active = running
        self.emit("response.created", response=self._response(running, "in_progress"))
        self._next(running)
        return running.id

    def _response(self, running: _Running, status: str, **details: Any) -> dict[str, Any]:
        response: dict[str, Any] = {
            "object": "realtime.response",
            "id": running.id,
            "status": status,
            "status_details": details or None,
            "output": [],
            "conversation_id": None if running.out_of_band else "conv_1",
            "output_modalities": ["audio"],
            "metadata": running.metadata,
        }
        if status != "in_progress":
            response["usage"] = {"total_tokens": 40, "input_tokens": 30, "output_tokens": 10}
            response["output"] = self._items(running, "completed" if status == "completed" else "incomplete")
        return response

    def _items(self, running: _Running, status: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        reply = running.reply
        if reply.audio_ms:
            items.append(_message(running.item_id, status, running.text_sent))
        for call_id, name, arguments in reply.calls:
            items.append(_call(f"item_{call_id}", call_id, name, arguments))
        return items

    def _steps(self, running: _Running) -> list[tuple[float, dict[str, Any]]]:
        reply = running.reply
        place = {"response_id": running.id, "item_id": running.item_id, "output_index": 0, "content_index": 0}
        steps: list[tuple[float, dict[str, Any]]] = []

        def add(after: float, kind: str, **fields: Any) -> None:
            steps.append((after, {"type": kind, **fields}))

        if reply.audio_ms:
            empty = _message(running.item_id, "in_progress", "")
            add(reply.first_after_s, "response.output_item.added", **_at(running.id, 0), item=empty)
            add(0, "conversation.item.added", previous_item_id=self._last_item, item=empty)
            add(0, "response.content_part.added", **place, part={"type": "audio", "transcript": ""})
            chunks = [
                min(reply.chunk_ms, reply.audio_ms - at) for at in range(0, reply.audio_ms, reply.chunk_ms)
            ]
            words = _share(reply.text, len(chunks))
            for size, piece in zip(chunks, words, strict=True):
                if piece:
                    add(0, "response.output_audio_transcript.delta", **place, delta=piece)
                audio = base64.b64encode(bytes((reply.sample,)) * (size * BYTES_PER_MS)).decode()
                add(reply.gap_s, "response.output_audio.delta", **place, delta=audio)
            add(0, "response.output_audio.done", **place)
            add(0, "response.output_audio_transcript.done", **place, transcript=reply.text)
            add(
                0,
                "response.content_part.done",
                **place,
                part={"type": "audio", "transcript": reply.text},
            )
            item = _message(running.item_id, "completed", reply.text)
            add(0, "response.output_item.done", **_at(running.id, 0), item=item)
            add(0, "conversation.item.done", previous_item_id=self._last_item, item=item)
        for index, (call_id, name, arguments) in enumerate(reply.calls, 1 if reply.audio_ms else 0):
            item = _call(f"item_{call_id}", call_id, name, arguments)
            add(
                0.01,
                "response.output_item.added",
                **_at(running.id, index),
                item={**item, "status": "in_progress"},
            )
            add(
                0,
                "response.function_call_arguments.done",
                response_id=running.id,
                item_id=item["id"],
                output_index=index,
                call_id=call_id,
                name=name,
                arguments=arguments,
            )
            add(0, "response.output_item.done", **_at(running.id, index), item=item)
        if not steps:
            add(reply.first_after_s, "response.done")
        return steps

    def _next(self, running: _Running) -> None:
        loop = asyncio.get_running_loop()
        while running.steps:
            after, event = running.steps[0]
            if after > 0:
                running.steps[0] = (0.0, event)
                running.timer = loop.call_later(after, self._next, running)
                return
            running.steps.popleft()
            if event["type"] == "response.done":
                break
            if event["type"] == "response.output_audio.delta":
                sent = len(base64.b64decode(event["delta"])) // BYTES_PER_MS
                running.audio_sent_ms += sent
                self._item_audio[running.item_id] = running.audio_sent_ms
            elif event["type"] == "response.output_audio_transcript.delta":
                running.text_sent += event["delta"]
            kind = event.pop("type")
            self.emit(kind, **event)
        if not running.reply.hang:
            self.finish(running)

    def finish(self, running: _Running | None = None) -> None:
        """End a response as planned (or the active one now)."""
        running = running or self.active
        assert running is not None
        reply = running.reply
        details: dict[str, Any] = {}
        if reply.status != "completed":
            details["type"] = reply.status
        if reply.error_code is not None:
            details["error"] = {"type": "server_error", "code": reply.error_code}
        self._forget(running)
        self.emit("response.done", response=self._response(running, reply.status, **details))

    def cancel(self, running: _Running | None, reason: str) -> None:
        """End a response early."""
        running = running or self.active
        if running is None:
            return
        self._forget(running)
        details = {"type": "cancelled", "reason": reason}
        self.emit("response.done", response=self._response(running, "cancelled", **details))

    def _forget(self, running: _Running) -> None:
        if running.timer is not None:
            running.timer.cancel()
        if self.active is running:
            self.active = None
        self.beside.pop(running.id, None)

    # ── the caller ──────────────────────────────────────────────────────────────────────────────
    def speech_started(self, at_ms: int = 0) -> str:
        """The caller begins to speak; interrupts where the session says so. Returns the item's id."""
        item_id = self._id("item")
        self.emit("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=item_id)
        turns = self.session["audio"]["input"].get("turn_detection") or {}
        if turns and turns.get("interrupt_response") is not False and self.active is not None:
            self.cancel(self.active, "turn_detected")
        return item_id

    def speech_stopped(self, item_id: str, at_ms: int = 800, *, commit: bool = True) -> None:
        """The caller stops speaking; the turn is committed, and answered where the session says so."""
        self.emit("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=item_id)
        if commit:
            self.committed(item_id)

    def committed(self, item_id: str | None = None) -> None:
        """The caller's turn becomes an item."""
        item_id = item_id or self._id("item")
        self.emit("input_audio_buffer.committed", previous_item_id=self._last_item, item_id=item_id)
        self._add_item(
            {
                "id": item_id,
                "type": "message",
                "object": "realtime.item",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_audio", "transcript": None}],
            }
        )
        turns = self.session["audio"]["input"].get("turn_detection") or {}
        if turns and turns.get("create_response") is not False and self.active is None:
            self.respond()

    def transcribed(self, item_id: str, transcript: str) -> None:
        """The caller's words are known."""
        self.emit(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=transcript,
            usage={"type": "duration", "seconds": 1.0},
        )

    # ── the provider's own playout (hosted calls) ───────────────────────────────────────────────
    playing: str | None = None

    def buffer_started(self, response_id: str) -> None:
        """The provider starts playing to the caller."""
        self.playing = response_id
        self.emit("output_audio_buffer.started", response_id=response_id)

    def buffer_stopped(self) -> None:
        """The provider has played everything."""
        response_id, self.playing = self.playing, None
        self.emit("output_audio_buffer.stopped", response_id=response_id)


def _at(response_id: str, index: int) -> dict[str, Any]:
    return {"response_id": response_id, "output_index": index}


def _message(item_id: str, status: str, text: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [{"type": "output_audio", "transcript": text}] if status != "in_progress" else [],
    }


def _call(item_id: str, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def _share(text: str, count: int) -> list[str]:
    """Split ``text`` into ``count`` pieces at word ends, as evenly as that goes."""
    words = text.split(" ")
    pieces = [""] * count
    for index, word in enumerate(words):
        pieces[min(count - 1, index * count // len(words))] += word if index == 0 else f" {word}"
    return pieces


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if key != "format" and isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
