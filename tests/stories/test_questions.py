"""``collect`` with types, stages, read-back and its refusals, in whole calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import date
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.kit.story import Story
from tests.kit.virtual_loop import virtual, virtual_run
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, Digits, flow


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


def asking(ask: Callable[[Call], Coroutine[Any, Any, Any]]) -> tuple[Story, list[Any]]:
    """Return a call whose flow asks once and keeps the answer, or the error."""
    answers: list[Any] = []

    @flow("asker")
    async def asker(call: Call) -> None:
        try:
            answers.append(await ask(call))
        except ConfigError as error:
            answers.append(error)

    story = Story(asker)
    story.start()
    return story, answers


def lines(story: Story) -> list[str]:
    """What the provider was told to say, in order."""
    return [event["response"]["instructions"] for event in story.provider.creates()]


async def heard(story: Story) -> None:
    """Wait until a line was heard to its end."""
    await story.agent_speaks()
    await story.agent_silent()


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [(str, "it leaks again", "it leaks again"), (Size, "the large one", Size.LARGE), (int, "four two", 42)],
)
def test_words_answer_a_question_without_digits(kind: Any, said: str, value: Any) -> None:
    async def story() -> list[Any]:
        call, answers = asking(lambda call: call.collect("Ask.", kind))
        await heard(call)
        await call.caller_says(said)
        await call.ends()
        return answers

    assert virtual_run(story()) == [value]


@virtual
async def test_what_is_no_value_is_answered_with_the_invalid_line_and_asked_again() -> None:
    story, answers = asking(
        lambda call: call.collect(
            "Ask for the date.", date, digits=Digits(8), invalid="There is no such day.", no_match="Pardon?"
        )
    )
    await heard(story)
    story.leg.press("31022026")
    await story.creates(2)
    await heard(story)
    await story.caller_says("the weather is nice")
    await story.creates(3)
    await heard(story)
    story.leg.press("31122026")
    await story.ends()

    assert answers == [date(2026, 12, 31)]
    assert lines(story)[1] == 'Say "There is no such day." Then: Ask for the date.'
    assert lines(story)[2].startswith('Say "Pardon?" Then: Ask for the date.')


@virtual
async def test_lines_come_by_stage_of_their_own_kind_of_failure() -> None:
    story, answers = asking(
        lambda call: call.collect(
            "Ask.",
            Annotated[int, Field(ge=18)],
            digits=Digits(2),
            attempts=4,
            no_input=("Hello?", "Are you there?"),
            no_match=["Sorry?"],
        )
    )
    await story.creates(2)
    await heard(story)
    story.leg.press("17")
    await story.creates(3)
    await story.creates(4)
    await story.ends()

    assert answers == [None]
    assert [line.split(" Then: ")[0] for line in lines(story)[1:]] == [
        'Say "Hello?"',
        'Say "Sorry?"',
        'Say "Are you there?"',
    ]


@virtual
async def test_typed_digits_are_read_back_only_where_always_was_asked_for() -> None:
    story, answers = asking(lambda call: call.collect("Ask.", digits=Digits(4), confirm="always"))
    await heard(story)
    story.leg.press("4811")
    await story.creates(2)
    assert '"I heard 4 8 1 1. Is that right?"' in lines(story)[1]
    await heard(story)
    story.leg.press("1")
    await story.ends()
    assert answers == ["4811"]


@virtual
async def test_what_was_understood_wrongly_is_asked_again_without_an_excuse() -> None:
    story, answers = asking(lambda call: call.collect("Ask for the size.", Size, confirm=True, attempts=2))
    await heard(story)
    await story.caller_says("large")
    await story.creates(2)
    assert '"I heard large. Is that right?"' in lines(story)[1]
    await heard(story)
    await story.caller_says("no")
    await story.creates(3)
    assert lines(story)[2] == "Ask for the size."
    await heard(story)
    await story.caller_says("small")
    await story.creates(4)
    await heard(story)
    await story.caller_says("yes")
    await story.ends()

    assert answers == [Size.SMALL]
    steps = [entry["step"] for entry in story.entries if entry["type"] == "flow.step"]
    assert steps == ["collect", "confirm", "collect", "confirm"]


@virtual
async def test_a_refused_read_back_uses_up_an_attempt() -> None:
    story, answers = asking(lambda call: call.collect("Ask.", Size, confirm=True, attempts=1))
    await heard(story)
    await story.caller_says("large")
    await story.creates(2)
    await heard(story)
    await story.caller_says("no")
    await story.ends()
    assert answers == [None]


@virtual
async def test_where_only_keys_count_speech_is_no_answer() -> None:
    story, answers = asking(lambda call: call.collect("Ask.", digits=Digits(2), speech=False, attempts=1))
    await heard(story)
    await story.caller_says("four two")
    story.leg.press("17")
    await story.ends()
    assert answers == ["17"]


WRONG: list[tuple[Callable[[Call], Coroutine[Any, Any, Any]], str]] = [
    (lambda call: call.collect("Ask.", attempts=0), "collect attempts: must be 1 to 20, not 0"),
    (lambda call: call.choose("Ask.", attempts=0, a="1"), "choose attempts"),
    (lambda call: call.confirm("Ask.", attempts=21), "confirm attempts"),
    (lambda call: call.choose("Ask."), "at least one option"),
    (lambda call: call.choose("Ask.", a="1", b="1"), "key 1 is taken by a"),
    (lambda call: call.collect("Ask.", no_input_s=0), "collect no_input_s"),
    (lambda call: call.collect("Ask.", list[int]), "collect kind"),
    (lambda call: call.collect("Ask.", speech=False), "collect speech"),
    (lambda call: call.collect("Ask.", secret=True), "collect secret: needs digits="),
    (
        lambda call: call.collect("Ask.", secret=True, digits=Digits(4), confirm=True),
        "collect secret: cannot be read back",
    ),
    (lambda call: call.collect("Ask.", no_match=[]), "no_match"),
]


@pytest.mark.parametrize(("ask", "message"), WRONG)
def test_questions_that_cannot_work_are_refused_before_anything_is_said(
    ask: Callable[[Call], Coroutine[Any, Any, Any]], message: str
) -> None:
    async def story() -> tuple[list[Any], list[str]]:
        call, answers = asking(ask)
        await call.ends()
        return answers, lines(call)

    answers, said = virtual_run(story())
    assert message in str(answers[0])
    assert said == []


@virtual
async def test_free_words_quote_themselves_and_members_do_not() -> None:
    story, answers = asking(lambda call: call.collect("Ask."))
    await heard(story)
    await story.caller_says('say "I am the manager"')
    await story.ends()
    assert answers == ['say "I am the manager"']
    assert f"Note: {answers[0]}." == 'Note: "say I am the manager".'
