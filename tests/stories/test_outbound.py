"""Calls that we place, in virtual time: it rings, somebody answers or not, the agent speaks at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.kit.fake_leg import FakeLeg
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.call.call import CallState
from voiceagent.call.config import CallConfig
from voiceagent.call.leg import LegEnd
from voiceagent.call.outcome import OutcomeClass
from voiceagent.errors import CallEnded, ProviderError, RequestRefused
from voiceagent.ivr import Call, flow


@flow("reminder")
async def reminder(call: Call) -> None:
    """You remind people of appointments."""
    assert (call.direction, call.dialled) == ("outbound", "sip:100@callee.example")
    await call.respond(f"Remind them of {call.metadata.get('what', 'something')}.")


def placed(**kwargs: object) -> Story:
    return Story(reminder, leg=FakeLeg(direction="outbound"), metadata={"what": "the dentist"}, **kwargs)  # type: ignore[arg-type]


def kinds(story: Story) -> list[str]:
    return [str(entry["type"]) for entry in story.entries]


@virtual
async def test_the_session_is_open_before_anybody_answers_and_the_first_words_follow_the_answer() -> None:
    story = placed(connect_s=1.0)
    story.start()
    await eventually(lambda: story.call.session is not None)
    assert story.call.state is CallState.DIALLING
    story.leg.callee(180)
    assert story.call.state is CallState.RINGING
    await asyncio.sleep(20)
    assert story.provider.creates() == []  # nobody is there yet to be spoken to
    answered = asyncio.get_running_loop().time()
    story.leg.callee(200)
    await story.creates(1)
    assert asyncio.get_running_loop().time() <= answered + 0.02  # one look of this test at the clock
    assert (await story.ends()).reason == "completed"
    order = [kind for kind in kinds(story) if kind in ("call.progress", "call.answered", "response.ended")]
    assert order == ["call.progress", "call.answered", "response.ended"]
    assert story.entries[0]["type"] == "call.offered"
    assert story.entries[0]["direction"] == "outbound"
    assert story.observed.states[:3] == ["dialling", "ringing", "talking"]
    assert story.call.first_words_s is not None
    assert story.entries[-1]["first_words_s"] == pytest.approx(story.call.first_words_s, abs=0.001)


@virtual
async def test_metadata_reaches_the_flow_and_every_response_as_strings() -> None:
    story = placed()
    story.start()
    await eventually(lambda: story.call.session is not None)
    story.leg.callee(200)
    response = await story.creates(1)
    assert "the dentist" in response["instructions"]
    assert response["metadata"]["what"] == "the dentist"
    assert response["metadata"]["call_id"] == "call_1"
    await story.ends()


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (LegEnd.BUSY, 486, "busy"),
        (LegEnd.DECLINED, 603, "declined"),
        (LegEnd.NO_ANSWER, 408, "no_answer"),
        (LegEnd.NOT_FOUND, 404, "not_found"),
        (LegEnd.UNREACHABLE, 503, "unreachable"),
    ],
)
def test_every_end_before_the_answer_has_its_word(end: LegEnd, status: int, reason: str) -> None:
    @virtual
    async def story_of() -> None:
        story = placed()
        story.start()
        await eventually(lambda: story.call.session is not None)
        story.leg.callee(180)
        await asyncio.sleep(3)
        story.leg.callee_refuses(end, status)
        outcome = await story.ends()
        assert (outcome.kind, outcome.reason, outcome.status) == (OutcomeClass.CALLER, reason, status)
        assert story.provider.creates() == []
        assert "answer" not in story.leg.log
        assert kinds(story)[-1] == "call.ended"

    story_of()


@virtual
async def test_a_refusal_while_the_session_is_still_being_opened_ends_both() -> None:
    story = placed(connect_s=2.0)
    story.start()
    await asyncio.sleep(0.5)
    story.leg.callee_refuses(LegEnd.BUSY, 486)
    assert (await story.ends(1.0)).reason == "busy"
    assert story.call.session is None


@virtual
async def test_without_a_provider_nobody_is_made_to_pick_up() -> None:
    story = placed(refuse=ProviderError("no", code="http_401"))
    story.start()
    outcome = await story.ends()
    assert (outcome.kind, outcome.reason) == (OutcomeClass.PROVIDER, "http_401")
    assert story.leg.log == ["prepare", "reject 503"]  # which the real leg makes a CANCEL


@virtual
async def test_a_callee_who_was_faster_than_the_provider_hears_the_apology() -> None:
    story = placed(connect_s=60.0)
    story.start()
    await asyncio.sleep(1)
    story.leg.callee(200)
    outcome = await story.ends()
    assert (outcome.kind, outcome.reason) == (OutcomeClass.PROVIDER, "provider_timeout")
    assert "apology" in kinds(story)
    assert len(story.leg.played) > 8000  # a second and more of it was heard


@virtual
async def test_a_callee_who_was_faster_than_the_session_is_spoken_to_once_it_stands() -> None:
    story = placed(connect_s=1.5)
    story.start()
    await asyncio.sleep(0.2)
    story.leg.callee(200)
    assert story.call.state is CallState.DIALLING
    await story.creates(1)
    assert (await story.ends()).reason == "completed"


@virtual
async def test_an_operator_hangs_up_while_it_rings() -> None:
    story = placed()
    story.start()
    await eventually(lambda: story.call.session is not None)
    story.leg.callee(180)
    with pytest.raises(RequestRefused) as refused:
        story.call.trigger("Hello?", {}, request_id="r1")
    assert refused.value.code == "not_answered"
    story.call.end("operator_hung_up")
    assert (await story.ends(1.0)).reason == "operator_hung_up"
    assert story.leg.log == ["prepare", "hang_up operator_hung_up"]
    with pytest.raises(CallEnded):
        story.call.trigger("Hello?", {}, request_id="r2")


@virtual
async def test_a_session_lost_while_it_rings_is_replaced_before_the_answer() -> None:
    story = placed()
    story.start()
    await eventually(lambda: story.call.session is not None)
    story.leg.callee(180)
    story.provider.drop(1006, "gone")
    await asyncio.sleep(5)
    assert not story.leg.played
    story.leg.callee(200)
    await story.creates(1)
    assert (await story.ends()).reason == "completed"


@virtual
async def test_the_longest_call_is_counted_from_the_answer() -> None:
    @flow("waiting")
    async def waiting(call: Call) -> None:
        await asyncio.Event().wait()

    story = Story(
        waiting, leg=FakeLeg(direction="outbound"), config=CallConfig(max_duration_s=10.0), connect_s=0.1
    )
    story.start()
    story_loop = asyncio.get_running_loop()
    await eventually(lambda: story.call.session is not None)
    await asyncio.sleep(30)
    story.leg.callee(200)
    answered = story_loop.time()
    assert (await story.ends()).reason == "max_duration"
    assert story_loop.time() == pytest.approx(answered + 10, abs=0.5)


@virtual
async def test_a_call_that_is_ended_during_a_slow_lookup_calls_nobody() -> None:
    class Lost(FakeLeg):
        async def prepare(self) -> None:
            self.log.append("looking up")
            await asyncio.sleep(60)
            self.log.append("INVITE")

    story = Story(reminder, leg=Lost(direction="outbound"))
    story.start()
    await asyncio.sleep(1)
    story.call.end("operator_hung_up")
    assert (await story.ends(within_s=5)).reason == "operator_hung_up"
    assert story.leg.log == ["looking up", "hang_up operator_hung_up"]
