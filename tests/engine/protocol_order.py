"""The documented order of server events, as a checker that is told each event of one session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Response:
    item: str | None = None
    part_open: bool = False
    sounds_open: set[str] = field(default_factory=set)
    transcript: str = ""
    arguments: str = ""
    items: list[str] = field(default_factory=list)


class OrderOracle:
    """Raises AssertionError when an event comes where it may not."""

    def __init__(self) -> None:
        self._event_ids: set[str] = set()
        self._open: dict[str, _Response] = {}
        self._ended: set[str] = set()
        self._default: str | None = None
        self._items: set[str] = set()
        self._turn: str | None = None
        self._offset = 0

    def take(self, event: dict[str, Any]) -> None:
        """Check one event."""
        if event["type"] == "input_audio_buffer.dtmf_event_received":
            assert "event_id" not in event  # the contract gives it none
            return
        assert event["event_id"] not in self._event_ids, "an event id came twice"
        self._event_ids.add(event["event_id"])
        kind: str = event["type"]
        if kind.startswith("response."):
            self._response(kind.removeprefix("response."), event)
        elif kind.startswith("input_audio_buffer."):
            self._input(kind.removeprefix("input_audio_buffer."), event)
        elif kind == "conversation.item.added":
            assert event["item"]["id"] not in self._items
            previous = event["previous_item_id"]
            assert previous is None or previous in self._items
            self._items.add(event["item"]["id"])
        elif kind == "conversation.item.done":
            assert event["item"]["id"] in self._items
            assert event["item"]["status"] != "in_progress"
        elif kind == "conversation.item.deleted":
            self._items.remove(event["item_id"])

    def _response(self, stage: str, event: dict[str, Any]) -> None:
        if stage == "created":
            response = event["response"]
            assert response["id"] not in self._open.keys() | self._ended
            assert response["status"] == "in_progress"
            if response["conversation_id"] is not None:
                assert self._default is None, "two responses write to the conversation"
                self._default = response["id"]
            self._open[response["id"]] = _Response()
            return
        if stage == "done":
            response = event["response"]
            state = self._open.pop(response["id"])
            assert state.item is None, "an item was left open"
            assert [item["id"] for item in response["output"]] == state.items
            assert response["usage"] is not None
            assert (response["status_details"] is None) == (response["status"] == "completed")
            if self._default == response["id"]:
                self._default = None
            self._ended.add(response["id"])
            return
        state = self._open[event["response_id"]]
        if stage == "output_item.added":
            assert state.item is None
            assert event["output_index"] == len(state.items)
            assert event["item"]["status"] == "in_progress"
            state.item = event["item"]["id"]
            state.items.append(state.item)
            state.transcript = state.arguments = ""
            return
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        assert item_id == state.item, "an event of an item that is not open"
        assert event["output_index"] == len(state.items) - 1
        self._inside(stage, event, state)

    def _inside(self, stage: str, event: dict[str, Any], state: _Response) -> None:
        match stage:
            case "output_item.done":
                assert not state.part_open
                assert event["item"]["status"] != "in_progress"
                if event["item"]["type"] == "function_call":
                    assert event["item"]["arguments"] == state.arguments
                state.item = None
            case "content_part.added":
                assert not state.part_open
                state.part_open = True
                spoken = event["part"]["type"] == "audio"
                state.sounds_open = {"output_audio", "output_audio_transcript"} if spoken else {"output_text"}
            case "content_part.done":
                assert state.part_open
                assert not state.sounds_open
                assert event["part"].get("transcript", event["part"].get("text")) == state.transcript
                state.part_open = False
            case "function_call_arguments.delta":
                state.arguments += event["delta"]
            case "function_call_arguments.done":
                assert event["arguments"] == state.arguments
            case _:
                sound, _, what = stage.rpartition(".")
                assert state.part_open
                assert sound in state.sounds_open, stage
                if what == "delta":
                    state.transcript += "" if sound == "output_audio" else event["delta"]
                else:
                    assert event.get("transcript", event.get("text", state.transcript)) == state.transcript
                    state.sounds_open.remove(sound)

    def _input(self, stage: str, event: dict[str, Any]) -> None:
        match stage:
            case "speech_started":
                assert self._turn is None
                assert event["audio_start_ms"] >= self._offset
                self._turn, self._offset = event["item_id"], event["audio_start_ms"]
            case "speech_stopped":
                assert event["item_id"] == self._turn
                assert event["audio_end_ms"] >= self._offset
                self._turn, self._offset = None, event["audio_end_ms"]
            case "committed":
                assert event["item_id"] not in self._items
                self._turn = None
            case "cleared":
                self._turn = None
            case _:
                pass
