"""One response on the wire: its events in their documented order. No waiting happens here.

Order of an audio response: ``response.created`` < ``response.output_item.added`` <
``conversation.item.added`` < ``response.content_part.added`` < transcript and audio deltas <
``response.output_audio.done`` < ``response.output_audio_transcript.done`` < ``response.content_part.done`` <
``response.output_item.done`` < ``conversation.item.done`` < ``response.done`` < ``rate_limits.updated``.
A response ends exactly once, and nothing of it is sent afterwards.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from .items import Conversation, Item, view
from .ports import AudioFormat
from .protocol_usage import OUTPUT_MS_PER_TOKEN, RateMeter, response_usage, text_tokens

Status = Literal["completed", "cancelled", "failed", "incomplete"]


class Outlet(Protocol):
    """Where events go, and where ids come from."""

    def emit(self, kind: str, **fields: Any) -> None:
        """Send one server event."""
        ...

    def new_id(self, prefix: str) -> str:
        """Return a fresh id such as ``item_…``."""
        ...


class Player(Protocol):
    """Plays the agent's audio where the engine itself has the caller's line."""

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        """Queue wire audio of one item."""
        ...

    def generated(self, response_id: str) -> None:
        """A response has ended: no more audio of it will come."""
        ...

    def holds(self, response_id: str) -> bool:
        """Tell whether audio of a response has not sounded to its end."""
        ...

    def cut(self) -> None:
        """Silence now; items are truncated to what was heard."""
        ...


@dataclass(frozen=True, slots=True)
class ResponseOrder:
    """All settings of one response: its own, and the session's where it has none."""

    instructions: str | None = None
    standing: str = ""
    """The session's instructions."""
    metadata: Mapping[str, str] | None = None
    in_conversation: bool = True
    context: Sequence[Item] | None = None
    """Its own input; None means the conversation."""
    modalities: Sequence[str] = ("audio",)
    output_format: Mapping[str, Any] = field(default_factory=lambda: {"type": "audio/pcm", "rate": 24000})
    voice: str = "default"
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = "auto"
    max_output_tokens: int | str = "inf"

    @property
    def wire_format(self) -> AudioFormat:
        """Format of the audio deltas."""
        return self.output_format["type"]

    @property
    def spoken(self) -> bool:
        """Audio is wanted, not text."""
        return "audio" in self.modalities


class ResponseRun:
    """Writes one response."""

    def __init__(
        self,
        outlet: Outlet,
        conversation: Conversation,
        order: ResponseOrder,
        meter: RateMeter,
        player: Player | None = None,
    ) -> None:
        self.id = outlet.new_id("resp")
        self.order = order
        self.live = True
        self.sent_ms = 0.0
        """Audio sent so far."""
        self._outlet = outlet
        self._conversation = conversation
        self._meter = meter
        self._player = player
        self._output: list[Item] = []
        self._open: Item | None = None
        self._texts: list[str] = []
        self._text_tokens = 0
        self._last_delta: dict[str, Any] | None = None

    # -- the way of a response -------------------------------------------------------------------------

    def begin(self) -> None:
        """Announce the response."""
        self._outlet.emit("response.created", response=self.wire("in_progress"))

    def room(self) -> float:
        """Return the ms of audio that ``max_output_tokens`` still allows."""
        limit = self.order.max_output_tokens
        if not isinstance(limit, int):
            return float("inf")
        return limit * OUTPUT_MS_PER_TOKEN - self.sent_ms - self._text_tokens * OUTPUT_MS_PER_TOKEN

    def transcript(self, text: str) -> None:
        """Send a sentence of the transcript, before its audio."""
        item = self._message()
        delta = f" {text}" if self._texts else text
        self._texts.append(delta)
        self._text_tokens += text_tokens(text)
        kind = "response.output_audio_transcript.delta" if self.order.spoken else "response.output_text.delta"
        self._outlet.emit(kind, **self._where(item), content_index=0, delta=delta)

    def audio(self, wire: bytes, ms: float) -> None:
        """Send (or play, where there is a player) one audio delta of ``ms`` milliseconds."""
        item = self._message()
        self.sent_ms += ms
        if item["id"] in self._conversation:
            self._conversation.spoken(item["id"], ms)
        if self._player is not None:
            self._player.play(wire, self.id, item["id"])
            return
        fields = {
            **self._where(item),
            "content_index": 0,
            "delta": base64.b64encode(wire).decode("ascii"),
        }
        self._last_delta = fields
        self._outlet.emit("response.output_audio.delta", **fields)

    def call(self, name: str, arguments: str) -> None:
        """Send a whole function call."""
        self._close_message("completed")
        item: Item = {
            "id": self._outlet.new_id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "name": name,
            "call_id": self._outlet.new_id("call"),
            "arguments": "",
        }
        self._add(item)
        where = {**self._where(item), "call_id": item["call_id"]}
        self._text_tokens += text_tokens(arguments)
        self._outlet.emit("response.function_call_arguments.delta", **where, delta=arguments)
        item["arguments"] = arguments
        self._outlet.emit("response.function_call_arguments.done", **where, name=name, arguments=arguments)
        item["status"] = "completed"
        self._item_done(item)

    def finish(
        self, status: Status, *, reason: str | None = None, error: Mapping[str, str] | None = None
    ) -> bool:
        """End the response; returns False when it had ended before."""
        if not self.live:
            return False
        self._close_message("completed" if status == "completed" else "incomplete")
        self.live = False
        details: dict[str, Any] = {"type": status}
        if reason is not None:
            details["reason"] = reason
        if error is not None:
            details["error"] = dict(error)
        done = self.wire(status)
        done["status_details"] = None if status == "completed" else details
        done["usage"] = self._usage()
        self._outlet.emit("response.done", response=done)
        self._outlet.emit("rate_limits.updated", rate_limits=self._meter.count(done["usage"]))
        return True

    def late(self, count: int) -> None:
        """Repeat the last delta after the end: only a fault script asks for that."""
        if self._last_delta is not None:
            for _ in range(count):
                self._outlet.emit("response.output_audio.delta", **self._last_delta)

    def wire(self, status: str) -> dict[str, Any]:
        """Return the response object."""
        order = self.order
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": None,
            "output": [view(item) for item in self._output],
            "conversation_id": self._conversation.id if order.in_conversation else None,
            "output_modalities": list(order.modalities),
            "max_output_tokens": order.max_output_tokens,
            "audio": {"output": {"format": dict(order.output_format), "voice": order.voice}},
            "usage": None,
            "metadata": dict(order.metadata) if order.metadata is not None else None,
        }

    # -- parts -----------------------------------------------------------------------------------------

    def _where(self, item: Item) -> dict[str, Any]:
        return {"response_id": self.id, "item_id": item["id"], "output_index": len(self._output) - 1}

    def _add(self, item: Item) -> None:
        self._output.append(item)
        self._outlet.emit(
            "response.output_item.added",
            response_id=self.id,
            output_index=len(self._output) - 1,
            item=view(item),
        )
        if self.order.in_conversation:
            previous = self._conversation.add(item)
            self._outlet.emit("conversation.item.added", previous_item_id=previous, item=view(item))

    def _item_done(self, item: Item) -> None:
        self._outlet.emit(
            "response.output_item.done",
            response_id=self.id,
            output_index=len(self._output) - 1,
            item=view(item),
        )
        if item["id"] in self._conversation:
            previous = self._conversation.before(item["id"])
            self._outlet.emit("conversation.item.done", previous_item_id=previous, item=view(item))

    def _message(self) -> Item:
        if self._open is not None:
            return self._open
        item: Item = {
            "id": self._outlet.new_id("item"),
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        self._texts = []
        self._add(item)
        self._open = item
        part = {"type": "audio", "transcript": ""} if self.order.spoken else {"type": "text", "text": ""}
        self._outlet.emit("response.content_part.added", **self._where(item), content_index=0, part=part)
        item["content"] = [{**part, "type": f"output_{part['type']}"}]
        return item

    def _close_message(self, status: str) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        where = {**self._where(item), "content_index": 0}
        text = "".join(self._texts)
        if self.order.spoken:
            self._outlet.emit("response.output_audio.done", **where)
            self._outlet.emit("response.output_audio_transcript.done", **where, transcript=text)
            part: dict[str, Any] = {"type": "audio", "transcript": text}
            item["content"] = [{"type": "output_audio", "transcript": text}]
        else:
            self._outlet.emit("response.output_text.done", **where, text=text)
            part = {"type": "text", "text": text}
            item["content"] = [{"type": "output_text", "text": text}]
        self._outlet.emit("response.content_part.done", **where, part=part)
        item["status"] = status
        self._item_done(item)

    def _usage(self) -> dict[str, Any]:
        context = self.order.context if self.order.context is not None else self._conversation
        text_in = text_tokens(self.order.instructions or "")
        for item in context:
            if item not in self._output:
                text_in += text_tokens(str(item.get("content", item.get("output", ""))))
        return response_usage(
            text_in=text_in,
            audio_in=0,
            text_out=self._text_tokens,
            audio_out=round(self.sent_ms / OUTPUT_MS_PER_TOKEN),
        )
