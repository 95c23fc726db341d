"""Tools in whole calls: what the model may not have, what takes long, what runs once, what fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, settle, virtual
from voiceagent.call.tool_runs import AT_ONCE
from voiceagent.ivr import Call, ToolContext, flow, tool

ran: list[Any] = []


@tool
async def balance(account: str, run: ToolContext, call: Call) -> dict[str, str]:
    """Look up a balance."""
    ran.append((account, run.idempotency_key, run.step, call.id))
    return {"balance": "42"}


@tool(steps=("billing",))
async def refund(account: str) -> str:
    """Pay back."""
    ran.append(("refund", account))
    return "done"


@tool(timeout_s=60, working="Still looking that up.", working_after_s=3)
async def slow(seconds: float) -> str:
    """Takes its time."""
    await asyncio.sleep(seconds)
    return "found"


@tool(timeout_s=1)
async def stuck() -> str:
    """Never comes back."""
    await asyncio.sleep(3600)
    return ""


@tool
async def broken(pin: str) -> str:
    """Fails."""
    raise LookupError(f"no row for {pin} in postgres://db.internal")


def outputs(story: Story) -> list[Any]:
    """What the model was told about its tool calls."""
    return [
        json.loads(event["item"]["output"])
        if event["item"]["output"].startswith("{")
        else event["item"]["output"]
        for event in story.provider.received
        if event["type"] == "conversation.item.create" and event["item"]["type"] == "function_call_output"
    ]


def codes(story: Story) -> list[str]:
    return [output["error"]["code"] for output in outputs(story)]


def entries(story: Story, kind: str) -> list[Mapping[str, Any]]:
    return [entry for entry in story.entries if entry["type"] == kind]


def asks(*calls: tuple[str, str, str]) -> Reply:
    """A reply of the model's that calls tools and says nothing."""
    return Reply(audio_ms=0, calls=calls)


def spoken(story: Story) -> list[str]:
    return [
        event["response"].get("instructions", "").partition("nothing else: ")[2]
        for event in story.provider.creates()
        if "response" in event
    ]


@virtual
async def test_a_tool_knows_its_run_and_its_call() -> None:
    ran.clear()

    @flow("teller")
    async def teller(call: Call) -> None:
        call.step("accounts")
        await call.respond("Look it up.", tools=[balance])

    story = Story(teller)
    story.provider.plans.append(asks(("c1", "balance", '{"account": "4711"}')))
    story.start()
    await story.ends()
    assert ran == [("4711", "call_1:c1", "accounts", "call_1")]


@virtual
async def test_what_the_model_may_not_have_is_refused_written_down_and_never_run() -> None:
    ran.clear()

    @flow("teller")
    async def teller(call: Call) -> None:
        call.step("billing")
        await call.respond("Pay back.", tools=[refund])
        call.step("accounts")
        await call.respond("Look it up.", tools=[balance, refund])

    story = Story(teller)
    story.provider.plans.extend(
        [
            Reply(audio_ms=200),
            asks(
                ("c1", "refund", '{"account": "1"}'),
                ("c2", "os_system", '{"command": "reboot"}'),
                ("c3", "balance", '{"account": 4711}'),
                ("c4", "balance", "x" * 20_000),
                ("c5", "balance", '{"account": "1", "run": "mine"}'),
            ),
        ]
    )
    story.start()
    await story.ends()

    assert ran == []
    assert codes(story) == ["tool_not_allowed", "unknown_tool", *["invalid_arguments"] * 3]
    refused = entries(story, "tool.refused")
    assert [(one["code"], one["tool"]) for one in refused] == [
        ("tool_not_allowed", "refund"),
        ("unknown_tool", "os_system"),
        *[("invalid_arguments", "balance")] * 3,
    ]
    assert max(len(one["arguments"]) for one in refused) == 500
    assert [tools for _, tools in story.observed.tools] == [False] * 5
    declared = [
        [one["name"] for one in event["response"]["tools"]]
        for event in story.provider.creates()
        if event.get("response", {}).get("tools")
    ]
    assert declared == [["refund"], ["balance"], ["balance"]], "the follow-up may use the same tools"


@virtual
async def test_another_lines_tool_is_not_allowed_any_more() -> None:
    ran.clear()

    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look it up.", tools=[balance])
        await call.respond("Chat.")

    story = Story(teller)
    story.provider.plans.extend([Reply(audio_ms=200), asks(("c1", "balance", '{"account": "1"}'))])
    story.start()
    await story.ends()
    assert ran == []
    assert codes(story) == ["tool_not_allowed"]


@virtual
async def test_one_tool_call_runs_once_however_often_it_is_named() -> None:
    ran.clear()

    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look it up.", tools=[balance])
        await call.respond("Again.", tools=[balance])

    story = Story(teller)
    again = ("c1", "balance", '{"account": "1"}')
    story.provider.plans.extend([asks(again), Reply(audio_ms=200)])
    story.start()
    await story.creates(2)
    await eventually(lambda: story.call.speech is not None and ran)
    speech, known = story.call.speech, story.provider.sent
    call = next(event for event in known if event["type"] == "response.function_call_arguments.done")
    assert speech is not None
    from voiceagent.realtime.model_events import RealtimeModelToolCallEvent

    repeated = RealtimeModelToolCallEvent(
        response_id="resp_other",
        item_id="item_other",
        call_id=call["call_id"],
        name="balance",
        arguments="{}",
    )
    speech.tool_called(repeated, None)
    await story.ends()
    assert len(ran) == 1
    assert [one["tool_call_id"] for one in entries(story, "tool.repeated")] == ["c1"]


@virtual
async def test_more_tools_at_once_than_a_call_may_have_are_refused() -> None:
    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look up everything.", tools=[slow])

    story = Story(teller)
    calls = [(f"c{number}", "slow", '{"seconds": 5}') for number in range(AT_ONCE + 3)]
    story.provider.plans.append(asks(*calls))
    story.start()
    await story.ends()
    refused = [output["error"]["code"] for output in outputs(story) if isinstance(output, dict)]
    assert refused == ["too_many"] * 3
    assert outputs(story).count("found") == AT_ONCE
    assert spoken(story).count('"Still looking that up."') == 1, "whoever is at work, it is said once"


@virtual
async def test_failures_and_time_outs_say_so_to_the_model_without_insides() -> None:
    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look it up.", tools=[broken, stuck])

    story = Story(teller)
    story.provider.plans.append(asks(("c1", "broken", '{"pin": "1"}'), ("c2", "stuck", "{}")))
    story.start()
    await story.ends()

    assert codes(story) == ["failed", "timeout"]
    assert "postgres" not in json.dumps(outputs(story))
    failed = {one["tool"]: one for one in entries(story, "tool.failed")}
    assert failed["broken"]["exception"] == "LookupError"
    assert failed["broken"]["traceback"][-1].startswith("test_tools.py:")
    assert failed["stuck"]["code"] == "timeout"
    assert [entry.outcome.completed for entry in story.call.ledger if entry.outcome is not None][-1]


@virtual
async def test_a_tool_that_takes_long_is_bridged_by_its_line_and_the_result_follows() -> None:
    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look it up.", tools=[slow])

    story = Story(teller)
    story.provider.plans.extend(
        [
            asks(("c1", "slow", '{"seconds": 25}')),
            Reply(text="Still looking that up.", audio_ms=1200),
            Reply(text="Still looking that up.", audio_ms=1200),
            Reply(text="Found it.", audio_ms=700),
        ]
    )
    story.start()
    outcome = await story.ends()

    assert outcome.reason == "completed"
    assert spoken(story).count('"Still looking that up."') == 2, "after 3 s, and 10 s after its end; not more"
    origins = [entry.request.origin.value for entry in story.call.ledger]
    assert origins == ["ivr", "idle", "idle", "tool"]
    assert story.kinds() == ["completed"] * 4
    assert outputs(story) == ["found"]


@virtual
async def test_the_line_never_goes_over_the_caller_and_is_dropped_once_the_result_is_there() -> None:
    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look it up.", tools=[slow])

    story = Story(teller)
    story.provider.plans.append(asks(("c1", "slow", '{"seconds": 6}')))
    story.start()
    await story.creates(1)
    await asyncio.sleep(2)
    await story.caller_says("I can tell you more about it while we wait", seconds=5)
    await story.ends()
    assert '"Still looking that up."' not in spoken(story)
    assert outputs(story) == ["found"]


@virtual
async def test_a_call_that_ends_takes_its_tools_with_it() -> None:
    stopped: list[str] = []

    @tool(timeout_s=60)
    async def careful() -> str:
        """Tidies up."""
        try:
            await asyncio.sleep(50)
        finally:
            stopped.append("tidied")
        return ""

    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look it up.", tools=[careful])

    story = Story(teller)
    story.provider.plans.append(asks(("c1", "careful", "{}")))
    story.start()
    await story.creates(1)
    await asyncio.sleep(1)
    story.leg.caller_hangs_up()
    await story.ends()
    await settle()
    assert stopped == ["tidied"]
