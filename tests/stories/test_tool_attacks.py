"""A model that means harm, or has lost its mind: whatever it calls, nothing runs that may not, or twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, settle, virtual
from tests.stories.test_tools import asks, codes, entries, outputs
from voiceagent.call.speech import FOLLOW_UP_ROUNDS
from voiceagent.call.tool_runs import KNOWN_CALLS, NAME_CHARS, OUTPUT_CHARS, PER_RESPONSE, ToolRuns, Toolset
from voiceagent.ivr import Call, flow, tool
from voiceagent.realtime.model_events import RealtimeModelToolCallEvent

ran: list[str] = []


@tool
async def pay(to: str = "me") -> str:
    """Pay."""
    ran.append(to)
    return "paid"


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def done_item(call_id: str, name: str = "pay", arguments: Any = "{}") -> dict[str, Any]:
    """The item of a tool call as the provider says that it is complete."""
    return {
        "id": f"item_{call_id}",
        "object": "realtime.item",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def refusals(story: Story) -> list[tuple[str, str]]:
    return [(one["tool_call_id"], one["code"]) for one in entries(story, "tool.refused")]


# ── too much ────────────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_a_thousand_calls_of_one_response() -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay])

    story = Story(desk)
    story.provider.plans.append(Reply(audio_ms=1000))
    story.start()
    await eventually(lambda: story.provider.active is not None)
    response = story.provider.active
    assert response is not None
    await settle()
    for number in range(1000):
        item = done_item(f"c{number}")
        story.provider.emit("response.output_item.done", response_id=response.id, output_index=1, item=item)
    await story.ends()
    assert len(ran) == PER_RESPONSE
    assert refusals(story) == [(f"c{number}", "too_many") for number in range(PER_RESPONSE, 1000)]
    told = outputs(story)
    assert len(told) == 1000, "the model gets an answer to each"
    assert sum(isinstance(one, dict) and one["error"]["code"] == "too_many" for one in told) == 968
    assert len(story.provider.creates()) == 2, "and one follow-up to all"


@virtual
async def test_a_model_that_only_calls_tools_comes_to_an_end() -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay])
        await call.say("Goodbye.")

    story = Story(desk)

    def again(event: dict[str, Any]) -> None:
        if event["type"] == "response.create" and "Goodbye" not in json.dumps(event):
            number = len(story.provider.creates())
            story.provider.plans.append(asks((f"c{number}", "pay", "{}")))

    story.provider.on_client_event = again
    story.start()
    await story.ends()
    assert len(ran) == FOLLOW_UP_ROUNDS
    assert len(story.provider.creates()) == FOLLOW_UP_ROUNDS + 2
    declared = ["tools" in event["response"] for event in story.provider.creates()]
    assert declared == [*[True] * FOLLOW_UP_ROUNDS, False, False], "the last round can only speak"
    assert refusals(story) == [(f"c{FOLLOW_UP_ROUNDS + 1}", "tool_not_allowed")]


@virtual
async def test_refusals_alone_make_no_endless_talk() -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Talk.")

    story = Story(desk)

    def again(event: dict[str, Any]) -> None:
        if event["type"] == "response.create":
            story.provider.plans.append(asks((f"c{len(story.provider.creates())}", "rm", "{}")))

    story.provider.on_client_event = again
    story.start()
    await story.ends()
    assert codes(story) == ["unknown_tool"] * (FOLLOW_UP_ROUNDS + 1)
    assert len(story.provider.creates()) == FOLLOW_UP_ROUNDS + 1


def test_a_tool_call_is_never_forgotten_and_a_call_may_have_so_many() -> None:
    written: list[dict[str, Any]] = []
    runs = ToolRuns("call_1", write=lambda kind, **facts: written.append({"type": kind, **facts}))
    for number in range(KNOWN_CALLS):
        assert runs.first_time(f"c{number}", "pay")
        assert not runs.too_many(f"resp_{number}", f"c{number}")
    assert not runs.first_time("c0", "pay"), "the oldest is known still"
    assert not runs.first_time(f"c{KNOWN_CALLS - 1}", "pay")
    assert runs.first_time("one more", "pay")
    assert runs.too_many("resp_x", "one more")
    assert [one["type"] for one in written] == ["tool.repeated"] * 2


@virtual
async def test_endless_names_ids_and_arguments_are_cut_where_they_are_written() -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay])

    story = Story(desk)
    long = "x" * 1_000_000
    story.provider.plans.append(
        asks(("c1", long, "{}"), ("c2", "pay", json.dumps({"to": long})), ("i" * 100_000, "pay", "{}"))
    )
    story.start()
    await story.ends()
    assert ran == []
    assert sorted(code for _, code in refusals(story)) == ["invalid_arguments", "too_many", "unknown_tool"]
    kept = [one for one in story.entries if one["type"].startswith("tool.")]
    assert max(len(json.dumps(one)) for one in kept) < 20_000
    assert max(len(name) for name, _ in story.observed.tools) == NAME_CHARS


@virtual
async def test_an_endless_output_is_cut_and_an_odd_one_is_told() -> None:
    @tool
    async def huge() -> str:
        """Huge."""
        return "y" * 10_000_000

    @tool
    async def odd() -> Any:
        """Odd."""
        return {"half": "\ud800", "nan": float("nan"), "set": {1}}

    @tool
    async def round_and_round() -> Any:
        """Never ends."""
        found: list[Any] = []
        found.append(found)
        return found

    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Look.", tools=[huge, odd, round_and_round])

    story = Story(desk, record_inputs=True)
    story.provider.plans.append(
        asks(("c1", "huge", "{}"), ("c2", "odd", "{}"), ("c3", "round_and_round", ""))
    )
    story.start()
    outcome = await story.ends()
    assert outcome.reason == "completed"
    told = [
        event["item"]["output"]
        for event in story.provider.received
        if event["type"] == "conversation.item.create" and event["item"]["type"] == "function_call_output"
    ]
    assert len(told) == 3
    assert max(map(len, told)) == OUTPUT_CHARS
    assert '"failed"' in told[2]


@virtual
async def test_a_tool_that_will_not_end_does_not_keep_the_flow() -> None:
    release = asyncio.Event()

    @tool(timeout_s=2)
    async def stubborn() -> str:
        """Takes no notice of being cancelled."""
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    times: list[float] = []

    @flow("desk")
    async def desk(call: Call) -> None:
        began = asyncio.get_running_loop().time()
        await call.respond("Look.", tools=[stubborn, pay])
        times.append(asyncio.get_running_loop().time() - began)
        release.set()
        await asyncio.sleep(1)
        await call.say("Goodbye.")

    story = Story(desk)
    story.provider.plans.append(asks(("c1", "stubborn", "{}"), ("c2", "pay", "{}")))
    story.start()
    outcome = await story.ends()
    assert outcome.reason == "completed"
    assert times[0] < 20
    assert outputs(story) == ["paid", {"error": {"code": "timeout", "message": "the tool took too long"}}]
    failed = entries(story, "tool.failed")
    assert [(one["tool"], one["code"]) for one in failed if one.get("stuck")] == [("stubborn", "timeout")]
    assert [entry.outcome.completed for entry in story.call.ledger if entry.outcome is not None] == [True] * 3


@virtual
async def test_a_line_that_is_given_up_takes_its_tools_with_it() -> None:
    stopped: list[str] = []

    @tool(timeout_s=60)
    async def careful() -> str:
        """Tidies up."""
        try:
            await asyncio.sleep(50)
        finally:
            stopped.append("tidied")
        return ""

    @flow("desk")
    async def desk(call: Call) -> None:
        try:
            async with asyncio.timeout(5):
                await call.respond("Look.", tools=[careful])
        except TimeoutError:
            await call.say("Goodbye.")

    story = Story(desk)
    story.provider.plans.append(asks(("c1", "careful", "{}")))
    story.start()
    outcome = await story.ends()
    assert outcome.reason == "completed"
    assert stopped == ["tidied"]
    assert codes(story) == ["failed"]


# ── too late ────────────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_a_response_that_was_cancelled_calls_nothing_any_more() -> None:
    """The caller has cut it; the provider's call was on its way already."""

    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay], resume=False)
        await asyncio.sleep(5)

    story = Story(desk)
    story.provider.plans.append(Reply(audio_ms=4000))
    story.start()
    await story.agent_speaks()
    response = story.provider.active
    assert response is not None
    await story.caller_begins()
    story.provider.emit(
        "response.output_item.done", response_id=response.id, output_index=1, item=done_item("c1")
    )
    await story.caller_stops("No, wait")
    await story.ends()
    assert ran == []
    assert refusals(story) == [("c1", "cancelled")]
    assert codes(story) == ["cancelled"]


@virtual
async def test_a_response_that_is_over_calls_nothing_any_more() -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay])
        await call.respond("Talk.")
        await asyncio.sleep(2)

    story = Story(desk)
    story.start()
    await story.creates(2)
    first = next(one["response"]["id"] for one in story.provider.sent if one["type"] == "response.created")
    story.provider.emit("response.output_item.done", response_id=first, output_index=1, item=done_item("c1"))
    story.provider.emit(
        "response.output_item.done", response_id="resp_nobody", output_index=1, item=done_item("c2")
    )
    await story.ends()
    assert ran == []
    assert refusals(story) == [("c1", "cancelled"), ("c2", "tool_not_allowed")]


@virtual
async def test_calls_that_come_only_with_the_end_of_a_response() -> None:
    """A response that was completed may run them, one that failed may not."""

    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay])
        await call.respond("Pay.", tools=[pay])

    story = Story(desk)
    story.provider.faults.drop_events["response.output_item.done"] = 3
    story.provider.plans.extend(
        [
            Reply(audio_ms=0, calls=[("c1", "pay", "{}")]),
            Reply(),
            Reply(audio_ms=0, calls=[("c2", "pay", "{}")], status="failed"),
        ]
    )
    story.start()
    await story.ends()
    assert ran == ["me"]
    assert refusals(story) == [("c2", "cancelled")]


@virtual
async def test_a_call_that_is_ending_runs_no_tool_and_says_so() -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay])

    story = Story(desk)
    story.provider.plans.append(Reply(audio_ms=4000))
    story.start()
    await story.agent_speaks()
    response = story.provider.active
    assert response is not None
    speech = story.call.speech
    assert speech is not None
    story.leg.caller_hangs_up()
    speech.tool_called(RealtimeModelToolCallEvent("c1", "pay", "{}", response.id, "item_c1"), None)
    await story.ends()
    assert ran == []
    assert refusals(story) == [("c1", "call_ending")]


# ── nonsense ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("arguments", [{"to": "you"}, ["you"], 1, True])
@virtual
async def test_arguments_that_are_no_text_are_no_arguments(arguments: Any) -> None:
    @flow("desk")
    async def desk(call: Call) -> None:
        await call.respond("Pay.", tools=[pay])

    story = Story(desk)
    story.provider.plans.append(Reply(audio_ms=1000))
    story.start()
    await eventually(lambda: story.provider.active is not None)
    response = story.provider.active
    assert response is not None
    await settle()
    story.provider.emit(
        "response.output_item.done",
        response_id=response.id,
        output_index=1,
        item=done_item("c1", arguments=arguments),
    )
    await story.ends()
    assert ran == []
    assert codes(story) == ["invalid_arguments"]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"to": "a", "to": "b"}',
        '{"to": NaN}',
        '{"to": 1e999}',
        '{"to": "a", "__class__": "b"}',
        '{"to": "' + "a" * 5000 + '"}',
        '{"to": ' + "[" * 500 + "]" * 500 + "}",
        '{"to": "\\ud800"}',
        '{"to": null}',
        '{"to": ["a"]}',
        '{"to": 1' + "0" * 5000 + "}",
        "[]",
        "null",
        "'",
        "\ufeff{}",
        '{"TO": "a"}',
        '{"p0": "a"}',
        "x" * 1_000_000,
    ],
)
async def test_hostile_arguments_run_nothing(arguments: str) -> None:
    written: list[dict[str, Any]] = []
    runs = ToolRuns("call_1", write=lambda kind, **facts: written.append({"type": kind, **facts}))
    toolset = Toolset([pay])
    runs.given(toolset)
    output, ok = await runs.run(toolset, "pay", arguments, "c1")
    assert not ok
    assert json.loads(output)["error"]["code"] == "invalid_arguments"
    assert ran == []
    assert [(one["type"], one["code"]) for one in written] == [("tool.refused", "invalid_arguments")]
    assert len(json.dumps(written)) < 5000
