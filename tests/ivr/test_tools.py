"""Tools: what a signature promises the model, and what arguments of the model's are let through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, Tool, ToolContext, tool
from voiceagent.ivr.arguments import (
    ARGUMENTS_BYTES,
    DEPTH,
    MEMBERS,
    STRING_CHARS,
    ArgumentsRefused,
    only_names,
    parsed,
)


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Place(BaseModel):
    street: str
    number: int


@tool(timeout_s=3, working="Still booking.", steps=["booking"])
async def book(
    people: Annotated[int, Field(ge=1, le=12)],
    day: date,
    size: Size,
    where: Place | None = None,
    tags: list[str] | None = None,
    rate: float = 1.0,
    kind: Literal["in", "out"] = "in",
    schema: str = "a name that pydantic has, too",
    *,
    call: Call,
    run: ToolContext,
) -> str:
    """Book a table."""
    return f"{people} {day}"


def read(given: dict[str, Any] | str, of: Tool = book) -> Any:
    assert of.read is not None
    return of.read(given if isinstance(given, str) else json.dumps(given))


RIGHT: dict[str, Any] = {"people": 2, "day": "2026-05-12", "size": "large"}


def test_the_function_gets_real_types() -> None:
    values = read({**RIGHT, "where": {"street": "High St", "number": 4}, "rate": 2, "schema": "x"})
    assert values["people"] == 2
    assert values["day"] == date(2026, 5, 12)
    assert values["size"] is Size.LARGE
    assert values["where"] == Place(street="High St", number=4)
    assert values["rate"] == 2.0
    assert values["tags"] is None
    assert values["schema"] == "x"


def test_the_model_knows_nothing_of_what_we_fill_in() -> None:
    declared = book.declaration()["parameters"]
    assert set(declared["properties"]) == {
        *("people", "day", "size", "where", "tags", "rate", "kind", "schema"),
    }
    assert declared["required"] == ["people", "day", "size"]
    assert declared["additionalProperties"] is False
    assert declared["properties"]["people"]["maximum"] == 12
    assert (book.takes_call, book.takes_context, book.steps) == ("call", "run", ("booking",))
    assert (book.working, book.timeout_s) == ("Still booking.", 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"people": "2"}, "people: "),
        ({"people": 2.5}, "people: "),
        ({"people": True}, "people: "),
        ({"people": 13}, "people: Input should be less than or equal to 12"),
        ({"people": None}, "people: "),
        ({"day": "yesterday"}, "day: "),
        ({"day": 1747008000}, "day: "),
        ({"size": "LARGE"}, "size: "),
        ({"size": ["large"]}, "size: "),
        ({"where": {"street": "x", "number": "4"}}, "where.number: "),
        ({"where": "x"}, "where: "),
        ({"tags": "x"}, "tags: "),
        ({"tags": [1]}, "tags.0: "),
        ({"kind": "out; drop table"}, "kind: "),
        ({"__proto__": {"people": 1}}, "__proto__: Extra inputs are not permitted"),
        ({"constructor": "x"}, "constructor: Extra inputs are not permitted"),
        ({"__class__": "x"}, "__class__: Extra inputs are not permitted"),
        ({"self": 1}, "self: Extra inputs are not permitted"),
        ({"call": "mine"}, "call: Extra inputs are not permitted"),
        ({"run": {"call_id": "x"}}, "run: Extra inputs are not permitted"),
        ({"p0": 1}, "p0: Extra inputs are not permitted"),
        ({"x" * 5000: 1}, "longer than"),
    ],
)
def test_wrong_arguments_are_refused_with_a_word_to_the_model(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentsRefused) as refused:
        read({**RIGHT, **change})
    assert told in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "people: Field required"),
        ("null", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('"people"', "not a JSON object"),
        ("{'people': 2}", "not a JSON object"),
        ('{"people": NaN}', "NaN is not a number"),
        ('{"people": -Infinity}', "-Infinity is not a number"),
        ('{"rate": 1e999}', "too large"),
        ('{"people": 1, "people": 2}', "stands twice"),
        ('{"where": {"a": 1, "a": 2}}', "stands twice"),
        ('{"people": ' + "9" * 10_000 + "}", "not a JSON object"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "longer than"),
        ('{"a":' * (DEPTH + 1) + "1" + "}" * (DEPTH + 1), "nested deeper"),
        ("[" * 16_000, "not a JSON object"),
        (json.dumps({"tags": ["x"] * MEMBERS}), "more than"),
        (json.dumps({"tags": ["x" * (STRING_CHARS + 1)]}), "longer than"),
        (json.dumps({"x" * (STRING_CHARS + 1): 1}), "longer than"),
        ('{"tags": ["\\ud800"]}', "no character"),
        ('{"tags": ["a\\u0000b"]}', "no character"),
        ('{"tags": ["' + "ä" * ARGUMENTS_BYTES + '"]}', "longer than"),
    ],
)
def test_hostile_json_is_refused_before_it_is_looked_at_closely(text: str, told: str) -> None:
    with pytest.raises(ArgumentsRefused) as refused:
        read(text)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE accounts; --", "../../etc/passwd", "{{config}}", "$(reboot)", "\u202eabc", "🦊"]
)
def test_texts_are_passed_on_as_data(text: str) -> None:
    assert read({**RIGHT, "schema": text})["schema"] == text


def test_a_tool_made_by_hand_has_its_names_checked() -> None:
    check = only_names({"properties": {"a": {}, "b": {}}, "required": ["a"]})
    assert check('{"a": 1}') == {"a": 1}
    for text, told in (("{}", "a: is missing"), ('{"a": 1, "c": 2}', "c: is not a parameter")):
        with pytest.raises(ArgumentsRefused, match=told):
            check(text)
    assert parsed("") == {}


def plain(a: int) -> int:
    return a


async def starred(*names: str) -> None: ...


async def keywords(**names: str) -> None: ...


async def odd(loop: asyncio.AbstractEventLoop) -> None: ...


async def fine(amount: Decimal) -> None: ...


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: tool(plain), "must be an async function"),
        (lambda: tool(starred), "names cannot be given by name"),
        (lambda: tool(keywords), "names cannot be given by name"),
        (lambda: tool(odd), "parameters cannot be described"),
        (lambda: tool(name="rm -rf")(fine), "its name must be"),
        (lambda: tool(timeout_s=0)(fine), "timeout_s must be above 0"),
        (lambda: tool(working_after_s=-1)(fine), "working_after_s must be above 0"),
        (lambda: tool(steps="billing")(fine), "steps must be several names"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused(make: Callable[[], Awaitable[Any]], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()
