"""Keys outside and inside questions, calls on hold, and lines that wait for a caller who keeps talking."""

from __future__ import annotations

import asyncio

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual
from voiceagent.ivr import Call, Digits, Outcome, flow
from voiceagent.realtime.requests import InterruptedBy


@virtual
async def test_a_key_ends_a_line_that_may_be_dropped_and_no_other() -> None:
    spoken: list[Outcome] = []

    @flow("reader")
    async def reader(call: Call) -> None:
        spoken.append(await call.respond("Read the news."))
        spoken.append(await call.say("This call is recorded.", interruptible=False))

    story = Story(reader)
    story.provider.plans.append(Reply(audio_ms=10_000))
    story.provider.plans.append(Reply(audio_ms=2000))
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(1)
    story.leg.press("1")
    await eventually(lambda: len(spoken) == 1)
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    story.leg.press("1")
    await story.ends()

    assert spoken[0].interrupted
    assert spoken[0].by is InterruptedBy.CALLER
    assert spoken[0].heard_ms < 2000
    assert spoken[1].completed
    assert spoken[1].heard_ms == 2000


@virtual
async def test_a_key_does_not_cut_an_operators_words_not_even_within_a_question() -> None:
    answers: list[str | None] = []

    @flow("asker")
    async def asker(call: Call) -> None:
        answers.append(await call.choose("Ask.", billing="1"))

    story = Story(asker)
    story.provider.plans.append(Reply(audio_ms=500))
    story.provider.plans.append(Reply(audio_ms=3000))
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    entry = story.call.trigger("A word.", {}, request_id="op")
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    story.leg.press("1")
    await story.ends()

    assert answers == ["billing"]
    assert entry.outcome is not None
    assert entry.outcome.completed
    assert entry.outcome.heard_ms == 3000


@virtual
async def test_the_terminator_of_a_full_number_is_no_answer_to_the_next_question() -> None:
    answers: list[str | None] = []

    @flow("two-questions")
    async def two(call: Call) -> None:
        answers.append(await call.collect("Ask for the code.", digits=Digits(2, end="#")))
        answers.append(await call.choose("Ask.", billing="1"))

    story = Story(two)
    story.provider.default = Reply(audio_ms=3000)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    story.leg.press("42")
    await story.creates(2)
    await story.agent_speaks()
    story.leg.press("#")
    await asyncio.sleep(0.5)
    assert story.call.floor == "agent", "the second question is still being asked"
    await story.agent_silent()
    story.leg.press("1")
    await story.ends()

    assert answers == ["42", "billing"]
    assert story.kinds() == ["completed", "completed"]


@virtual
async def test_a_question_that_must_be_heard_is_heard_although_the_answer_came_early() -> None:
    answers: list[str | None] = []

    @flow("lawyer")
    async def lawyer(call: Call) -> None:
        answers.append(await call.choose("Read the terms.", agree="1", interruptible=False))

    story = Story(lawyer)
    story.provider.default = Reply(audio_ms=4000, gap_s=0.0)
    story.start()
    await story.agent_speaks()
    story.leg.press("1")
    await story.ends()

    assert answers == ["agree"]
    assert [entry.outcome.heard_ms for entry in story.call.ledger if entry.outcome] == [4000]


@virtual
async def test_on_hold_nothing_is_asked_for_and_nothing_expires() -> None:
    spoken: list[Outcome] = []

    @flow("talker")
    async def talker(call: Call) -> None:
        await asyncio.sleep(2)
        spoken.append(await call.say("Welcome back."))

    story = Story(talker)
    story.start()
    await asyncio.sleep(1)
    story.leg.listener.leg_held(True)
    await asyncio.sleep(90)
    assert story.provider.creates() == []
    assert next(iter(story.call.ledger)).reason == "on_hold"
    story.leg.listener.leg_held(False)
    await story.ends()
    assert spoken[0].completed


@virtual
async def test_a_call_on_hold_before_its_session_stands_is_on_hold_when_it_does() -> None:
    @flow("talker")
    async def talker(call: Call) -> None:
        await call.say("Hello.")

    story = Story(talker, connect_s=1.0)
    story.start()
    await asyncio.sleep(0.5)
    story.leg.listener.leg_held(True)
    await asyncio.sleep(10)
    assert story.provider.creates() == []
    story.leg.listener.leg_held(False)
    await story.ends()
    assert story.kinds() == ["completed"]


@virtual
async def test_a_goodbye_waits_for_a_caller_who_talks_on_and_on() -> None:
    @flow("polite")
    async def polite(call: Call) -> None:
        await asyncio.sleep(1)
        await call.hangup("Thank you. Goodbye.")

    story = Story(polite)
    story.start()
    await asyncio.sleep(0.5)
    await story.caller_begins()
    await asyncio.sleep(40)
    assert story.provider.creates() == []
    await story.caller_stops("that was my story")
    await story.ends()
    assert story.kinds() == ["completed"]


@virtual
async def test_who_has_the_floor_after_the_caller_spoke_into_a_line_that_goes_on() -> None:
    @flow("lawyer")
    async def lawyer(call: Call) -> None:
        await call.say("This call is recorded.", interruptible=False)

    story = Story(lawyer)
    story.provider.default = Reply(audio_ms=5000, gap_s=0.0)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    await story.caller_begins()
    assert story.call.floor == "caller"
    await story.caller_stops("hello?")
    assert story.call.floor == "agent"
    await story.ends()
