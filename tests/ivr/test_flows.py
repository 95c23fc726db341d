"""Declaring flows and tools, finding them by number, and mistakes told by name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import pytest

from voiceagent.call.flow_port import FlowPort
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, Digits, FlowBook, flow, load_flows, option, tool
from voiceagent.ivr.answers import Choice
from voiceagent.ivr.ports import CallPort
from voiceagent.ivr.routing import Arrival
from voiceagent.ivr.routing.patterns import normal_number
from voiceagent.ivr.verbs.wording import repaired, verbatim

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


async def nothing(call: Call) -> None:
    """Say nothing."""


def book(**numbers: list[str]) -> FlowBook:
    return FlowBook(flow(name, numbers=given)(nothing) for name, given in numbers.items())


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("+44 20 7946-0018", "london"),
        ("442079460018", "london"),
        ("00442079460018", "london"),
        ("Sales", "sales"),
        ("whatever", "rest"),
    ],
)
def test_the_called_number_picks_the_flow(called: str, name: str) -> None:
    flows = book(london=["+442079460018"], sales=["sales"], rest=["*"])
    picked = flows.pick(Arrival(called, NOW))
    assert picked is not None
    assert picked.flow.name == name


def test_an_unknown_number_has_no_flow() -> None:
    assert book(london=["+442079460018"]).pick(Arrival("999", NOW)) is None


def test_numbers_keep_their_meaning() -> None:
    assert normal_number("+1 (555) 010-0200") == "15550100200"
    assert normal_number("0055") == "55"
    assert normal_number("front.desk") == "front.desk"


def test_two_flows_cannot_claim_one_number_or_name() -> None:
    with pytest.raises(ConfigError, match=r"'\+4420' belongs to both 'a' and 'b'"):
        book(a=["4420"], b=["+4420"])
    with pytest.raises(ConfigError, match="two flows are named"):
        FlowBook([flow("a")(nothing), flow("a")(nothing)])


def test_the_standing_prompt_is_the_docstring_unless_given() -> None:
    assert flow("a")(nothing).instructions == "Say nothing."
    assert flow("a", instructions="Be kind.")(nothing).instructions == "Be kind."


def test_a_flow_must_be_async() -> None:
    def plain(call: Call) -> None: ...

    with pytest.raises(ConfigError, match="flow plain: must be an async function"):
        flow("plain")(plain)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_to_be_found", "fails to import: ModuleNotFoundError"),
        ("x = 1", "declares no flow"),
        ("def (", "fails to import: SyntaxError"),
    ],
)
def test_a_broken_flow_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "flows.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as error:
        load_flows([path])
    assert str(path) in str(error.value)


def test_a_missing_flow_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_flows([tmp_path / "none.py"])


def test_a_tools_schema_comes_from_its_signature() -> None:
    @tool(timeout_s=3)
    async def book_table(people: int, name: str = "guest") -> str:
        """Book a table."""
        return f"{people} {name}"

    assert book_table.timeout_s == 3
    declared: dict[str, Any] = book_table.declaration()
    assert declared["name"] == "book_table"
    assert declared["description"] == "Book a table."
    assert declared["parameters"]["required"] == ["people"]
    assert declared["parameters"]["properties"]["people"]["type"] == "integer"
    assert declared["parameters"]["additionalProperties"] is False


def test_a_tool_without_annotations_is_refused() -> None:
    with pytest.raises(ConfigError, match="parameter x has no type annotation"):

        @tool
        async def careless(x) -> str:  # type: ignore[no-untyped-def]
            return str(x)


@pytest.mark.parametrize("key", ["11", "x", "é"])
def test_a_choice_needs_real_keys(key: str) -> None:
    with pytest.raises(ConfigError, match="key must be one of"):
        Choice({"a": key})


def test_two_options_cannot_share_a_key() -> None:
    with pytest.raises(ConfigError, match="key 1 is taken by a"):
        Choice({"a": "1", "b": option("1")})


@pytest.mark.parametrize(("least", "most"), [(0, 3), (5, 4), (1, 40)])
def test_digits_need_sane_lengths(least: int, most: int) -> None:
    with pytest.raises(ConfigError):
        Digits(least, most)


def test_verbatim_text_cannot_break_out_of_its_quotes() -> None:
    assert verbatim('He said "hi"').endswith("\"He said 'hi'\"")


def test_a_repaired_prompt_keeps_the_question() -> None:
    text = repaired("Sorry.", "Offer tea or coffee.", "Press 1 for tea.")
    assert text == 'Say "Sorry." Then: Offer tea or coffee. Then: Say "Press 1 for tea."'


def test_a_type_checker_knows_that_nothing_runs_after_hangup() -> None:
    for method in (Call.hangup, CallPort.hang_up, FlowPort.hang_up):
        assert get_type_hints(method)["return"] is NoReturn
