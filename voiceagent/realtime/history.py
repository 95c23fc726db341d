"""PURE. What a new session must be told, so that the model knows the conversation that the old one held.

Turns are collected over any number of links. Each is replayed as a ``conversation.item.create``: typed and
transcribed words of the caller, notes, what the agent said (cut to what was heard), tool calls, each followed
by its output. Whatever was never heard, answered or understood is not part of what happened and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal

from voiceagent.realtime.conversation import Conversation, Item
from voiceagent.realtime.wire_frames import message_item, tool_output_item

Role = Literal["user", "system", "assistant"]


@dataclass(slots=True)
class Turn:
    """One item of the past. ``call_id`` is set for tool calls, whose output may still be to come."""

    id: str
    role: Role = "assistant"
    text: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class PastCall:
    """A tool call that the model made: never to be run again."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What a new link was given."""

    items: int
    audio_ms: int
    reissued: list[str] = field(default_factory=list[str])


class History:
    """The conversation so far, over all links."""

    __slots__ = ("_calls", "_items_of_calls", "_minted", "_outputs", "_turns", "_typed")

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._calls: dict[str, PastCall] = {}
        self._items_of_calls: dict[str, str] = {}
        self._outputs: dict[str, str] = {}
        self._typed: list[Turn] = []
        self._minted = 0

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns.values())

    def __len__(self) -> int:
        return len(self._turns)

    # ── what our own side knows better than the provider ────────────────────────────────────────
    def typed(self, text: str, role: Role) -> None:
        """Note a message that we add; the provider may be gone before it acknowledges it."""
        self._minted += 1
        self._typed.append(Turn(f"past_{self._minted}", role, text))

    def called(self, item_id: str, call_id: str, name: str, arguments: str) -> None:
        """Note a tool call of the model."""
        self._calls[call_id] = PastCall(call_id, name, arguments)
        self._items_of_calls[item_id] = call_id

    def answered(self, call_id: str, output: str) -> None:
        """Note the output of a tool; the first one counts."""
        self._outputs.setdefault(call_id, output)

    def recut(self, item_id: str, text: str) -> bool:
        """What was thought to be heard to its end was cut after all; False when it is no turn of ours."""
        turn = self._turns.get(item_id)
        if turn is not None:
            turn.text = text
        return turn is not None

    def forget(self, item_id: str) -> None:
        """An item was taken out of the conversation."""
        self._turns.pop(item_id, None)

    # ── at the end of a link ────────────────────────────────────────────────────────────────────
    def fold(self, conversation: Conversation, sounding: Set[str] = frozenset()) -> None:
        """Add what happened in ``conversation`` since the last time.

        ``sounding`` names items that are still playing: all that has arrived of them will be heard.
        """
        unseen = [turn for turn in self._turns.values() if turn.id not in conversation.items]
        for item in conversation:
            if item.id in self._turns:
                continue
            turn = self._turn(item, conversation, item.id in sounding)
            if turn is None or _drop_equal(unseen, turn):
                continue  # … the latter: a replayed turn under an id of the server's own making
            _drop_equal(self._typed, turn)
            self._turns[turn.id] = turn
        for turn in self._typed:
            self._turns[turn.id] = turn
        self._typed.clear()

    def _turn(self, item: Item, conversation: Conversation, sounding: bool) -> Turn | None:
        response = conversation.responses.get(item.response_id or "")
        if response is not None and response.out_of_band:
            return None
        if item.kind == "function_call":
            call_id = self._items_of_calls.get(item.id)
            return Turn(item.id, call_id=call_id) if call_id is not None else None
        if item.kind != "message" or item.role not in ("user", "system", "assistant"):
            return None
        role: Role = item.role  # pyright: ignore[reportAssignmentType]
        text = heard_words(item, sounding) if role == "assistant" else item.text
        return Turn(item.id, role, text) if text.strip() else None

    # ── for the new session ─────────────────────────────────────────────────────────────────────
    def items(self) -> Iterator[Mapping[str, Any]]:
        """Yield the items to create, in order; every item has an id."""
        for turn in self._turns.values():
            call = self._calls.get(turn.call_id) if turn.call_id else None
            if call is not None:
                yield function_call_item(turn.id, call)
                output = self._outputs.get(call.call_id)
                if output is not None:
                    yield tool_output_item(call.call_id, output, f"out_{turn.id}"[:32])
            elif turn.text:
                yield message_item(turn.text, turn.role, turn.id)


def function_call_item(item_id: str, call: PastCall) -> dict[str, Any]:
    """Return a ``function_call`` item as the wire wants it."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "call_id": call.call_id,
        "name": call.name,
        "arguments": call.arguments,
    }


def heard_words(item: Item, sounding: bool) -> str:
    """Return what the caller has heard (or will, when it is ``sounding``) of an agent's item."""
    if not item.parts:
        return "" if item.spoken else item.text
    if item.heard_ms is None:
        if not sounding:
            return ""
        return item.full_text() if item.complete else item.heard_text(item.audio_ms)
    whole = not item.cut and item.heard_ms >= item.audio_ms
    return item.full_text() if whole else item.heard_text(item.heard_ms)


def _drop_equal(turns: list[Turn], one: Turn) -> bool:
    """Take the first turn that says the same out of ``turns``; True when there was one."""
    for turn in turns:
        if not one.call_id and not turn.call_id and (turn.role, turn.text) == (one.role, one.text):
            turns.remove(turn)
            return True
    return False
