"""Tools that the model calls, transfers, and the ways to say goodbye."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import TransferResult
from voiceagent.ivr import Call, Outcome, TransferOutcome, flow, tool


@tool
async def balance(account: str) -> dict[str, str]:
    """Look up a balance."""
    return {"balance": f"42 for {account}"}


@tool(timeout_s=2)
async def slow(account: str) -> str:
    """Takes for ever."""
    await asyncio.sleep(3600)
    return account


def outputs(story: Story) -> list[Any]:
    """What the model was told about its tool calls."""
    return [
        json.loads(event["item"]["output"])
        for event in story.provider.received
        if event["type"] == "conversation.item.create" and event["item"]["type"] == "function_call_output"
    ]


@virtual
async def test_a_tools_result_is_spoken_and_is_the_outcome_of_the_line() -> None:
    spoken: list[Outcome] = []

    @flow("teller")
    async def teller(call: Call) -> None:
        spoken.append(await call.respond("Look up the balance of 4711.", tools=[balance]))

    story = Story(teller)
    story.provider.plans.append(Reply(audio_ms=0, calls=[("call-1", "balance", '{"account": "4711"}')]))
    story.provider.plans.append(Reply(text="It is 42.", audio_ms=800))
    story.start()
    await story.ends()

    assert outputs(story) == [{"balance": "42 for 4711"}]
    assert [one.heard_text for one in spoken] == ["It is 42."]
    declared = story.provider.creates()[0]["response"]["tools"]
    assert declared[0]["name"] == "balance"
    assert declared[0]["parameters"]["required"] == ["account"]
    assert story.observed.tools == [("balance", True)]


@virtual
async def test_two_tool_calls_of_one_reply_get_one_follow_up() -> None:
    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look up both.", tools=[balance])

    story = Story(teller)
    calls = [("c1", "balance", '{"account": "1"}'), ("c2", "balance", '{"account": "2"}')]
    story.provider.plans.append(Reply(audio_ms=0, calls=calls))
    story.start()
    await story.ends()

    assert len(outputs(story)) == 2
    assert len(story.provider.creates()) == 2


@virtual
async def test_bad_arguments_unknown_tools_and_slow_ones_still_get_an_output() -> None:
    @flow("teller")
    async def teller(call: Call) -> None:
        await call.respond("Look up.", tools=[balance, slow])

    story = Story(teller)
    calls = [
        ("c1", "balance", "not json"),
        ("c2", "balance", '{"amount": 3}'),
        ("c3", "rm_rf", "{}"),
        ("c4", "slow", '{"account": "1"}'),
    ]
    story.provider.plans.append(Reply(audio_ms=0, calls=calls))
    story.start()
    await story.ends()

    said = outputs(story)
    assert len(said) == 4
    assert all("error" in output for output in said)
    assert len(story.provider.creates()) == 2


@virtual
async def test_a_transfer_outside_the_allowed_targets_is_refused_and_nothing_is_sent() -> None:
    handed: list[TransferOutcome] = []

    @flow("sender")
    async def sender(call: Call) -> None:
        handed.append(await call.transfer("sip:premium@elsewhere.example"))

    story = Story(sender, config=CallConfig(transfer_targets=("sip:desk@example.com",)))
    story.start()
    outcome = await story.ends()

    assert [(one.accepted, one.status) for one in handed] == [(False, 403)]
    assert not any(line.startswith("transfer") for line in story.leg.log)
    assert outcome.reason == "completed"


@virtual
async def test_an_accepted_transfer_ends_the_call_as_transferred() -> None:
    after: list[str] = []

    @flow("sender")
    async def sender(call: Call) -> None:
        await call.transfer("sip:desk@example.com", announce="One moment.")
        after.append("never")

    story = Story(sender, config=CallConfig(transfer_targets=("sip:desk@*",)))
    story.start()
    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason, outcome.detail) == (
        "success",
        "transferred",
        "sip:desk@example.com",
    )
    assert after == []


@virtual
async def test_a_refused_transfer_comes_back_to_the_flow() -> None:
    handed: list[TransferOutcome] = []
    leg = FakeLeg()
    leg.transfer_result = TransferResult(False, 486, "Busy Here")

    @flow("sender")
    async def sender(call: Call) -> None:
        handed.append(await call.transfer("sip:desk@example.com"))
        await call.say("Nobody is there.")

    story = Story(sender, config=CallConfig(transfer_targets=("sip:*",)), leg=leg)
    story.start()
    await story.ends()

    assert [(one.accepted, one.status) for one in handed] == [(False, 486)]
    assert story.kinds() == ["completed"]


@virtual
async def test_goodbye_is_heard_before_the_call_is_ended() -> None:
    @flow("polite")
    async def polite(call: Call) -> None:
        await call.hangup("Thank you for calling. Goodbye.")

    story = Story(polite)
    story.provider.default = Reply(text="Thank you for calling. Goodbye.", audio_ms=2000)
    story.start()
    outcome = await story.ends()

    assert len(story.leg.played) == 2000 * 8
    assert outcome.reason == "completed"
    said = story.provider.creates()[0]["response"]["instructions"]
    assert said.endswith('"Thank you for calling. Goodbye."')


@virtual
async def test_an_operators_hang_up_ends_the_call_at_once() -> None:
    @flow("talker")
    async def talker(call: Call) -> None:
        await call.respond("Tell a long story.")

    story = Story(talker)
    story.provider.default = Reply(audio_ms=60_000)
    story.start()
    await story.agent_speaks()
    began = asyncio.get_running_loop().time()
    story.call.end("operator_hung_up")
    outcome = await story.ends()

    assert outcome.reason == "operator_hung_up"
    assert asyncio.get_running_loop().time() - began < 1.0
    assert "open" not in story.kinds()
