"""Numbers as people write them."""

from __future__ import annotations

import pytest

from voiceagent.records.numbers import may_mention, mentions, persons_of, plain_number


@pytest.mark.parametrize(
    "written",
    [
        "+44 20 7946 0958",
        "0044 (20) 7946-0958",
        "442079460958",
        "sip:+442079460958@10.0.0.1",
        "tel:+44-20-7946-0958",
    ],
)
def test_the_same_number(written: str) -> None:
    assert plain_number(written) == "442079460958"


def test_other_numbers_and_names() -> None:
    assert plain_number("020 7946 0958") == "02079460958"
    assert plain_number(" Alice ") == plain_number("sip:alice@example.com") == "alice"
    assert plain_number("12") == "12", "too short to be anybody's number"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"caller":"+442079460958"', True),
        ("sip:00442079460958@host", True),
        ("call +44 20 7946 0958 now", True),
        ("1442079460958", False),
        ("4420794609581", False),
        ("+44 20 7946 0959", False),
    ],
)
def test_mentions_of_a_number(text: str, found: bool) -> None:
    assert mentions(text, "442079460958") is found
    assert may_mention(text.encode(), "442079460958") or not found


def test_mentions_of_a_name() -> None:
    for name in ("Alice", "Ægir"):
        assert mentions(f'"caller":"{name}"', name.casefold())
        assert may_mention(f'"caller":"{name}"'.encode(), name.casefold())
    for escaped in (r'"\u0061lice"', r'"\\alice"'):
        assert may_mention(escaped.encode(), "alice")
    assert may_mention(rb'"\u0034\u0034\u0032"', "442"), "digits may stand as escapes, too"
    assert not may_mention(b"nobody", "alice")
    assert not may_mention(b"1 2 3", "442079460958")
    assert not mentions("malice", "alice")


def test_the_person_of_a_call() -> None:
    offer = {"type": "call.offered", "direction": "outbound", "caller": "us", "called": "them"}
    assert persons_of(offer, "") == "them"
    assert persons_of({**offer, "direction": "inbound"}, "") == "us"
    assert (
        persons_of({"type": "in.call", "info": {"direction": "inbound", "caller": "x", "called": "y"}}, "")
        == "x"
    )
    assert persons_of({"type": "call.party_changed", "caller": "x", "called": "y"}, "outbound") == "y"
    assert persons_of({"type": "caller.said", "caller": "x"}, "") is None
