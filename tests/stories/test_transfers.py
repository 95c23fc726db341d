"""Transfers, holds and successions of whole calls in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.kit.fake_leg import FakeCallee, FakeLeg
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import Leg, LegCapabilities, LegEnd, LegInfo, TransferResult
from voiceagent.errors import SipError
from voiceagent.ivr import Call, Flow, TransferOutcome, flow

DESK = "sip:desk@example.com"
CONFIG = CallConfig(transfer_targets=(DESK,))


class Exchange:
    """Dials for the call; ``callee`` is who was called last."""

    def __init__(self, **callee: Any) -> None:
        self._callee = callee
        self.headers: Sequence[tuple[str, str]] = ()
        self.callee: FakeCallee | None = None

    def dial(self, target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        assert for_leg.audio_format == "audio/pcmu"
        self.headers = headers
        self.callee = FakeCallee(target, **self._callee)
        return self.callee


def transferring(outcomes: list[TransferOutcome], **how: Any) -> Flow:
    @flow("transferring")
    async def transferring(call: Call) -> None:
        outcomes.append(await call.transfer(DESK, **how))
        await call.say("Nobody is there.")

    return transferring


def types(story: Story) -> list[str]:
    return [entry["type"] for entry in story.entries]


def sent_audio(story: Story) -> list[int]:
    return story.provider.appends


@virtual
async def test_blind_every_step_is_told_and_the_caller_is_let_go() -> None:
    story = Story(transferring([]), config=CONFIG)
    story.leg.transfer_result = TransferResult(
        True, 200, "OK", ((202, "Accepted"), (180, "Ringing"), (200, "OK"))
    )
    story.start()
    outcome = await story.ends()
    assert (outcome.reason, outcome.status) == ("transferred", 200)
    told = [entry["status"] for entry in story.entries if entry["type"] == "transfer.progress"]
    assert told == [202, 180, 200]
    assert story.leg.log[-2:] == [f"transfer {DESK}", "hang_up transferred"]


@virtual
async def test_blind_and_refused_the_flow_goes_on_and_knows_why() -> None:
    outcomes: list[TransferOutcome] = []
    story = Story(transferring(outcomes), config=CONFIG)
    story.leg.transfer_result = TransferResult(
        False, 486, "Busy Here", ((202, "Accepted"), (486, "Busy Here"))
    )
    story.start()
    assert (await story.ends()).reason == "completed"
    assert outcomes == [TransferOutcome(False, 486, "Busy Here", ((202, "Accepted"), (486, "Busy Here")))]
    assert story.kinds() == ["completed"]


@virtual
async def test_attended_with_a_word_to_the_target() -> None:
    exchange = Exchange()
    story = Story(
        transferring([], attended=True, announce="One moment.", whisper="A caller about order nine."),
        config=CONFIG,
        dial=exchange.dial,
    )
    story.provider.default = Reply(audio_ms=1000)
    story.start()
    outcome = await story.ends()
    assert outcome.reason == "transferred"
    callee = exchange.callee
    assert callee is not None
    assert story.leg.log[-3:] == ["hold", f"transfer_to {DESK}", "hang_up transferred"]
    assert callee.log == ["prepare", "answer", "hang_up transferred"]
    assert len(story.leg.played) == 8000, "the caller heard the announcement and no more"
    assert len(callee.played) == 8000, "the target heard the whisper"
    assert story.kinds() == ["completed", "completed"]


@virtual
@pytest.mark.parametrize("callee", [{"refuse": 486}, {"after_s": 60.0}])
async def test_attended_and_nobody_answers_the_caller_is_taken_back(callee: dict[str, Any]) -> None:
    outcomes: list[TransferOutcome] = []
    exchange = Exchange(**callee)
    story = Story(transferring(outcomes, attended=True), config=CONFIG, dial=exchange.dial)
    story.start()
    assert (await story.ends()).reason == "completed"
    assert [one.status for one in outcomes] == [486 if "refuse" in callee else 408]
    assert (180, "Ringing") in outcomes[0].steps
    assert [line for line in story.leg.log if line in ("hold", "resume")] == ["hold", "resume"]
    assert story.kinds() == ["completed"], "the flow speaks again after the hold"
    assert exchange.callee is not None
    assert exchange.callee.ended


@virtual
async def test_attended_and_the_callers_side_refuses_to_join() -> None:
    outcomes: list[TransferOutcome] = []
    exchange = Exchange()
    story = Story(transferring(outcomes, attended=True), config=CONFIG, dial=exchange.dial)
    story.leg.transfer_result = TransferResult(False, 405, "transfer not supported")
    story.start()
    assert (await story.ends()).reason == "completed"
    assert [one.status for one in outcomes] == [405]
    assert exchange.callee is not None
    assert exchange.callee.log[-1] == "hang_up consultation ended"
    assert story.leg.log[-2] == "resume"


@virtual
async def test_attended_and_the_caller_hangs_up_meanwhile() -> None:
    exchange = Exchange(after_s=30.0)
    story = Story(transferring([], attended=True), config=CONFIG, dial=exchange.dial)
    story.start()
    await eventually(lambda: exchange.callee is not None)
    await asyncio.sleep(1)
    story.leg.caller_hangs_up()
    assert (await story.ends()).reason == "caller_hung_up"
    assert exchange.callee is not None
    assert exchange.callee.ended


@virtual
@pytest.mark.parametrize("attended", [False, True])
async def test_a_target_that_is_not_allowed_is_not_called(attended: bool) -> None:
    outcomes: list[TransferOutcome] = []
    exchange = Exchange()
    story = Story(transferring(outcomes, attended=attended), dial=exchange.dial)
    story.start()
    await story.ends()
    assert [one.status for one in outcomes] == [403]
    refused = next(entry for entry in story.entries if entry["type"] == "transfer.refused")
    assert (refused["target"], refused["status"]) == (DESK, 403)
    assert refused["reason"] == f"{DESK} is not on the allow-list (call.transfer_targets)"
    assert exchange.callee is None
    assert not any("transfer" in line or line == "hold" for line in story.leg.log)


@virtual
async def test_a_call_without_a_second_line_cannot_consult() -> None:
    outcomes: list[TransferOutcome] = []
    story = Story(transferring(outcomes, attended=True), config=CONFIG, dial=Exchange().dial)
    story.leg.capabilities = LegCapabilities(can_consult=False)
    story.start()
    await story.ends()
    assert [one.status for one in outcomes] == [501]
    assert "transfer.refused" in types(story)


@virtual
async def test_a_whisper_that_fails_takes_the_caller_back_and_tells_the_flow() -> None:
    exchange = Exchange()

    @flow("whisperer")
    async def whisperer(call: Call) -> None:
        async def broken() -> None:
            raise ZeroDivisionError("a fault of the flow")

        await story.call.transfers.attended(DESK, 20.0, broken)

    story = Story(whisperer, config=CONFIG, dial=exchange.dial)
    story.start()
    outcome = await story.ends()
    assert (outcome.reason, outcome.detail) == ("flow_failed", "ZeroDivisionError: a fault of the flow")
    assert exchange.callee is not None
    assert exchange.callee.log[-1] == "hang_up consultation ended"
    assert "resume" in story.leg.log


@virtual
async def test_a_whisper_ends_with_the_callers_call() -> None:
    exchange, whispered = Exchange(), asyncio.Event()

    @flow("whisperer")
    async def whisperer(call: Call) -> None:
        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                whispered.set()

        await story.call.transfers.attended(DESK, 20.0, endless)

    story = Story(whisperer, config=CONFIG, dial=exchange.dial)
    story.start()
    await asyncio.sleep(5)
    assert story.call.holding.consulting
    story.leg.caller_hangs_up()
    assert (await story.ends()).reason == "caller_hung_up"
    assert exchange.callee is not None
    assert exchange.callee.log[-1] == "hang_up consultation ended"
    assert whispered.is_set(), "nothing goes on behind the call's back"


# Hold.


@virtual
async def test_hold_stops_the_voice_and_asks_the_model_for_nothing() -> None:
    @flow("holder")
    async def holder(call: Call) -> None:
        assert await call.hold()
        await asyncio.sleep(20)
        assert await call.resume()
        await call.say("Thank you for waiting.")

    story = Story(holder)
    story.start()
    await asyncio.sleep(5)
    assert story.call.held
    sent = len(sent_audio(story))
    story.leg.listener.leg_audio(bytes(160))
    await asyncio.sleep(1)
    assert len(sent_audio(story)) == sent, "nobody listens to the music"
    assert story.provider.creates() == []
    await story.ends()
    assert story.kinds() == ["completed"]
    assert [line for line in story.leg.log if line in ("hold", "resume")] == ["hold", "resume"]


@virtual
async def test_both_sides_hold_and_the_line_waits_for_both() -> None:
    @flow("holder")
    async def holder(call: Call) -> None:
        await call.hold()
        await asyncio.sleep(10)
        await call.resume()
        assert call.held
        await call.until_back()
        await call.say("Here again.")

    story = Story(holder)
    story.start()
    await asyncio.sleep(2)
    story.leg.listener.leg_held(True)
    await asyncio.sleep(20)
    assert story.provider.creates() == []
    assert story.call.held
    story.leg.listener.leg_held(False)
    await story.ends()
    assert story.kinds() == ["completed"]


@virtual
async def test_a_phone_that_refuses_the_hold_hears_the_music_all_the_same() -> None:
    agreed: list[bool] = []

    @flow("holder")
    async def holder(call: Call) -> None:
        agreed.append(await call.hold())
        await asyncio.sleep(1)
        agreed.append(await call.resume())

    story = Story(holder)
    story.leg.agrees_to_hold = False
    story.start()
    await story.ends()
    assert agreed == [False, False]
    assert "call.held" in types(story)


@virtual
async def test_digits_are_sent_by_the_leg() -> None:
    @flow("dialler")
    async def dialler(call: Call) -> None:
        await call.send_digits("12#")

    story = Story(dialler)
    story.start()
    await story.ends()
    assert "digits 12#" in story.leg.log


# The call goes on with somebody else.


class Asked:
    """A REFER of the other side."""

    def __init__(self, target: str = DESK) -> None:
        self.target = target
        self.headers = (("Referred-By", "<sip:boss@x>"),)
        self.log: list[Any] = []

    def accept(self) -> None:
        self.log.append("accept")

    def refuse(self, status: int) -> None:
        self.log.append(status)

    def tell(self, status: int, reason: str) -> None:
        self.log.append((status, reason))


@flow("talker")
async def talker(call: Call) -> None:
    await call.say("Hello.")
    await asyncio.sleep(30)
    await call.say("Still the same conversation.")


@virtual
async def test_the_agent_is_transferred_and_the_conversation_goes_on() -> None:
    exchange = Exchange()
    story = Story(talker, config=CONFIG, dial=exchange.dial)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    asked = Asked()
    story.leg.listener.leg_refer(asked)
    await story.ends()
    assert asked.log == ["accept", (180, "Ringing"), (200, "OK")]
    assert exchange.headers == asked.headers
    assert story.leg.log[-1] == "hang_up transferred"
    assert exchange.callee is not None
    assert exchange.callee.played, "the second line was heard by the new party"
    assert exchange.callee.log[-1].startswith("hang_up")
    changed = next(entry for entry in story.entries if entry["type"] == "call.party_changed")
    assert (changed["before"], changed["caller"]) == ("alice", DESK)
    assert story.call.info.called == "100"
    assert story.kinds() == ["completed", "completed"]


@virtual
async def test_the_referrer_does_not_wait_and_the_call_goes_on() -> None:
    exchange = Exchange(after_s=5.0)
    story = Story(talker, config=CONFIG, dial=exchange.dial)
    story.start()
    await asyncio.sleep(5)
    asked = Asked()
    story.leg.listener.leg_refer(asked)
    await asyncio.sleep(1)
    story.leg.caller_hangs_up()
    await asyncio.sleep(1)
    assert story.call.held, "nobody is on the line for the moment"
    await story.ends()
    assert exchange.callee is not None
    assert exchange.callee.played
    assert story.kinds() == ["completed", "completed"]


@virtual
async def test_the_referrer_has_gone_and_the_target_is_busy() -> None:
    exchange = Exchange(after_s=5.0, refuse=486)
    story = Story(talker, config=CONFIG, dial=exchange.dial)
    story.start()
    await asyncio.sleep(5)
    asked = Asked()
    story.leg.listener.leg_refer(asked)
    await asyncio.sleep(1)
    story.leg.caller_hangs_up()
    assert (await story.ends()).reason == "caller_hung_up"
    assert asked.log[-1] == (486, "Failed")


@virtual
async def test_the_target_is_busy_and_the_call_goes_on_as_it_was() -> None:
    exchange = Exchange(refuse=486)
    story = Story(talker, config=CONFIG, dial=exchange.dial)
    story.start()
    await asyncio.sleep(5)
    asked = Asked()
    story.leg.listener.leg_refer(asked)
    second = Asked()
    story.leg.listener.leg_refer(second)
    await story.ends()
    assert asked.log == ["accept", (180, "Ringing"), (486, "Failed")]
    assert second.log == [491]
    assert "call.party_changed" not in types(story)
    assert story.kinds() == ["completed", "completed"]


@virtual
@pytest.mark.parametrize(("target", "dial"), [("sip:anybody@example.com", True), (DESK, False)])
async def test_nobody_sends_the_agent_anywhere_it_may_not_go(target: str, dial: bool) -> None:
    exchange = Exchange()
    story = Story(talker, config=CONFIG, dial=exchange.dial if dial else None)
    story.start()
    await asyncio.sleep(5)
    asked = Asked(target)
    story.leg.listener.leg_refer(asked)
    assert asked.log == [403]
    received = next(entry for entry in story.entries if entry["type"] == "refer.received")
    assert (received["status"], bool(received["reason"])) == (403, True)
    story.leg.caller_hangs_up()
    await story.ends()


def successor(fail: SipError | None = None) -> FakeLeg:
    leg = FakeLeg(fail=fail)
    leg.info = LegInfo(id="leg-2", kind="direct", caller="bob", called="100", protocol_call_id="c2@test")
    return leg


@virtual
async def test_somebody_takes_the_callers_place() -> None:
    story, bob = Story(talker), successor()
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    assert story.leg.listener.leg_replaced(bob)
    await story.ends()
    assert story.leg.log[-1] == "hang_up replaced"
    assert bob.log[:2] == ["prepare", "answer"]
    assert bob.played
    assert story.call.info.caller == "bob"
    assert story.kinds() == ["completed", "completed"]


@virtual
async def test_the_voice_is_cut_when_the_party_changes_in_mid_sentence() -> None:
    story, bob = Story(talker), successor()
    story.provider.plans.append(Reply(audio_ms=5000))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1)
    assert story.leg.listener.leg_replaced(bob)
    await story.ends()
    assert story.kinds() == ["interrupted", "completed"]
    assert bob.log[-1].startswith("hang_up")


@virtual
async def test_a_successor_without_a_common_codec_changes_nothing() -> None:
    story, bob = Story(talker), successor(SipError("nothing in common", status=488))
    story.start()
    await asyncio.sleep(5)
    assert story.leg.listener.leg_replaced(bob)
    await story.ends()
    assert bob.log == ["prepare", "reject 488"]
    assert story.call.info.caller == "alice"
    assert story.kinds() == ["completed", "completed"]


@virtual
async def test_the_end_of_the_call_ends_a_call_that_is_being_placed_for_it() -> None:
    exchange = Exchange(after_s=50.0)
    story = Story(talker, config=CONFIG, dial=exchange.dial)
    story.start()
    await asyncio.sleep(5)
    story.leg.listener.leg_refer(Asked())
    await asyncio.sleep(1)
    story.call.end("operator_hung_up")
    await story.ends()
    assert exchange.callee is not None
    assert exchange.callee.ended
    assert story.leg.log[-1].startswith("hang_up")
    assert LegEnd.TRANSFERRED not in story.leg.log


@virtual
async def test_the_end_of_the_call_refuses_a_successor_that_is_not_there_yet() -> None:
    class Slow(FakeLeg):
        async def prepare(self) -> None:
            self.log.append("prepare")
            await asyncio.sleep(50)

    story, bob = Story(talker), Slow()
    story.start()
    await asyncio.sleep(5)
    assert story.leg.listener.leg_replaced(bob)
    await asyncio.sleep(1)
    story.call.end("operator_hung_up")
    await story.ends()
    assert bob.log == ["prepare", "reject 487"]
