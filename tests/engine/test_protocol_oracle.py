"""The checkers of the other tests, shown red: planted defects in frames and their order are noticed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from tests.engine.protocol_client import check_frame, talking
from tests.engine.protocol_order import OrderOracle

Events = list[dict[str, Any]]


async def recorded() -> Events:
    """Return the events of one session with an audio reply, a call and a caller's turn."""
    tool = {"type": "function", "name": "hang_up"}
    async with talking() as client:
        await client.phone(create=False)
        await client.send("response.create", response={"instructions": '"One. Two."', "metadata": {"a": "b"}})
        await client.until("response.done")
        await client.send("response.create", response={"tools": [tool], "tool_choice": "required"})
        await client.until("response.done")
        return client.log


def at(events: Events, kind: str, nth: int = 0) -> int:
    return [index for index, event in enumerate(events) if event["type"] == kind][nth]


def swap(first: str, second: str) -> Callable[[Events], None]:
    def plant(events: Events) -> None:
        one, two = at(events, first), at(events, second)
        events[one], events[two] = events[two], events[one]

    return plant


def lose(kind: str) -> Callable[[Events], None]:
    return lambda events: events.pop(at(events, kind)) and None


def repeat_after_done(kind: str) -> Callable[[Events], None]:
    def plant(events: Events) -> None:
        late = copy.deepcopy(events[at(events, kind)])
        late["event_id"] = "fresh"
        events.insert(at(events, "response.done") + 1, late)

    return plant


def same_event_id(events: Events) -> None:
    events[3]["event_id"] = events[2]["event_id"]


ORDER_DEFECTS = {
    "created late": swap("response.created", "response.output_item.added"),
    "created lost": lose("response.created"),
    "item done lost": lose("response.output_item.done"),
    "audio done lost": lose("response.output_audio.done"),
    "part done before audio done": swap("response.content_part.done", "response.output_audio.done"),
    "delta before part": swap("response.content_part.added", "response.output_audio.delta"),
    "transcript delta lost": lose("response.output_audio_transcript.delta"),
    "arguments delta lost": lose("response.function_call_arguments.delta"),
    "delta after the end": repeat_after_done("response.output_audio.delta"),
    "done twice": repeat_after_done("response.done"),
    "created twice": repeat_after_done("response.created"),
    "an event id twice": same_event_id,
}


@pytest.mark.parametrize("name", ORDER_DEFECTS)
async def test_a_defect_in_the_order_is_noticed(name: str) -> None:
    events = await recorded()
    ORDER_DEFECTS[name](events)
    oracle = OrderOracle()
    with pytest.raises((AssertionError, KeyError)):
        for event in events:
            oracle.take(event)


FRAME_DEFECTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "response.created": lambda event: event["response"].update(stats={}),
    "response.done": lambda event: event["response"].update(status="finished"),
    "response.output_audio.delta": lambda event: event.pop("response_id"),
    "conversation.item.added": lambda event: event["item"].update(role="agent"),
    "session.updated": lambda event: event["session"]["audio"]["input"].update(vad=True),
    "rate_limits.updated": lambda event: event["rate_limits"][0].update(name="calls"),
}


@pytest.mark.parametrize("kind", FRAME_DEFECTS)
async def test_a_defect_in_a_frame_is_noticed(kind: str) -> None:
    events = await recorded()
    event = events[at(events, kind)]
    check_frame(event)
    FRAME_DEFECTS[kind](event)
    with pytest.raises((AssertionError, ValidationError)):
        check_frame(event)
