"""Whatever stands in the file: a flow, or findings in lines that it has; nothing else is raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ivr_toml.kit import SHOP, checked
from voiceagent.ivr.check.codes import CODES
from voiceagent.ivr.toml.read import FlowFileError, parse_toml_flow

LINES = SHOP.splitlines()
JUNK = [
    "",
    "{",
    "}",
    '"',
    "[",
    "]",
    "=",
    "next = 1",
    '"""',
    "{x}",
    "[steps]",
    "[[steps.menu]]",
    "options = 1",
    "\x00",
    "é",
]
values = st.sampled_from(
    ["1", '"x"', "[]", "{}", "true", "1.5", "inf", "1979-05-27", '[["a"]]', "{ a.b = 1 }", '"{"', '""']
)


def is_sound(text: str) -> None:
    length = text.count("\n") + 1
    for finding in checked(text):
        assert 1 <= finding.line <= length
        assert CODES[finding.code].severity == finding.severity
        assert finding.message


@given(st.lists(st.tuples(st.integers(0, len(LINES)), st.sampled_from(JUNK)), max_size=3))
def test_junk_between_the_lines(junk: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for at, text in junk:
        lines.insert(at, text)
    is_sound("\n".join(lines))


@given(st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=12))
def test_lines_that_are_missing(missing: list[int]) -> None:
    is_sound("\n".join(line for number, line in enumerate(LINES) if number not in missing))


@given(st.integers(0, len(LINES) - 1), values)
def test_values_of_another_type(at: int, value: str) -> None:
    lines = list(LINES)
    key, equals, _ = lines[at].partition(" = ")
    if equals:
        lines[at] = f"{key} = {value}"
    is_sound("\n".join(lines))


@given(st.integers(0, len(SHOP)), st.integers(0, 40), st.text(max_size=5))
def test_any_change_of_the_text(at: int, length: int, put: str) -> None:
    is_sound(SHOP[:at] + put + SHOP[at + length :])


@given(st.text(max_size=200))
def test_no_flow_at_all(text: str) -> None:
    with pytest.raises(FlowFileError) as error:
        parse_toml_flow(text)
    assert error.value.findings
