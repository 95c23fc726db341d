"""Callers who do anything at any time: a conversation, questions, a fetch and tools always come to an end."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual_run
from voiceagent.ivr import Call, Conversation, Digits, FetchFailed, flow, goal, tool
from voiceagent.ivr.conversation import DONE_TOOL

SAID = ("hello", "", "mhm", "what is the price", "goodbye", "four two", "yes", "no", "Tuesday at three")
LIMIT_S = 400.0
"""No call of these lasts longer, whatever the caller does."""


def call_of(dice: random.Random) -> tuple[Story, list[Any]]:
    """Return a call whose flow uses every verb that waits for others, and what came of each."""
    had: list[Any] = []
    delays = [dice.choice((0.0, 0.2, 2.0, 9.0)) for _ in range(40)]

    @tool(timeout_s=4, working="Still looking.", working_after_s=1.5)
    async def price(item: str) -> str:
        """Look up a price."""
        await asyncio.sleep(delays.pop())
        return item

    async def stock() -> int:
        await asyncio.sleep(delays.pop())
        if dice.random() < 0.3:
            raise LookupError("nothing there")
        return 3

    @flow("anything")
    async def anything(call: Call) -> None:
        until = dice.choice(
            (None, "goodbye", goal("the caller has named a day"), lambda text: "price" in text)
        )
        had.append(await call.converse("Greet.", until=until, tools=[price], turns=4, seconds=60, idle_s=4))
        had.append(await call.collect("Ask.", int, digits=Digits(2), attempts=2, confirm="always"))
        try:
            had.append(await call.fetch(stock, timeout_s=3, working="One moment.", working_after_s=1))
        except FetchFailed as error:
            had.append(error)
        had.append(await call.collect("PIN?", secret=True, digits=Digits(3), attempts=1))
        await call.hangup("Bye.")

    return Story(anything), had


def reply(dice: random.Random) -> Reply:
    calls: list[tuple[str, str, str]] = []
    for number in range(dice.choice((0, 0, 0, 1, 2))):
        name = dice.choice(("price", "price", DONE_TOOL, "reboot"))
        arguments = dice.choice(('{"item": "tea"}', "{}", "[", '{"summary": "Tuesday"}'))
        calls.append((f"c{dice.getrandbits(40):x}-{number}", name, arguments))
    return Reply(
        audio_ms=dice.choice((0, 400, 1500, 6000)) if calls else dice.choice((400, 1500, 6000)),
        first_after_s=dice.choice((0.05, 0.3, 1.5)),
        calls=calls,
    )


async def misbehave(story: Story, dice: random.Random) -> None:
    for _ in range(dice.randint(0, 25)):
        await asyncio.sleep(dice.choice((0.0, 0.05, 0.4, 1.0, 3.0, 7.0)))
        if story.call.ended:
            return
        match dice.choice(("say", "say", "say", "press", "press", "operator", "hold", "drop")):
            case "say":
                await story.caller_says(dice.choice(SAID), seconds=dice.choice((0.1, 0.5, 2.0)))
            case "press":
                story.leg.press(dice.choice("0123456789#*") * dice.choice((1, 1, 2)))
            case "operator" if story.call.talking:
                story.call.trigger("A word.", {}, request_id=f"op_{dice.getrandbits(40):x}")
            case "hold":
                story.leg.listener.leg_held(True)
                await asyncio.sleep(dice.choice((0.1, 2.0)))
                story.leg.listener.leg_held(False)
            case "drop" if dice.random() < 0.3:
                story.provider.drop()
            case _:
                pass
    if dice.random() < 0.2 and not story.call.ended:
        story.leg.caller_hangs_up()


@pytest.mark.parametrize("seed", [*range(40), 117])
def test_whatever_the_caller_does_the_call_comes_to_an_end(seed: int) -> None:
    async def play() -> None:
        dice = random.Random(seed)
        story, had = call_of(dice)
        story.provider.plans.extend(reply(dice) for _ in range(30))
        story.start()
        noise = asyncio.create_task(misbehave(story, dice), name="the caller")
        outcome = await story.ends(LIMIT_S)
        noise.cancel()
        await asyncio.gather(noise, return_exceptions=True)

        assert outcome.kind.value in ("success", "caller"), outcome
        assert "open" not in story.kinds()
        assert not any(entry["type"] in ("task.failed", "flow.failed") for entry in story.entries)
        runs = [entry for entry in story.entries if entry["type"] in ("tool.called", "tool.ended")]
        called = sum(entry["type"] == "tool.called" for entry in runs)
        assert len(runs) - called <= called
        if outcome.reason == "completed":
            assert len(had) == 4
        if had:
            assert isinstance(had[0], Conversation)
            assert len(had[0].turns) <= 5

    virtual_run(play())
