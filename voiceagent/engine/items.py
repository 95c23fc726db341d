"""The conversation: items in order, as the wire shows them. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .protocol_errors import Refusal, wrong_value

Item = dict[str, Any]
ROOT = "root"
"""``previous_item_id`` that means: before everything."""


class Conversation:
    """The default conversation of one session."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._items: dict[str, Item] = {}
        self._order: list[str] = []
        self._spoken_ms: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def before(self, item_id: str) -> str | None:
        """Return the id of the item that stands before ``item_id``."""
        place = self._order.index(item_id)
        return self._order[place - 1] if place else None

    def last_id(self) -> str | None:
        """Return the id of the newest item."""
        return self._order[-1] if self._order else None

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Insert ``item`` (at the end, or after the item ``after``); return the id before it, or None."""
        item_id: str = item["id"]
        if item_id in self._items:
            raise Refusal(
                "invalid_value",
                f"Error adding item: an item with the ID '{item_id}' already exists in the conversation.",
                param="item.id",
            )
        if after is None:
            place = len(self._order)
        elif after == ROOT:
            place = 0
        elif after in self._items:
            place = self._order.index(after) + 1
        else:
            raise Refusal(
                "invalid_value",
                f"Error adding item: the previous item with id '{after}' does not exist.",
                param="previous_item_id",
            )
        self._order.insert(place, item_id)
        self._items[item_id] = item
        return self._order[place - 1] if place else None

    def get(self, item_id: str, *, code: str, deed: str) -> Item:
        """Return an item, or refuse with ``code`` because ``deed`` needs it."""
        item = self._items.get(item_id)
        if item is None:
            raise Refusal(
                code, f"Error {deed} item: the item with id '{item_id}' does not exist.", param="item_id"
            )
        return item

    def delete(self, item_id: str) -> None:
        """Take an item out."""
        self.get(item_id, code="item_delete_invalid_item_id", deed="deleting")
        del self._items[item_id]
        self._order.remove(item_id)
        self._spoken_ms.pop(item_id, None)

    def drop(self, item_id: str) -> None:
        """Take an item out if it is there."""
        if item_id in self._items:
            self.delete(item_id)

    def check_tool_output(self, item: Mapping[str, Any]) -> None:
        """Refuse a ``function_call_output`` whose call was never made."""
        call_id = item["call_id"]
        if not any(each["type"] == "function_call" and each.get("call_id") == call_id for each in self):
            raise Refusal(
                "invalid_tool_call_id",
                f"Tool call ID '{call_id}' not found in conversation.",
                param="item.call_id",
            )

    # -- assistant audio -------------------------------------------------------------------------------

    def spoken(self, item_id: str, ms: float) -> None:
        """Note that ``ms`` more of an assistant item's audio were sent."""
        self._spoken_ms[item_id] = self._spoken_ms.get(item_id, 0.0) + ms

    def has_audio(self) -> bool:
        """Tell whether the assistant has sent audio in this conversation."""
        return bool(self._spoken_ms)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut an assistant item's audio at ``audio_end_ms``; its transcript goes, as with the vendor."""
        item = self.get(item_id, code="item_truncate_invalid_item_id", deed="truncating")
        if item["type"] != "message" or item.get("role") != "assistant":
            raise wrong_value("item_id", "Only model output audio messages can be truncated.")
        content: list[dict[str, Any]] = item["content"]
        if content_index >= len(content):
            raise wrong_value(
                "content_index",
                f"Content index {content_index} is out of range: item has {len(content)} parts.",
            )
        if content[content_index]["type"] != "output_audio":
            raise wrong_value("content_index", "Only model output audio messages can be truncated.")
        have = self._spoken_ms.get(item_id, 0.0)
        if audio_end_ms > have + 0.5:
            raise wrong_value(
                "audio_end_ms", f"Audio content of {have:.0f}ms is already shorter than {audio_end_ms}ms"
            )
        self._spoken_ms[item_id] = float(audio_end_ms)
        content[content_index].pop("transcript", None)


def view(item: Mapping[str, Any]) -> Item:
    """Return a copy that later changes do not touch."""
    copy = dict(item)
    if "content" in copy:
        copy["content"] = [dict(part) for part in copy["content"]]
    return copy


def text_of(item: Mapping[str, Any]) -> str:
    """Return all that an item says, typed or transcribed."""
    if item["type"] == "function_call_output":
        return str(item["output"])
    if item["type"] != "message":
        return ""
    parts: Sequence[Mapping[str, Any]] = item["content"]
    texts = (part.get("text") or part.get("transcript") or "" for part in parts)
    return " ".join(text for text in texts if text).strip()
