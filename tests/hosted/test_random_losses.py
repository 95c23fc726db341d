"""Control sockets lost at random points, with barge-ins, keys and operators: every call keeps its word."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import pytest

from tests.hosted.kit import HostedStory, verdict
from tests.kit.scripted_provider import Reply
from tests.kit.virtual_loop import virtual
from voiceagent.call.call import CallState
from voiceagent.call.outcome import OutcomeClass
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.ivr import Call, flow, tool

EFFECTS: list[str] = []


@tool
async def book(table: str) -> str:
    """Book a table."""
    EFFECTS.append(table)
    return "booked"


@flow("desk")
async def desk(call: Call) -> None:
    await call.respond("Greet.")
    await call.choose("Offer hours or an order.", hours="1", order="2", attempts=2)
    await call.respond("Book a table.", tools=[book])
    await call.respond("Tell a story.", interruptible=False)
    await call.hangup("Bye.")


async def trouble(story: HostedStory, rng: random.Random) -> None:
    """Whatever may happen in a call, until it is over."""
    for number in range(rng.randint(2, 8)):
        await asyncio.sleep(rng.uniform(0.0, 4.0))
        if story.call.state is CallState.ENDED:
            return
        match rng.choice(("loss", "loss", "outage", "speech", "key", "operator", "hangup")):
            case "loss":
                story.provider.drop_socket(rng.choice((1006, 1000, 1001, 1011)))
            case "outage":
                story.provider.status = rng.choice((500, 503, 429))
                story.provider.drop_socket()
                await asyncio.sleep(rng.uniform(0.1, 6.0))
                story.provider.status = None
            case "speech":
                await story.caller_says("hours", rng.uniform(0.2, 2.0))
            case "key":
                story.caller.press(rng.choice("129"))
            case "operator":
                with contextlib.suppress(CallEnded, RequestRefused):
                    story.call.trigger("Say something.", {}, request_id=f"op-{number}")
            case _:
                if rng.random() < 0.3:
                    story.caller.caller_hangs_up()


@pytest.mark.parametrize("seed", range(60))
def test_a_call_with_random_losses_keeps_its_promises(seed: int, tmp_path: Path) -> None:
    @virtual
    async def story_of() -> None:
        rng = random.Random(seed)
        EFFECTS.clear()
        story = HostedStory(desk)
        call = Reply(audio_ms=0, calls=[("call-1", "book", '{"table": "4"}')])
        for _ in range(30):
            text = "words " * rng.randint(4, 40)
            story.provider.plans.append(
                Reply(text=text, audio_ms=400 * len(text) // 6, gap_s=rng.choice((0, 0.02, 0.1)))
            )
        story.provider.plans.insert(rng.randint(1, 4), call)
        story.start()
        making = asyncio.ensure_future(trouble(story, rng))
        outcome = await story.ends(600)
        making.cancel()
        await asyncio.wait({making})
        assert making.cancelled() or making.exception() is None, making.exception()

        assert len(story.observed.ended) == 1
        if (
            outcome.kind is OutcomeClass.PROVIDER
        ):  # an outage right after the accept: there never was a session
            assert outcome.reason in ("http_500", "http_503", "http_429", "link_lost"), outcome
            assert story.provider.verbs[-1][0] == "hangup"
            return
        assert outcome.reason in ("completed", "caller_hung_up"), outcome
        assert "open" not in story.kinds()
        assert len(EFFECTS) <= 1, "a tool never runs twice"
        proof = verdict(story, tmp_path)
        assert proof.ok, proof.violations
        assert proof.steps > 10
        await asyncio.sleep(100)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    story_of()
