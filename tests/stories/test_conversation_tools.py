"""What a flow learns of the tools that the model has called while it conversed."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.ivr import Call, CallerText, Conversation, ToolRun, flow, goal, tool
from voiceagent.ivr.conversation import DONE_TOOL


@tool
async def book(day: str) -> dict[str, str]:
    """Book a day."""
    return {"booked": day}


@tool
async def broken() -> str:
    """Fails."""
    raise LookupError("no row in postgres://db.internal")


@tool(timeout_s=1)
async def stuck() -> str:
    """Never comes back."""
    await asyncio.sleep(3600)
    return ""


@tool(timeout_s=60)
async def slow() -> str:
    """Takes its time."""
    await asyncio.sleep(30)
    return "found"


@tool(steps=("paying",))
async def refund() -> str:
    """Pay back."""
    return "done"


def talking(**options: Any) -> tuple[Story, list[Conversation]]:
    """Return a call whose flow converses once with these tools, and keeps what came of it."""
    had: list[Conversation] = []

    @flow("talker")
    async def talker(call: Call) -> None:
        talk = await call.converse(tools=[book, broken, stuck, slow, refund], **options)
        had.append(talk)

    story = Story(talker)
    story.start()
    return story, had


async def turn(story: Story, text: str, *calls: tuple[str, str, str]) -> None:
    """The caller says something, and the model calls tools instead of an answer."""
    story.provider.plans.append(Reply(audio_ms=0, calls=calls))
    await story.caller_says(text)


async def answered(story: Story) -> None:
    await story.agent_speaks()
    await story.agent_silent()


@virtual
async def test_each_tool_that_ran_is_listed_with_what_became_of_it() -> None:
    story, had = talking(until="goodbye")
    await turn(
        story,
        "book Monday",
        ("c1", "book", '{"day": "Monday"}'),
        ("c2", "book", '{"day": 5}'),
        ("c3", "broken", "{}"),
        ("c4", "stuck", "{}"),
        ("c5", "refund", "{}"),
        ("c6", "drop tables", "{}"),
    )
    await answered(story)
    await story.caller_says("goodbye")
    await story.ends()
    runs = {run.tool_call_id: run for run in had[0].tools}
    assert runs == {
        "c1": ToolRun("book", "ok", '{"booked": "Monday"}', tool_call_id="c1"),
        "c2": ToolRun("book", "refused", code="invalid_arguments", tool_call_id="c2"),
        "c3": ToolRun("broken", "failed", code="failed", tool_call_id="c3"),
        "c4": ToolRun("stuck", "failed", code="timeout", tool_call_id="c4"),
        "c5": ToolRun("refund", "refused", code="tool_not_allowed", tool_call_id="c5"),
        "c6": ToolRun("drop tables", "refused", code="unknown_tool", tool_call_id="c6"),
    }
    assert [run.name for run in had[0].tools if run.ok] == ["book"]
    assert isinstance(runs["c6"].name, CallerText), "a name that the model has made up quotes itself"
    assert "postgres" not in str(runs["c3"])


@virtual
async def test_what_a_follow_up_calls_is_listed_too() -> None:
    story, had = talking(until="goodbye")
    story.provider.plans.append(Reply(audio_ms=0, calls=(("c1", "book", '{"day": "Monday"}'),)))
    story.provider.plans.append(Reply(audio_ms=0, calls=(("c2", "book", '{"day": "Tuesday"}'),)))
    await story.caller_says("both days")
    await answered(story)
    await story.caller_says("goodbye")
    await story.ends()
    assert [run.result for run in had[0].tools] == ['{"booked": "Monday"}', '{"booked": "Tuesday"}']


@virtual
async def test_a_tool_at_work_when_it_ends_is_told_as_such() -> None:
    story, had = talking()
    await turn(story, "look it up", ("c1", "slow", "{}"))
    await asyncio.sleep(2)
    story.leg.press("0")
    await story.ends()
    assert had[0].reason == "digit"
    assert [(run.name, run.status, run.result) for run in had[0].tools] == [("slow", "running", "")]


@virtual
async def test_the_tool_that_ends_the_conversation_is_not_one_of_the_flows() -> None:
    story, had = talking(until=goal("the day is booked"))
    await turn(
        story,
        "Monday",
        ("c1", "book", '{"day": "Monday"}'),
        ("c2", DONE_TOOL, '{"summary": "Monday"}'),
    )
    await story.ends()
    assert (had[0].reason, had[0].summary) == ("tool", "Monday")
    assert [run.name for run in had[0].tools] == ["book"]
