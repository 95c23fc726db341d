"""PURE. The conversation as the provider has it: items, who said what, what was heard, which tools are due.

The link feeds it with decoded events; it never decides when to speak. Milliseconds are of audio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from voiceagent.realtime.once import once
from voiceagent.realtime.requests import Origin, ResponseRequest
from voiceagent.realtime.session_mirror import SessionMirror
from voiceagent.realtime.transcript import Transcript


@dataclass(slots=True)
class Item:
    """One item. ``parts`` counts received audio bytes per content index; ``heard_ms`` is the ear's report."""

    id: str
    role: str = ""
    kind: str = "message"
    response_id: str | None = None
    text: str = ""
    """Text of items that are not spoken by the agent: typed, or transcribed from the caller. Of one that
    was heard whole, all of it."""
    parts: dict[int, int] = field(default_factory=dict[int, int])
    spoken: dict[int, Transcript] = field(default_factory=dict[int, Transcript])
    complete: bool = False
    """No more audio of this item will come."""
    heard_ms: int | None = None
    cut: bool = False
    truncated_ms: int | None = None
    per_ms: int = 8

    @property
    def audio_ms(self) -> int:
        """How much audio has arrived."""
        return sum(self.parts.values()) // self.per_ms

    def full_text(self) -> str:
        """Everything said or written in this item so far."""
        if self.spoken:
            return " ".join(part.text for _, part in sorted(self.spoken.items()) if part.text)
        return self.text

    def heard_text(self, heard_ms: int) -> str:
        """Return the whole words that fit into the first ``heard_ms``."""
        pieces: list[str] = []
        left = heard_ms
        for index, transcript in sorted(self.spoken.items()):
            total = self.parts.get(index, 0) // self.per_ms
            pieces.append(transcript.heard(left, total))
            left -= total
        return " ".join(piece for piece in pieces if piece)


@dataclass(slots=True)
class ToolCall:
    """One tool call of a response; ``output_item`` once it was answered."""

    call_id: str
    name: str
    output_item: str | None = None


@dataclass(slots=True)
class Response:
    """One response as it unfolds."""

    id: str
    request_id: str | None = None
    out_of_band: bool = False
    items: list[str] = field(default_factory=list[str])
    status: str | None = None
    """None while it is being generated."""
    calls: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])
    follow_up: ResponseRequest | None = None
    ended: bool = False
    """The ear has reported its end (or there was nothing to hear)."""


@dataclass(frozen=True, slots=True)
class Truncation:
    """What the provider must forget: everything of this part after ``audio_end_ms``."""

    item_id: str
    content_index: int
    audio_end_ms: int


class Conversation:
    """Items in order, responses, tools, and a mirror of the provider's session."""

    __slots__ = ("_call_homes", "_order", "items", "mirror", "responses")

    def __init__(self, mirror: SessionMirror | None = None) -> None:
        self.mirror = mirror or SessionMirror()
        self.items: dict[str, Item] = {}
        self.responses: dict[str, Response] = {}
        self._order: list[str] = []
        self._call_homes: dict[str, str] = {}

    # ── items ───────────────────────────────────────────────────────────────────────────────────
    def item(self, item_id: str) -> Item:
        """Return the item, making a blank one for an id that was never announced."""
        known = self.items.get(item_id)
        if known is None:
            known = self.items[item_id] = Item(item_id, per_ms=self.mirror.output_bytes_per_ms)
            self._order.append(item_id)
        return known

    def item_seen(self, item_id: str, raw: Mapping[str, Any], previous_item_id: str | None = None) -> Item:
        """Take over what ``conversation.item.*`` says of an item; returns it."""
        fresh = item_id not in self.items
        item = self.item(item_id)
        if fresh and previous_item_id != item_id and previous_item_id in self.items:
            self._order.pop()
            self._order.insert(self._order.index(previous_item_id) + 1, item_id)
        role, kind = raw.get("role"), raw.get("type")
        if isinstance(role, str):
            item.role = once(role)  # a few words, named by every item of a call
        if isinstance(kind, str):
            item.kind = once(kind)
            if kind == "function_call":
                item.role = "assistant"
        text = _content_text(raw)
        if text and not item.spoken:
            item.text = text
        return item

    def item_deleted(self, item_id: str) -> None:
        """Forget an item that the provider has forgotten."""
        if self.items.pop(item_id, None) is not None:
            self._order.remove(item_id)

    def caller_said(self, item_id: str, transcript: str) -> None:
        """Note what the caller said in this item."""
        item = self.item(item_id)
        item.role = item.role or "user"
        item.text = transcript

    def __iter__(self) -> Iterator[Item]:
        """Yield all items in the conversation's order."""
        return (self.items[item_id] for item_id in self._order)

    # ── responses ───────────────────────────────────────────────────────────────────────────────
    def response(self, response_id: str) -> Response:
        """Return the response, making a blank one for an id that was never announced."""
        known = self.responses.get(response_id)
        if known is None:
            known = self.responses[response_id] = Response(response_id)
        return known

    def output_item(self, response_id: str, item_id: str) -> Item:
        """Return an item that belongs to a response."""
        item = self.items.get(item_id)
        if item is None or item.response_id != response_id:
            item = self.item(item_id)
            response = self.response(response_id)
            item.response_id = response.id  # each frame names it by another string
            item.role = item.role or "assistant"
            if item_id not in response.items:
                response.items.append(item.id)
        return item

    def audio_received(self, response_id: str, item_id: str, content_index: int, size: int) -> bool:
        """Count audio; True when it is the first of its response."""
        item = self.items.get(item_id)
        if item is None or item.response_id != response_id:
            item = self.output_item(response_id, item_id)
        parts = item.parts
        before = parts.get(content_index)
        parts[content_index] = size if before is None else before + size
        if before is not None:
            return False
        return (
            not any(
                self.items[other].parts
                for other in self.response(response_id).items
                if other != item_id and other in self.items
            )
            and len(parts) == 1
        )

    def text_received(
        self, response_id: str, item_id: str, content_index: int, piece: str, *, spoken: bool
    ) -> None:
        """Add a piece of transcript, or of written text."""
        item = self.items.get(item_id)
        if item is None or item.response_id != response_id:
            item = self.output_item(response_id, item_id)
        if spoken:
            part = item.spoken.get(content_index)
            if part is None:
                part = item.spoken[content_index] = Transcript()
                if item.heard_ms is not None and len(item.spoken) == 1:
                    part.add(item.text, 0)  # it was heard whole, and only seemed to be over
            part.add(piece, item.parts.get(content_index, 0) // item.per_ms)
        else:
            item.text += piece

    def text_done(
        self, response_id: str, item_id: str, content_index: int, text: str, *, spoken: bool
    ) -> None:
        """Take the server's final text of one content part."""
        item = self.output_item(response_id, item_id)
        if not spoken:
            item.text = text or item.text
            return
        part = item.spoken.get(content_index)
        if part is None:
            part = item.spoken[content_index] = Transcript()
        part.finish(text)

    def response_done(self, response_id: str, status: str) -> Response:
        """Note the end of generation."""
        response = self.response(response_id)
        response.status = status
        for item_id in response.items:
            if item_id in self.items:
                self.items[item_id].complete = True
        return response

    def _items_of(self, response_id: str) -> list[Item]:
        response = self.responses.get(response_id)
        ids = response.items if response is not None else []
        return [self.items[item_id] for item_id in ids if item_id in self.items]

    def text_of(self, response_id: str) -> str:
        """Return all that a response says."""
        return " ".join(text for item in self._items_of(response_id) if (text := item.full_text()))

    def audio_ms_of(self, response_id: str) -> int:
        """Return how much audio of a response has arrived."""
        return sum(item.audio_ms for item in self._items_of(response_id))

    def audio_items(self, response_id: str) -> list[Item]:
        """Return the items of a response that have audio, in order."""
        return [item for item in self._items_of(response_id) if item.parts]

    # ── the ear ─────────────────────────────────────────────────────────────────────────────────
    def heard(self, item_id: str, heard_ms: int, *, cut: bool) -> None:
        """Note what the ear reports of an item. Nothing can be unheard: a smaller report is ignored."""
        item = self.items.get(item_id)
        if item is None:
            return
        heard_ms = max(0, min(heard_ms, item.audio_ms) if item.parts else heard_ms)
        if item.heard_ms is None or heard_ms > item.heard_ms:
            item.heard_ms = heard_ms
            item.cut = cut
            if not cut and heard_ms >= item.audio_ms and self._is_over(item):
                # Where each word stood in the audio is asked no more; a long call says many.
                item.text = item.full_text()
                item.spoken.clear()

    def _is_over(self, item: Item) -> bool:
        response = self.responses.get(item.response_id or "")
        return response is not None and response.status is not None

    def heard_of(self, response_id: str) -> tuple[int, str]:
        """Return milliseconds and text of a response that were heard, by the reports so far."""
        total = 0
        texts: list[str] = []
        for item in self._items_of(response_id):
            if item.heard_ms is None:
                continue
            total += item.heard_ms
            whole = not item.cut and item.heard_ms >= item.audio_ms
            text = item.full_text() if whole else item.heard_text(item.heard_ms)
            if text:
                texts.append(text)
        return total, " ".join(texts)

    def all_heard(self, response_id: str) -> bool:
        """Return whether generation has ended and the ear has reported every audio item."""
        response = self.responses.get(response_id)
        if response is None or response.status is None:
            return False
        return all(item.heard_ms is not None for item in self.audio_items(response_id))

    def truncation(self, item_id: str, heard_ms: int) -> Truncation | None:
        """Return what to truncate after ``heard_ms`` of an item: once per item, clamped to what has arrived.

        None when nothing is left to forget, for items without audio, and for negative positions.
        """
        item = self.items.get(item_id)
        if item is None or not item.parts or item.truncated_ms is not None or heard_ms < 0:
            return None
        received = item.audio_ms
        if heard_ms >= received and item.complete:
            return None
        at = min(heard_ms, received)
        item.truncated_ms = at
        left = at
        indexes = sorted(item.parts)
        for index in indexes:
            size = item.parts[index] // item.per_ms
            if left < size or index == indexes[-1]:
                return Truncation(item_id, index, min(left, size))
            left -= size
        return None

    # ── tools ───────────────────────────────────────────────────────────────────────────────────
    def tool_called(self, response_id: str, call_id: str, name: str) -> bool:
        """Note a tool call; False when it is already known."""
        if call_id in self._call_homes:
            return False
        self._call_homes[call_id] = response_id
        self.response(response_id).calls[call_id] = ToolCall(call_id, name)
        return True

    def tool_answered(self, call_id: str, item_id: str, follow_up: ResponseRequest | None) -> str | None:
        """Note that an output was sent as ``item_id``; returns the response whose call this was, if known.

        The first ``follow_up`` given for a response is the one that counts.
        """
        response_id = self._call_homes.get(call_id)
        if response_id is None:
            return None
        response = self.response(response_id)
        response.calls[call_id].output_item = item_id
        if response.follow_up is None:
            response.follow_up = follow_up
        return response_id

    def withdraw_follow_up(self, request_id: str) -> bool:
        """Drop a follow-up that still waits for its outputs; True when there was one."""
        for response in self.responses.values():
            if response.follow_up is not None and response.follow_up.id == request_id:
                response.follow_up = None
                return True
        return False

    def due_follow_up(self, response_id: str) -> ResponseRequest | None:
        """Return the follow-up, once: when its response has ended and all its calls are answered."""
        response = self.responses.get(response_id)
        if response is None or response.status is None or response.follow_up is None:
            return None
        outputs = [call.output_item for call in response.calls.values()]
        if any(item_id is None for item_id in outputs):
            return None
        request, response.follow_up = response.follow_up, None
        needs = frozenset(item_id for item_id in outputs if item_id is not None)
        return replace(request, origin=Origin.TOOL, needs=request.needs | needs, follow_up_of=response_id)

    def take_over_calls(self, past: Conversation) -> None:
        """Go on waiting for the outputs of tool calls that were made over a link that is gone."""
        for response in past.responses.values():
            waiting = any(call.output_item is None for call in response.calls.values())
            if response.calls and (waiting or response.follow_up is not None):
                calls = {
                    key: replace(call) for key, call in response.calls.items() if call.output_item is None
                }
                self.responses[response.id] = replace(
                    response, items=[], calls=calls, status=response.status or "completed", ended=True
                )
                self._call_homes.update(dict.fromkeys(calls, response.id))

    def open_calls(self) -> list[str]:
        """Return the call ids that still wait for an output."""
        return [
            call.call_id
            for response in self.responses.values()
            for call in response.calls.values()
            if call.output_item is None
        ]

    # ── for people ──────────────────────────────────────────────────────────────────────────────
    def snapshot(self, *, last: int = 20) -> dict[str, Any]:
        """Return the last items and the open tool calls as plain values."""
        recent = [self.items[item_id] for item_id in self._order[-last:]]
        return {
            "items": [
                {
                    "id": item.id,
                    "role": item.role,
                    "type": item.kind,
                    "text": item.full_text()[:400],
                    "audio_ms": item.audio_ms,
                    "heard_ms": item.heard_ms,
                }
                for item in recent
            ],
            "open_calls": self.open_calls(),
            "session": self.mirror.snapshot(),
        }


def _content_text(raw: Mapping[str, Any]) -> str:
    content = raw.get("content")
    if not isinstance(content, list):
        return ""
    texts: list[str] = []
    parts: list[Any] = content  # pyright: ignore[reportUnknownVariableType]
    for part in parts:
        if isinstance(part, dict):
            value: Any = part.get("text") or part.get("transcript")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            if isinstance(value, str):
                texts.append(value)
    return " ".join(texts)
