"""Questions: by voice, by keys, ahead of the prompt, not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual, virtual_run
from voiceagent.ivr import Call, Digits, Flow, flow, option

Answers = list[Any]


def asks(ask: Callable[[Call], Coroutine[Any, Any, Any]]) -> tuple[Flow, Answers]:
    """Return a flow that asks once and keeps the answer."""
    answers: Answers = []

    @flow("asker")
    async def asker(call: Call) -> None:
        answers.append(await ask(call))

    return asker, answers


def menu(call: Call) -> Coroutine[Any, Any, Any]:
    return call.choose(
        "Offer billing, opening hours or a person.",
        billing=option("1", "my bill"),
        hours=option("2", "opening hours"),
        person="0",
    )


def account(call: Call) -> Coroutine[Any, Any, Any]:
    return call.collect("Ask for the account number.", digits=Digits(6, end="#"))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("billing please", "billing"),
        ("I have a question about my bill", "billing"),
        ("opening hours", "hours"),
    ],
)
def test_an_option_is_chosen_by_voice(said: str, meant: str) -> None:
    async def story() -> Answers:
        asker, answers = asks(menu)
        call = Story(asker)
        call.start()
        await call.agent_speaks()
        await call.agent_silent()
        await call.caller_says(said)
        await call.ends()
        return answers

    assert virtual_run(story()) == [meant]


@virtual
async def test_the_recogniser_is_told_what_the_question_expects() -> None:
    asker, _ = asks(menu)
    story = Story(asker)
    story.start()
    await story.agent_speaks()
    transcription = story.provider.session["audio"]["input"]["transcription"]
    assert transcription["prompt"] == "Expect one of: billing; my bill; hours; opening hours; person."
    assert transcription["model"] == "scripted"
    story.leg.caller_hangs_up()
    await story.ends()


@virtual
async def test_a_key_answers_at_once_and_silences_the_prompt() -> None:
    asker, answers = asks(menu)
    story = Story(asker)
    story.provider.default = Reply(audio_ms=8000)
    story.start()
    await story.agent_speaks()
    await asyncio.sleep(0.5)
    story.leg.press("2")
    await story.ends()

    assert answers == ["hours"]
    assert len(story.leg.played) < 8000 * 2


@virtual
async def test_an_answer_spoken_over_the_prompt_counts() -> None:
    asker, answers = asks(menu)
    story = Story(asker)
    story.provider.default = Reply(audio_ms=8000)
    story.start()
    await story.agent_speaks()
    await story.caller_says("billing")
    await story.ends()
    assert answers == ["billing"]


@virtual
async def test_who_knows_the_menu_may_type_ahead() -> None:
    answers: Answers = []

    @flow("greet-then-ask")
    async def greet(call: Call) -> None:
        await call.respond("Greet the caller at length.")
        answers.append(await menu(call))

    story = Story(greet)
    story.start()
    await story.agent_speaks()
    story.leg.press("1")
    await story.ends()
    assert answers == ["billing"]


@virtual
async def test_a_stray_key_before_the_prompt_costs_no_attempt() -> None:
    answers: Answers = []

    @flow("two-questions")
    async def two(call: Call) -> None:
        answers.append(await call.collect("Ask for the code.", digits=Digits(2, end="#")))
        answers.append(await menu(call))

    story = Story(two)
    story.start()
    await story.agent_speaks()
    story.leg.press("42#")
    await story.creates(2)
    await story.agent_speaks()
    await story.agent_silent()
    story.leg.press("1")
    await story.ends()

    assert answers == ["42", "billing"]
    assert len(story.provider.creates()) == 2, "the hash of the first answer made no apology in the second"


@virtual
async def test_silence_is_asked_again_and_the_last_attempt_names_the_keys() -> None:
    asker, answers = asks(menu)
    story = Story(asker)
    story.start()
    await story.ends()

    assert answers == [None]
    lines = [event["response"]["instructions"] for event in story.provider.creates()]
    assert len(lines) == 3
    assert "I did not hear anything" in lines[1]
    assert "Press 1 for billing, 2 for hours, 0 for person." in lines[2]


@virtual
async def test_what_is_not_understood_is_asked_again() -> None:
    asker, answers = asks(menu)
    story = Story(asker)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("the weather is nice today")
    response = await story.creates(2)
    assert "I did not understand" in response["instructions"]
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("a person")
    await story.ends()
    assert answers == ["person"]


@virtual
async def test_the_no_input_clock_begins_anew_after_an_operators_words() -> None:
    asker, answers = asks(menu)
    story = Story(asker)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await asyncio.sleep(4)
    story.provider.plans.append(Reply(text="A word from the desk.", audio_ms=4000))
    entry = story.call.trigger("A word.", {}, request_id="op")
    await asyncio.sleep(5)
    assert entry.outcome is not None
    await asyncio.sleep(2)
    assert len(story.provider.creates()) == 2, "six silent seconds have not passed since the operator's words"
    story.leg.press("1")
    await story.ends()
    assert answers == ["billing"]


@pytest.mark.parametrize(
    ("keys", "value"), [("481516#", "481516"), ("481516", "481516"), ("12#", None), ("12345*", None)]
)
def test_digits_are_collected(keys: str, value: str | None) -> None:
    async def story() -> Answers:
        asker, answers = asks(lambda call: call.collect("Ask for it.", digits=Digits(6, end="#"), attempts=1))
        call = Story(asker)
        call.start()
        await call.agent_speaks()
        await call.agent_silent()
        call.leg.press(keys)
        await call.ends()
        return answers

    assert virtual_run(story()) == [value]


@virtual
async def test_digits_may_be_spoken_and_are_then_read_back() -> None:
    asker, answers = asks(lambda call: call.collect("Ask.", digits=Digits(4), confirm=True))
    story = Story(asker)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("four eight double one")
    response = await story.creates(2)
    assert "4 8 1 1" in response["instructions"]
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("yes that's right")
    await story.ends()
    assert answers == ["4811"]


@virtual
async def test_too_few_digits_and_a_pause_are_asked_again() -> None:
    asker, answers = asks(account)
    story = Story(asker)
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    story.leg.press("481")
    await story.creates(2)
    await story.agent_speaks()
    await story.agent_silent()
    story.leg.press("481516")
    await story.ends()
    assert answers == ["481516"]


@pytest.mark.parametrize(("said", "answer"), [("yes please", True), ("no thanks", False)])
def test_yes_and_no(said: str, answer: bool) -> None:
    async def story() -> Answers:
        asker, answers = asks(lambda call: call.confirm("Ask whether that was all."))
        call = Story(asker)
        call.start()
        await call.agent_speaks()
        await call.agent_silent()
        await call.caller_says(said)
        await call.ends()
        return answers

    assert virtual_run(story()) == [answer]
