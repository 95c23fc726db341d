"""What was typed or said, as a value of a type; types and options that cannot work are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from voiceagent.errors import ConfigError
from voiceagent.ivr.answers import Choice, Digits, option, question_of
from voiceagent.ivr.caller_text import QUOTED_LIMIT
from voiceagent.ivr.gather import AnswerKind
from voiceagent.ivr.kinds import TEXT_LIMIT, Kind
from voiceagent.ivr.verbs.wording import read_back, repaired, repairs, staged


class Size(Enum):
    SMALL = "small"
    EXTRA_LARGE = "extra large"


class Floor(IntEnum):
    GROUND = 0
    FIRST = 1


Postcode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$")]
Adult = Annotated[int, Field(ge=18, le=120)]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "  to be read out  ", "to be read out"),
        (int, "0042", 42),
        (int, "four double one", 411),
        (Decimal, "12.50", Decimal("12.50")),
        (float, "3.5", 3.5),
        (bool, "yes, that's right", True),
        (bool, "no thanks", False),
        (Adult, "42", 42),
        (date, "2026-05-12", date(2026, 5, 12)),
        (date, "12 May 2026", date(2026, 5, 12)),
        (date, "May the 12th, 2026.", date(2026, 5, 12)),
        (date, "12/05/2026", date(2026, 5, 12)),
        (date, "12052026", date(2026, 5, 12)),
        (date, "20260512", date(2026, 5, 12)),
        (date, "one two zero five two zero two six", date(2026, 5, 12)),
        (Size, "the extra large one, please", Size.EXTRA_LARGE),
        (Size, "not small, extra large", Size.EXTRA_LARGE),
        (Floor, "the ground floor", Floor.GROUND),
        (Floor, "1", Floor.FIRST),
        (Literal["tea", "coffee"], "tea please", "tea"),
        (Postcode, "ec 1 a 1 bb", "EC1A1BB"),
        (Address, "Ann dot Smith at example dot com.", "ann.smith@example.com"),
    ],
)
def test_what_was_said_becomes_a_value(kind: Any, text: str, value: Any) -> None:
    valid, found = Kind(kind).read(text)
    assert valid
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "a dozen"),
        (Adult, "17"),
        (date, "1747008000"),
        (date, "31022026"),
        (date, "12051626"),
        (date, "May"),
        (date, "the 12th of May"),
        (Size, "huge"),
        (bool, "maybe"),
        (Literal["tea", "coffee"], "water"),
        (str, "x" * (TEXT_LIMIT + 1)),
    ],
)
def test_what_cannot_be_read_is_no_value(kind: Any, text: str) -> None:
    assert Kind(kind).read(text) == (False, None)


class Person(BaseModel):
    name: str


@dataclass
class Pair:
    one: int
    two: int


@pytest.mark.parametrize(
    "kind", [Person, Pair, list[int], tuple[int, int], dict[str, int], int | None, None, Any]
)
def test_a_type_of_several_values_or_of_none_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match="collect kind"):
        Kind(kind)


def test_a_type_that_nobody_can_validate_is_refused() -> None:
    class Odd: ...

    with pytest.raises(ConfigError, match="Odd cannot be validated"):
        Kind(Odd)


def test_a_validator_that_fails_never_tells_the_text() -> None:
    def look_up(text: str) -> str:
        return {"1": "one"}[text]

    with pytest.raises(ConfigError, match="a validator raised KeyError") as caught:
        Kind(Annotated[str, AfterValidator(look_up)]).read("4711")
    assert "4711" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("kind", "digits", "hint"),
    [
        (str, None, None),
        (str, Digits(6), "Expect 6 digits."),
        (int, None, "Expect 1 to 16 digits."),
        (bool, None, "Expect yes or no."),
        (Size, None, "Expect one of: small; extra large."),
        (date, None, None),
    ],
)
def test_the_recogniser_is_told_what_the_type_expects(kind: Any, digits: Digits | None, hint: str) -> None:
    assert question_of(kind, digits).hint() == hint


def test_digits_that_are_no_value_are_invalid_and_forgotten() -> None:
    question = question_of(date, Digits(8))
    answers = [question.pressed(key) for key in "31022026"]
    assert answers[:-1] == [None] * 7
    assert answers[-1] is not None
    assert answers[-1].kind is AnswerKind.INVALID
    again = [question.pressed(key) for key in "31122026"][-1]
    assert again is not None
    assert again.meaning == date(2026, 12, 31)


def test_words_that_are_a_date_answer_a_question_for_digits_but_words_are_no_digits() -> None:
    spoken = question_of(date, Digits(8)).said("12 May 2026")
    assert spoken is not None
    assert spoken.meaning == date(2026, 5, 12)
    other = question_of(Annotated[str, Field(min_length=2)], Digits(4)).said("the weather")
    assert other is not None
    assert other.kind is AnswerKind.NO_MATCH


def test_a_number_without_digits_may_be_typed_all_the_same() -> None:
    question = question_of(int, None)
    assert question.pressed("4") is None
    assert question.pressed("2") is None
    answer = question.pressed("#")
    assert answer is not None
    assert answer.meaning == 42
    text = question_of(str, None).pressed("4")
    assert text is not None
    assert text.kind is AnswerKind.NO_MATCH


@pytest.mark.parametrize(
    ("value", "text", "by_digits", "spoken"),
    [
        ("4811", "4811", True, "4 8 1 1"),
        (42, "0042", True, "0 0 4 2"),
        (date(2026, 5, 2), "02052026", True, "2 May 2026"),
        (Size.EXTRA_LARGE, "extra large", False, "extra large"),
        (Floor.GROUND, "ground", False, "ground"),
        ('" Say: I am the manager\x00\n"', "", False, "Say: I am the manager"),
        ("x" * 200, "", False, "x" * (QUOTED_LIMIT - 1) + "…"),
    ],
)
def test_what_is_read_back_is_short_and_plain(value: Any, text: str, by_digits: bool, spoken: str) -> None:
    assert read_back(value, text, by_digits=by_digits) == spoken


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one option"),
        ({"a": ""}, "is empty"),
        ({"a": option("1", " ")}, "has an empty phrase"),
        ({"a": option("1", "my bill"), "b": option("2", "My bill!")}, "also means a"),
        ({"a": "12"}, "key must be one of"),
        ({"a": "1", "b": "1"}, "key 1 is taken by a"),
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Choice(given)


@pytest.mark.parametrize(("end", "pause_s"), [("1", 4.0), ("##", 4.0), ("#", 0.0), ("#", 1000.0)])
def test_digits_need_an_ending_that_is_no_digit_and_a_pause(end: str, pause_s: float) -> None:
    with pytest.raises(ConfigError):
        Digits(4, end=end, pause_s=pause_s)


def test_lines_come_in_stages_and_the_last_one_stays() -> None:
    lines = ("Sorry?", "Once more, please.")
    assert [staged(lines, time) for time in (1, 2, 3)] == [
        "Sorry?",
        "Once more, please.",
        "Once more, please.",
    ]
    assert staged("Sorry?", 7) == "Sorry?"
    with pytest.raises(ConfigError):
        repairs(no_match=())
    assert repairs(no_match="What?").invalid == "What?"


def test_a_question_may_be_asked_again_without_an_excuse() -> None:
    assert repaired("", "Offer tea.", "") == "Offer tea."
