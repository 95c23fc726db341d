"""What survival stories look at: the journal, the replayed items, the sound on the line."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.kit.story import Story
from voiceagent.call.comfort import COMFORT
from voiceagent.call.leg_ear import LegEar
from voiceagent.realtime.sequencer_io import Settled, Submitted


def now() -> float:
    return asyncio.get_running_loop().time()


def entries(story: Story, kind: str) -> list[Mapping[str, Any]]:
    return [entry for entry in story.entries if entry["type"] == kind]


def replayed(story: Story) -> list[dict[str, Any]]:
    """The items that the newest session was given, from its first update on."""
    received = story.provider.received
    starts = [index for index, event in enumerate(received) if event["type"] == "session.update"]
    last_set_up = max(
        index for index in starts if "format" in received[index]["session"].get("audio", {}).get("input", {})
    )
    return [event["item"] for event in received[last_set_up:] if event["type"] == "conversation.item.create"]


def shown(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Role and text, or kind and payload, of each item."""
    result: list[tuple[str, str]] = []
    for item in items:
        if item["type"] == "message":
            result.append((item["role"], item["content"][0]["text"]))
        elif item["type"] == "function_call":
            result.append(("call", f"{item['name']}{item['arguments']}"))
        else:
            result.append(("output", item["output"]))
    return result


def whole(story: Story) -> None:
    """Every accepted request has one outcome in ledger and journal; the sequencers' requests, too."""
    ledger = {entry.request.id: entry.outcome for entry in story.call.ledger}
    assert None not in ledger.values()
    told = [entry["request_id"] for entry in entries(story, "response.ended")]
    assert sorted(told) == sorted(ledger)
    steps = [entry["body"] for entry in entries(story, "sequencer")]
    submitted = [step.request.id for step in steps if isinstance(step, Submitted)]
    settled = [step.request_id for step in steps if isinstance(step, Settled)]
    assert len(submitted) == len(set(submitted)), "an id goes to one sequencer only, once"
    assert sorted(settled) == sorted(submitted)
    assert story.entries[-1]["type"] == "call.ended"
    assert "apology" not in {entry["type"] for entry in story.entries}


class Ear:
    """Notes when the line carries agent, comfort, or nothing, by the sound of the frames."""

    def __init__(self, story: Story) -> None:
        self.comfort_from: list[float] = []
        self.agent_from: list[float] = []
        self.agent_until = 0.0
        self.heard: list[tuple[str, int]] = []
        """Response id and milliseconds of everything of the agent's that ended by itself."""
        started = LegEar.leg_playback_started
        ended = LegEar.leg_playback_ended

        def on_started(response_id: str, item_id: str) -> None:
            if response_id.startswith(COMFORT):
                self.comfort_from.append(now())
            elif not response_id.startswith("local-"):
                self.agent_from.append(now())
            started(story.call.ear, response_id, item_id)

        def on_ended(heard: Any) -> None:
            if not heard.response_id.startswith("local-"):
                self.agent_until = now()
                self.heard.append((heard.response_id, heard.heard_ms))
            ended(story.call.ear, heard)

        story.call.ear.leg_playback_started = on_started  # type: ignore[method-assign]
        story.call.ear.leg_playback_ended = on_ended  # type: ignore[method-assign]
