"""Fifty calls, each losing its provider at random moments: what every one of them must have kept."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.survival import Ear, entries, now, replayed, shown, whole
from tests.kit.virtual_loop import virtual_run
from voiceagent.ivr import Call, Outcome, flow, option, tool
from voiceagent.realtime.afterwords import BARELY_MS
from voiceagent.realtime.sequencer_io import ResponseCreated

CALLS = 50
WORDS = "one two three four five six seven eight nine ten"


class Truth:
    """What one call's flow and tools went through."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.spoken: list[Outcome] = []


async def play(seed: int) -> tuple[Story, Ear, Truth, list[float]]:
    chance = random.Random(seed)
    truth = Truth()

    @tool
    async def look_up(account: str) -> str:
        """Look an account up."""
        truth.runs[account] += 1
        await asyncio.sleep(chance.choice((0.0, 0.3, 1.5)))
        return f"balance {account}"

    async def says(call: Call, line: str, **more: Any) -> None:
        truth.spoken.append(await call.respond(line, **more))

    @flow("teller", instructions="Be brief.")
    async def teller(call: Call) -> None:
        await says(call, "Greet the caller.")
        await call.choose("Offer billing or a person.", billing=option("1", "my bill"), person="0")
        for account in range(3):
            await says(call, f"Look up {account}.", tools=[look_up])
        await says(call, "Goodbye.")

    story = Story(teller)
    calls = [0]

    def plan(event: dict[str, Any]) -> None:
        """Give each create the reply that it asks for, on whatever link it comes."""
        if event["type"] != "response.create":
            return
        line = event["response"].get("instructions", "").split("\n")[-1]
        reply = Reply(
            text=f"{WORDS} {calls[0]}",
            audio_ms=chance.choice((300, 900, 2500)),
            gap_s=chance.choice((0.001, 0.02, 0.15)),
        )
        if line.startswith("Look up"):
            calls[0] += 1
            account = f"{line[8:-1]}-{calls[0]}"
            reply = Reply(
                text="A moment.",
                audio_ms=chance.choice((0, 400, 1500)),
                gap_s=0.05,
                calls=[(f"c{calls[0]}", "look_up", f'{{"account": "{account}"}}')],
            )
        story.provider.plans.clear()
        story.provider.plans.append(reply)

    story.provider.on_client_event = plan
    ear = Ear(story)
    kills: list[float] = []

    async def kill() -> None:
        for _ in range(chance.choice((1, 1, 2, 3))):
            await asyncio.sleep(chance.uniform(0.01, 7.0))
            if story.call.outcome is None and story.provider._deliver is not None:
                kills.append(now())
                story.provider.drop(chance.choice((1001, 1006, 1011)), "killed")

    async def answer() -> None:
        while not calls[0] and story.call.outcome is None:
            await asyncio.sleep(3)
            await story.caller_says("my bill", 0.5)

    loop = asyncio.get_running_loop()
    helpers = [loop.create_task(kill(), name="killer"), loop.create_task(answer(), name="caller")]
    story.start()
    await story.ends(120)
    for task in helpers:
        task.cancel()
    await asyncio.gather(*helpers, return_exceptions=True)
    return story, ear, truth, kills


def check(story: Story, ear: Ear, truth: Truth) -> None:
    whole(story)
    assert all(count == 1 for count in truth.runs.values()), "no tool twice"
    for entry in entries(story, "recovery.restored"):
        assert entry["seconds"] <= 3.0
    assert story.call.outcome is not None
    assert story.call.outcome.reason == "completed"
    for entry in story.call.ledger:
        outcome = entry.outcome
        assert outcome is not None
        if outcome.kind.value == "lost":
            assert outcome.heard_ms > 0 or outcome.code == "link_lost_again"
    tries, restored = entries(story, "recovery.attempt"), entries(story, "recovery.restored")
    if restored and tries[-1]["t"] <= restored[-1]["t"]:  # else the call's end was quicker than the last try
        remembered(story)


def remembered(story: Story) -> None:
    """The newest session was told all that was heard to its end before the last loss, in order."""
    restored_at = entries(story, "recovery.restored")[-1]["t"]
    lost_at = max(entry["t"] for entry in entries(story, "provider.lost") if entry["t"] < restored_at)
    heard = [
        entry["outcome"].heard_text
        for entry in entries(story, "response.ended")
        if entry["t"] < lost_at and entry["outcome"].completed and entry["outcome"].heard_text
    ]
    told = [text for role, text in shown(replayed(story)) if role == "assistant"]
    position = 0
    for text in heard:
        assert text in told[position:], (text, told)
        position += told[position:].index(text) + 1
    outputs = Counter(item["call_id"] for item in replayed(story) if item["type"] == "function_call_output")
    made = Counter(item["call_id"] for item in replayed(story) if item["type"] == "function_call")
    assert all(count == 1 for count in (*outputs.values(), *made.values()))
    assert set(made) <= set(outputs), "what was called was answered, on this link or before"


def spoken_twice(story: Story, ear: Ear) -> list[str]:
    """Requests that were said again although more than a scrap of them had been heard."""
    request_of = {
        entry["body"].response_id: (entry["body"].metadata or {}).get("va.req", "").split("~")[0]
        for entry in entries(story, "sequencer")
        if isinstance(entry["body"], ResponseCreated)
    }
    times = Counter(request_of[response_id] for response_id, ms in ear.heard if ms > BARELY_MS)
    return [request_id for request_id, count in times.items() if count > 1]


@pytest.mark.parametrize("block", range(5))
def test_random_kills(block: int) -> None:
    losses = 0
    for seed in range(block * CALLS // 5, (block + 1) * CALLS // 5):
        story, ear, truth, kills = virtual_run(play(seed))
        losses += len(entries(story, "provider.lost"))
        try:
            check(story, ear, truth)
            assert not spoken_twice(story, ear)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, killed at {kills}: {error}") from error
    assert losses >= CALLS // 10
