"""One flow over both attachments: same frames, same journal, same outcomes, same transcript."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.hosted.kit import DirectStory, HostedStory
from tests.kit.scripted_provider import Reply
from tests.kit.virtual_loop import eventually, virtual_run
from voiceagent.call.outcome import CallOutcome
from voiceagent.ivr import Call, Digits, flow, tool
from voiceagent.realtime.requests import InterruptedBy

AnyStory = DirectStory | HostedStory


@tool
async def balance(account: str) -> dict[str, str]:
    """Look up a balance."""
    return {"balance": f"42 for {account}"}


@flow("desk", numbers=["100"])
async def desk(call: Call) -> None:
    """You are the desk."""
    await call.respond("Greet the caller.", metadata={"purpose": "greeting"})
    call.step("code")
    code = await call.collect("Ask for the code.", digits=Digits(2))
    call.step("account")
    await call.respond(f"Look up the balance of {code}.", tools=[balance])
    story = await call.respond("Tell a long story.")
    if story.interrupted:
        await call.respond("Ask what the caller wants.")
    await call.hangup("Bye.")


async def the_whole_desk(story: AnyStory) -> CallOutcome:
    """Greeting, a wrong and a right key, a tool, a barge-in, an operator's word, goodbye."""
    story.provider.plans.extend(
        [
            Reply(text="Hello and welcome.", audio_ms=1200),
            Reply(text="Your code, please.", audio_ms=2000),
            Reply(audio_ms=0, calls=[("call-1", "balance", '{"account": "47"}')]),
            Reply(text="It is 42.", audio_ms=800),
            Reply(text="one two three four five six seven eight nine ten", audio_ms=10_000),
            Reply(text="What can I do?", audio_ms=900),
        ]
    )
    story.start()
    await story.creates(2)
    await eventually(lambda: story.call.floor == "agent")
    await asyncio.sleep(0.5)
    story.caller.press("4")
    await asyncio.sleep(0.3)
    story.caller.press("7")
    await story.creates(5)
    await eventually(lambda: story.call.floor == "agent")
    await asyncio.sleep(2.5)
    await story.caller_says("stop")
    story.call.trigger("Say that we close soon.", {"by": "desk"}, request_id="op-1")
    return await story.ends()


def facts(story: AnyStory, outcome: CallOutcome) -> dict[str, Any]:
    """What a call leaves behind, but for times."""
    told = (
        "call.offered",
        "call.state",
        "flow.step",
        "caller.said",
        "caller.digit",
        "tool.called",
        "tool.ended",
    )
    kept = ("state", "step", "text", "digit", "tool", "arguments", "ok", "flow", "caller", "called")
    return {
        "outcome": outcome,
        "journal": [
            (entry["type"], {key: entry[key] for key in kept if key in entry})
            for entry in story.entries
            if entry["type"] in told
        ],
        "requests": [
            (
                entry.request.origin.value,
                entry.state,
                entry.outcome and (entry.outcome.kind.value, entry.outcome.by, entry.outcome.text),
            )
            for entry in story.call.ledger
        ],
        "transcript": [
            (line.speaker, line.full_text or line.text, line.cut) for line in story.call.transcript.lines
        ],
        "creates": [frame["response"] for frame in story.provider.creates()],
        "barge_ins": story.call.barge_ins,
        "digits": story.call.digits_pressed,
        "tools": story.observed.tools,
        "ended": len(story.observed.ended),
    }


def heard(story: AnyStory) -> list[int]:
    return [entry.outcome.heard_ms for entry in story.call.ledger if entry.outcome is not None]


def both(
    play: Callable[[AnyStory], Awaitable[CallOutcome]], the_flow: Any
) -> tuple[tuple[DirectStory, CallOutcome], tuple[HostedStory, CallOutcome]]:
    async def direct() -> tuple[DirectStory, CallOutcome]:
        story = DirectStory(the_flow)
        return story, await play(story)

    async def hosted() -> tuple[HostedStory, CallOutcome]:
        story = HostedStory(the_flow)
        return story, await play(story)

    return virtual_run(direct()), virtual_run(hosted())


def test_one_flow_over_both_attachments() -> None:
    (direct, a), (hosted, b) = both(the_whole_desk, desk)
    ours, theirs = facts(direct, a), facts(hosted, b)
    for part in ours:
        assert theirs[part] == ours[part], part
    assert ours["outcome"].reason == "completed"
    assert [entry[1] for entry in ours["requests"]].count("completed") >= 5
    assert hosted.call.info.kind == "hosted"
    for one, other in zip(heard(direct), heard(hosted), strict=True):
        assert abs(one - other) <= 100, (heard(direct), heard(hosted))


def test_only_the_attachment_differs_on_the_wire() -> None:
    (direct, _), (hosted, _) = both(the_whole_desk, desk)
    assert hosted.provider.appends == []
    assert "conversation.item.truncate" in direct.provider.types()
    assert "conversation.item.truncate" not in hosted.provider.types()
    assert [verb for verb, _ in hosted.provider.verbs] == ["accept", "hangup"]
    accepted = hosted.provider.verbs[0][1]
    assert accepted["instructions"] == "You are the desk."
    assert accepted["audio"]["input"]["turn_detection"]["create_response"] is False
    first = hosted.provider.received[0]
    assert first["type"] == "response.create", "attaching changes nothing of what was accepted"


@flow("talker")
async def talker(call: Call) -> None:
    await call.respond("Tell a long story.")
    await asyncio.Event().wait()


async def hung_up_in_mid_sentence(story: AnyStory) -> CallOutcome:
    story.provider.plans.append(Reply(text="one two three four five six seven eight", audio_ms=8000))
    story.start()
    await eventually(lambda: story.call.floor == "agent")
    await asyncio.sleep(3.0)
    story.caller.caller_hangs_up()
    return await story.ends()


def test_a_caller_who_hangs_up_in_mid_sentence() -> None:
    (direct, a), (hosted, b) = both(hung_up_in_mid_sentence, talker)
    assert (a.kind, a.reason) == (b.kind, b.reason)
    one, other = (next(iter(story.call.ledger)).outcome for story in (direct, hosted))
    assert one is not None
    assert other is not None
    assert (one.kind, one.by) == (other.kind, other.by)
    assert other.by is InterruptedBy.CALLER
    assert abs(one.heard_ms - other.heard_ms) <= 100
    kinds = [{entry["type"] for entry in story.entries} - {"sequencer"} for story in (direct, hosted)]
    assert kinds[0] == kinds[1]
    assert hosted.provider.verbs[-1][0] == "accept", "nothing is left to hang up"


async def ended_by_an_operator(story: AnyStory) -> CallOutcome:
    story.start()
    await eventually(lambda: story.call.floor == "agent")
    story.call.end("operator_hung_up")
    return await story.ends()


def test_an_operator_hangs_up() -> None:
    (_, a), (hosted, b) = both(ended_by_an_operator, talker)
    assert a == b
    assert hosted.provider.verbs[-1][0] == "hangup"


@pytest.mark.parametrize("key", ["1", "9"])
def test_a_key_ends_a_prompt_only_when_the_question_takes_it(key: str) -> None:
    chosen: list[str | None] = []

    @flow("menu")
    async def menu(call: Call) -> None:
        chosen.append(await call.choose("Offer hours or an order.", hours="1", order="2", attempts=2))

    async def press(story: AnyStory) -> CallOutcome:
        story.provider.plans.append(Reply(text="Hours or an order?", audio_ms=3000, gap_s=0.0))
        story.start()
        await eventually(lambda: story.call.floor == "agent")
        await asyncio.sleep(0.5)
        story.caller.press(key)
        return await story.ends()

    (direct, a), (hosted, b) = both(press, menu)
    assert facts(direct, a) == facts(hosted, b)
    assert chosen[0] == chosen[1]


@tool
async def price(item: str) -> str:
    """Look up a price."""
    return f"5 euros for {item}"


async def stock() -> int:
    await asyncio.sleep(4)
    return 3


@flow("shop", numbers=["100"])
async def shop(call: Call) -> None:
    """You are the shop."""
    talk = await call.converse("Greet.", until="goodbye", tools=[price])
    left = await call.fetch(stock, working="One moment.", working_after_s=2)
    await call.hangup(f"{talk.reason}: {left} left.")


async def a_conversation(story: AnyStory) -> CallOutcome:
    """A question, a tool, a reply that is talked over, the last words, a fetch that is bridged."""
    story.provider.plans.extend(
        [
            Reply(text="Hello.", audio_ms=800),
            Reply(audio_ms=0, calls=[("call-1", "price", '{"item": "tea"}')]),
            Reply(text="Five euros for a long story about tea.", audio_ms=9000),
            Reply(text="Goodbye.", audio_ms=700),
        ]
    )
    story.start()
    await eventually(lambda: story.call.floor == "agent")
    await eventually(lambda: story.call.floor == "nobody")
    await story.caller_says("how much is tea")
    await eventually(lambda: story.call.floor == "agent")
    await asyncio.sleep(1.5)
    await story.caller_says("thanks, goodbye")
    return await story.ends()


def test_a_conversation_with_a_tool_and_a_fetch_over_both_attachments() -> None:
    (direct, a), (hosted, b) = both(a_conversation, shop)
    ours, theirs = facts(direct, a), facts(hosted, b)
    for part in ours:
        assert theirs[part] == ours[part], part
    assert a.reason == "completed"
    said = [frame.get("instructions", "") for frame in ours["creates"]]
    assert said[-1].endswith('"said: 3 left."')
    assert sum("One moment." in line for line in said) == 1
    assert ours["tools"] == [("price", True)]
