"""From words to meaning."""

from __future__ import annotations

import pytest

from voiceagent.ivr.matching import match_option, match_yes_no, spoken_digits

MENU = {
    "billing": ("billing", "my bill"),
    "hours": ("hours", "opening hours"),
    "technical": ("technical support",),
    "support": ("support",),
}


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ("Billing, please.", "billing"),
        ("it's about MY BILL", "billing"),
        ("what are your opening hours", "hours"),
        ("technical support", "technical"),
        ("support", "support"),
        ("unbilling", None),
        ("billing or hours", None),
        ("", None),
        ("my own bill", None),
    ],
)
def test_options(said: str, option: str | None) -> None:
    assert match_option(said, MENU) == option


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("yes", True),
        ("Yeah sure", True),
        ("no", False),
        ("nope", False),
        ("yes and no", None),
        ("maybe", None),
    ],
)
def test_yes_no(said: str, meant: bool | None) -> None:
    assert match_yes_no(said) is meant


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("four eight one five", "4815"),
        ("4 8 1 5", "4815"),
        ("481516", "481516"),
        ("double seven oh", "770"),
        ("triple one", "111"),
        ("it's one two, please", "12"),
        ("one apple", ""),
        ("", ""),
    ],
)
def test_digits(said: str, digits: str) -> None:
    assert spoken_digits(said) == digits
