"""Races around the end of a call: whoever goes first, it ends on time, once, and no request goes missing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, settle, virtual
from voiceagent.call.call import CallState
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import LegEnd, TransferResult
from voiceagent.errors import CallEnded, ProviderError, RequestRefused
from voiceagent.ivr import Call, Outcome, flow, tool
from voiceagent.realtime.requests import InterruptedBy


def now() -> float:
    return asyncio.get_running_loop().time()


def settled_in_journal(story: Story) -> dict[str, str]:
    """Request id → kind of outcome, as the journal has it."""
    return {
        entry["request_id"]: entry["outcome"].kind.value
        for entry in story.entries
        if entry["type"] == "response.ended"
    }


def nothing_open(story: Story) -> None:
    """Every accepted request has its outcome in ledger and journal, once, before the record's last line."""
    ledger = {entry.request.id: entry.outcome for entry in story.call.ledger}
    assert None not in ledger.values()
    told = [entry["request_id"] for entry in story.entries if entry["type"] == "response.ended"]
    assert sorted(told) == sorted(ledger)
    assert story.entries[-1]["type"] == "call.ended"
    assert len(story.observed.ended) == 1


@flow("talker")
async def talker(call: Call) -> None:
    await call.respond("Tell a long story.")


@virtual
async def test_a_caller_who_hangs_up_during_the_last_words_is_not_waited_for() -> None:
    @flow("short")
    async def short(call: Call) -> None:
        await call.respond("Hello.")

    story = Story(short)
    story.provider.plans.append(Reply(audio_ms=1000))
    story.provider.plans.append(Reply(audio_ms=9000))
    story.start()
    await story.agent_speaks()
    entry = story.call.trigger("A long word of the operator.", {}, request_id="op")
    await eventually(lambda: len(story.provider.creates()) == 2)
    await asyncio.sleep(3)
    left = now()
    story.leg.caller_hangs_up()
    await story.ends()

    assert now() - left < 1.0
    assert entry.outcome is not None
    assert 500 < entry.outcome.heard_ms < 3000, "the record says how much of it was heard"
    nothing_open(story)


@virtual
async def test_an_operators_hang_up_cuts_the_last_words() -> None:
    story = Story(talker)
    story.provider.plans.append(Reply(audio_ms=500))
    story.provider.plans.append(Reply(audio_ms=10_000))
    story.start()
    await story.agent_speaks()
    story.call.trigger("Read the whole contract.", {}, request_id="op")
    await eventually(lambda: len(story.provider.creates()) == 2)
    await story.agent_speaks()
    left = now()
    story.call.end("operator_hung_up")
    with pytest.raises(CallEnded):
        story.call.trigger("More.", {}, request_id="late")
    await story.ends()

    assert now() - left < 1.0
    nothing_open(story)


@virtual
async def test_a_flow_that_refuses_to_end_does_not_keep_the_callers_line_open() -> None:
    @flow("stubborn")
    async def stubborn(call: Call) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if left:
                    raise

    left: list[str] = []
    story = Story(stubborn, config=CallConfig(flow_cleanup_s=2.0))
    story.start()
    await asyncio.sleep(1)
    story.call.end("operator_hung_up")
    await asyncio.sleep(0.1)
    assert story.leg.log[-1] == "hang_up operator_hung_up", "the BYE waits for no flow"
    outcome = await story.ends(10)
    left.append("now it may end")
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await settle()

    assert outcome.reason == "operator_hung_up"
    assert any(entry["type"] == "task.stuck" for entry in story.entries)


@virtual
async def test_a_flow_that_tries_for_ever_cannot_hold_the_loop_when_the_provider_is_lost() -> None:
    tries = 0

    @flow("insistent")
    async def insistent(call: Call) -> None:
        nonlocal tries
        while True:
            tries += 1
            try:
                await call.respond("Speak.")
            except CallEnded:
                continue

    story = Story(insistent)
    story.provider.default = Reply(audio_ms=5000)
    story.start()
    await story.agent_speaks()
    story.provider_gone()
    outcome = await story.ends()

    assert outcome.reason == "provider_lost"
    assert tries < 10, "cancelled at once, not spinning through the apology"
    nothing_open(story)


@virtual
async def test_after_the_callers_bye_nothing_can_be_said_not_even_in_finally() -> None:
    refused: list[str] = []

    @flow("polite")
    async def polite(call: Call) -> None:
        try:
            await call.respond("Tell a long story.")
        finally:
            try:
                await call.say("Goodbye.")
            except CallEnded:
                refused.append("over")

    story = Story(polite)
    story.provider.default = Reply(audio_ms=20_000)
    story.start()
    await story.agent_speaks()
    story.leg.caller_hangs_up()
    left = now()
    await story.ends()

    assert refused == ["over"]
    assert now() - left < 0.5
    assert len(story.provider.creates()) == 1


@virtual
async def test_what_was_heard_until_the_bye_is_in_the_record() -> None:
    story = Story(talker)
    story.provider.default = Reply(text="one two three four five six seven eight", audio_ms=8000)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(2)
    story.leg.caller_hangs_up()
    await story.ends()

    outcome = next(iter(story.call.ledger)).outcome
    assert outcome is not None
    assert 1500 < outcome.heard_ms < 2500
    assert outcome.by is InterruptedBy.CALLER
    assert outcome.heard_text.startswith("one")
    assert "eight" not in outcome.heard_text
    assert story.call.barge_ins == 0
    nothing_open(story)


@virtual
async def test_a_fault_of_ours_while_connecting_is_apologised_for() -> None:
    story = Story(talker, refuse=ValueError("a bug"))  # type: ignore[arg-type]
    story.start()
    outcome = await story.ends()

    assert (outcome.kind.value, outcome.reason) == ("ours", "internal")
    assert len(story.leg.played) > 8000
    nothing_open(story)


@virtual
async def test_a_provider_lost_before_the_answer_is_answered_with_the_apology() -> None:
    story = Story(talker)
    original = story.leg.prepare

    async def prepare() -> None:
        await original()

        def drop_soon(event: dict[str, Any]) -> None:
            if event["type"] == "session.update":
                asyncio.get_running_loop().call_soon(story.provider.drop, 1006, "gone")

        story.provider.on_client_event = drop_soon

    story.leg.prepare = prepare  # type: ignore[method-assign]
    story.start()
    outcome = await story.ends()

    assert outcome.kind.value == "provider"
    assert "answer" in story.leg.log
    assert len(story.leg.played) > 8000


@virtual
async def test_an_apology_is_not_played_to_nobody() -> None:
    story = Story(talker)
    story.provider.default = Reply(audio_ms=10_000)
    story.start()
    await story.agent_speaks()
    story.call.ending.provider_lost("gone")
    story.leg.caller_hangs_up()
    left = now()
    outcome = await story.ends()

    assert outcome.reason == "provider_lost", "whatever came first is the reason"
    assert now() - left < 0.5
    assert not any(entry["type"].startswith("apology") for entry in story.entries)


@virtual
async def test_a_call_stopped_while_it_is_set_up_gets_503_and_not_a_decline() -> None:
    from voiceagent.call.outcome import OutcomeClass

    story = Story(talker, connect_s=2.0)
    story.start()
    story.call.end("shut_down", kind=OutcomeClass.OURS)  # even before the call's task has begun
    outcome = await story.ends()

    assert outcome.reason == "shut_down"
    assert story.leg.log == ["prepare", "reject 503"]


@virtual
async def test_a_cancelled_call_still_closes_everything_however_often_it_is_cancelled() -> None:
    story = Story(talker)
    story.provider.default = Reply(audio_ms=10_000)
    story.start()
    await story.agent_speaks()
    task = story._run  # pyright: ignore[reportPrivateUsage]
    assert task is not None
    task.cancel()
    await settle(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await story.ends()

    assert story.call.state is CallState.ENDED
    assert story.leg.log[-1] == "hang_up shut_down"
    assert story.call.outcome is not None
    assert story.call.outcome.reason == "shut_down"
    nothing_open(story)


@virtual
async def test_a_leg_or_session_that_fails_to_close_does_not_cost_the_record() -> None:
    class Broken(FakeLeg):
        async def hang_up(self, reason: str = "") -> None:
            await super().hang_up(reason)
            raise RuntimeError("no BYE today")

    story = Story(talker, leg=Broken())
    story.start()
    await story.ends()

    failed = [entry for entry in story.entries if entry["type"] == "close.failed"]
    assert [entry["part"] for entry in failed] == ["leg"]
    nothing_open(story)


@virtual
async def test_an_ended_call_keeps_no_session_and_its_journal_is_closed() -> None:
    story = Story(talker)
    story.start()
    await story.ends()
    seconds = story.call.seconds
    written = len(story.entries)
    await asyncio.sleep(5)
    story.leg.listener.leg_digit("5")
    story.leg.listener.leg_held(True)

    assert story.call.session is None
    assert story.call.speech is None
    assert story.call.seconds == seconds
    assert len(story.entries) == written
    assert not any(entry["type"] == "provider.lost" for entry in story.entries), "we closed it ourselves"


@virtual
async def test_a_trigger_before_the_answer_is_refused_as_such() -> None:
    story = Story(talker, connect_s=1.0)
    story.start()
    await settle()
    with pytest.raises(RequestRefused, match="not answered yet"):
        story.call.trigger("Hello.", {}, request_id="early")
    await story.ends()


@virtual
async def test_a_transfer_under_way_outlives_the_provider() -> None:
    class Slow(FakeLeg):
        async def transfer(self, target: str, *, timeout_s: float, progress: Any = None) -> TransferResult:
            await super().transfer(target, timeout_s=timeout_s)
            await asyncio.sleep(3)
            return self.transfer_result

    @flow("sender")
    async def sender(call: Call) -> None:
        await call.transfer("sip:desk@example.com")
        await call.say("Nobody is there.")

    async def play(result: TransferResult) -> Story:
        leg = Slow()
        leg.transfer_result = result
        story = Story(sender, config=CallConfig(transfer_targets=("sip:*",)), leg=leg)
        story.start()
        await asyncio.sleep(1)
        story.provider_gone()
        await story.ends()
        return story

    accepted = await play(TransferResult(True, 200, "OK"))
    assert accepted.call.outcome is not None
    assert accepted.call.outcome.reason == "transferred"
    assert len(accepted.leg.played) == 0

    refused = await play(TransferResult(False, 486, "Busy Here"))
    assert refused.call.outcome is not None
    assert refused.call.outcome.reason == "provider_lost"
    assert len(refused.leg.played) > 8000, "the caller, who is still there, hears the apology"


@tool
async def quick(account: str) -> str:
    """Answer at once."""
    return account


@tool(timeout_s=300)
async def endless(account: str) -> str:
    """Never answer."""
    await asyncio.sleep(3600)
    return account


def outputs(story: Story) -> list[Mapping[str, Any]]:
    return [
        event["item"]
        for event in story.provider.received
        if event["type"] == "conversation.item.create" and event["item"]["type"] == "function_call_output"
    ]


@virtual
async def test_a_flow_that_gives_a_tool_up_leaves_neither_call_nor_goodbye_hanging() -> None:
    @flow("impatient")
    async def impatient(call: Call) -> None:
        try:
            async with asyncio.timeout(5):
                await call.respond("Look both up.", tools=[quick, endless])
        except TimeoutError:
            await call.hangup("Goodbye.")

    story = Story(impatient)
    calls = [("c1", "quick", '{"account": "1"}'), ("c2", "endless", '{"account": "2"}')]
    story.provider.plans.append(Reply(audio_ms=0, calls=calls))
    story.provider.default = Reply(text="Goodbye.", audio_ms=800)
    story.start()
    await story.ends()

    assert [item["call_id"] for item in outputs(story)] == ["c1", "c2"], "every call has its output"
    assert '"the tool was stopped"' in outputs(story)[1]["output"]
    assert len(story.provider.creates()) == 2, "the answer that nobody waits for is not spoken"
    assert story.call.seconds < 8, "the goodbye did not wait for the follow-up"
    nothing_open(story)


@virtual
async def test_a_tool_whose_result_is_no_json_costs_one_output_and_not_the_call() -> None:
    @tool
    async def odd(account: str) -> Any:
        """Return what JSON cannot hold."""
        return {(1, 2): account}

    spoken: list[Outcome] = []

    @flow("teller")
    async def teller(call: Call) -> None:
        spoken.append(await call.respond("Look up.", tools=[odd]))

    story = Story(teller)
    story.provider.plans.append(Reply(audio_ms=0, calls=[("c1", "odd", '{"account": "1"}')]))
    story.start()
    outcome = await story.ends()

    assert outcome.reason == "completed"
    assert "error" in outputs(story)[0]["output"]
    assert spoken[0].completed


@virtual
async def test_a_request_after_the_loss_of_the_provider_is_settled_like_any_other() -> None:
    story = Story(talker)
    story.provider.default = Reply(audio_ms=5000)
    story.start()
    await story.agent_speaks()
    speech = story.call.speech
    assert speech is not None
    assert story.call.session is not None
    await story.call.session.model.close("elsewhere")
    speech.closed = False  # as if the race were lost
    story.call.speech = speech
    from voiceagent.realtime.requests import Origin

    handle = speech.submit("Hello?", line="Hello?", origin=Origin.OPERATOR, metadata={})
    assert handle.done
    await story.ends()
    assert settled_in_journal(story)[handle.id] == "lost"
    nothing_open(story)


@pytest.mark.parametrize("end", [LegEnd.NO_MEDIA, LegEnd.NO_ACK, LegEnd.FAILED, LegEnd.TRANSFERRED])
def test_every_way_a_leg_ends_ends_the_call(end: LegEnd) -> None:
    from tests.kit.virtual_loop import virtual_run

    async def play() -> None:
        story = Story(talker)
        story.provider.default = Reply(audio_ms=60_000)
        story.start()
        await story.agent_speaks()
        story.leg.caller_hangs_up(end)
        await story.ends(2)
        nothing_open(story)

    virtual_run(play())


@virtual
async def test_a_refused_session_is_accounted_for_without_a_session() -> None:
    story = Story(talker, refuse=ProviderError("no", code="http_500"))
    story.start()
    await story.ends()
    nothing_open(story)
