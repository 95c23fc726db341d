"""A provider that freezes with its socket open: the caller is told, long before the socket times out."""

from __future__ import annotations

import asyncio

from tests.kit.story import Story
from tests.kit.virtual_loop import virtual_run
from voiceagent.call.outcome import CallOutcome
from voiceagent.ivr import Call, flow


@flow("talker")
async def talker(call: Call) -> None:
    await call.respond("Greet the caller.")
    await call.respond("Go on.")
    await call.respond("And on.")
    await asyncio.Event().wait()


def test_a_frozen_provider_is_apologised_for() -> None:
    async def story() -> tuple[CallOutcome, float, list[str]]:
        call = Story(talker)
        call.start()
        await call.agent_speaks()
        call.provider.take = lambda text: None  # type: ignore[method-assign]
        await call.agent_silent()
        frozen = asyncio.get_running_loop().time()
        outcome = await call.ends()
        return outcome, asyncio.get_running_loop().time() - frozen, [entry["type"] for entry in call.entries]

    outcome, seconds, types = virtual_run(story())
    assert (outcome.kind.value, outcome.reason) == ("provider", "provider_lost")
    assert "apology" in types
    assert seconds < 26, "a new session is tried for 10 s"


def test_one_lost_create_is_no_death() -> None:
    async def story() -> list[str]:
        call = Story(talker)
        call.start()
        await call.agent_speaks()
        hears = call.provider.take
        call.provider.take = lambda text: None  # type: ignore[method-assign]
        await call.agent_silent()
        await asyncio.sleep(5)
        call.provider.take = hears  # type: ignore[method-assign]
        await call.agent_speaks()
        await call.agent_silent()
        await call.agent_speaks()
        call.leg.caller_hangs_up()
        await call.ends()
        return [entry["type"] for entry in call.entries]

    assert "apology" not in virtual_run(story())
