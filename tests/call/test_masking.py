"""What was typed in secret is found in a text however it is written, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.call.masking import BETWEEN, masked, told_by
from voiceagent.ivr.ports import HIDDEN

PIN = "73914"


def shape(text: str) -> str:
    """Return ``text`` with every digit as ``#``."""
    return "".join("#" if char.isdecimal() else char for char in text)


@pytest.mark.parametrize(
    "text",
    [
        f"no such PIN: {PIN}",
        f"'{PIN}'",
        f"x{PIN}x",
        f"pin_{PIN}0815",
        "7 3 9 1 4",
        "7-3-9-1-4",
        str(list(PIN)),
        json.dumps(list(PIN)),
        str(tuple(PIN)),
        "7391 is wrong",
        "…3914",
        "\N{FULLWIDTH DIGIT SEVEN}3914",
        "bad \N{ARABIC-INDIC DIGIT SEVEN}\N{ARABIC-INDIC DIGIT THREE}914",
    ],
)
@pytest.mark.parametrize("typed", [[PIN], ["", f"11111{PIN}"], [f"{PIN}55"], ["12", PIN, ""]])
def test_it_is_found_in_every_spelling(text: str, typed: list[str]) -> None:
    hidden = masked(text, typed)
    assert HIDDEN in hidden
    assert masked(hidden, typed) == hidden
    assert not any(char.isdecimal() for char in hidden if char not in "0815"), hidden
    assert shape(text).replace("#", HIDDEN) == shape(hidden).replace("#", HIDDEN), "nothing else is touched"


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("line 73 of 914", [PIN]),
        ("739 of them", [PIN]),
        ("4 1 9 3 7", [PIN]),
        ("7 bananas, 3 apples, 9 pears, 1 plum, 4 figs", [PIN]),
        (f"7{'-' * (BETWEEN + 1)}3914", ["7391"]),
        ("12 was typed, 12", ["12"]),
        (PIN, []),
        (PIN, [""]),
        ("", [PIN]),
    ],
)
def test_other_numbers_stay(text: str, typed: list[str]) -> None:
    assert masked(text, typed) == text


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text("0123456789", min_size=4, max_size=16))
def test_no_part_of_four_keys_is_left_and_the_length_stays(text: str, typed: str) -> None:
    hidden = masked(f"{text}{typed}{text}", [typed])
    assert len(hidden) == 2 * len(text) + len(typed)
    assert not any(typed[at : at + 4] in hidden for at in range(len(typed) - 3))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('{"pin": "73914"}', True),
        ('{"pin": 73914}', True),
        ('{"last4": "3914"}', True),
        ('{"number": "0049739140"}', False),
        ('{"first3": "739"}', False),
        ('{"at": "2026-11-30"}', False),
        ('{"ok": true}', False),
    ],
)
def test_data_hold_it_where_a_whole_number_is_a_part_of_it(text: str, holds: bool) -> None:
    assert told_by(text, ["", f"1111{PIN}"]) is holds


def test_a_short_code_is_told_only_by_itself() -> None:
    assert told_by('{"code": "739"}', ["739"])
    assert not told_by('{"code": "39"}', ["739"])
