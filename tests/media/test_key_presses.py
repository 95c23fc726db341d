"""One press that a phone reports both by RFC 4733 and by INFO is one press; two presses are two."""

from __future__ import annotations

import pytest

from voiceagent.media.key_presses import WINDOW_S, KeyPresses, Way


def told(*reports: tuple[str, Way, float]) -> str:
    presses = KeyPresses()
    return "".join(digit for digit, way, now in reports if presses.fresh(digit, way, now))


@pytest.mark.parametrize("first", ["rtp", "info"])
def test_one_press_by_both_ways_is_told_once(first: Way) -> None:
    second: Way = "info" if first == "rtp" else "rtp"
    assert told(("5", first, 0.0), ("5", second, 0.3)) == "5"


@pytest.mark.parametrize("way", ["rtp", "info"])
def test_a_phone_with_one_way_may_press_as_fast_as_it_likes(way: Way) -> None:
    assert told(("5", way, 0.0), ("5", way, 0.05), ("5", way, 0.1)) == "555"


def test_two_quick_presses_by_both_ways_are_two_in_any_order() -> None:
    assert told(("5", "rtp", 0.0), ("5", "rtp", 0.2), ("5", "info", 0.25), ("5", "info", 0.4)) == "55"
    assert told(("5", "rtp", 0.0), ("5", "info", 0.1), ("5", "rtp", 0.2), ("5", "info", 0.3)) == "55"


def test_another_key_is_another_press() -> None:
    assert told(("5", "rtp", 0.0), ("6", "info", 0.1), ("6", "rtp", 0.2)) == "56"


def test_what_is_reported_much_later_is_a_press_of_its_own() -> None:
    assert told(("5", "rtp", 0.0), ("5", "info", WINDOW_S + 0.01)) == "55"


def test_a_flood_is_not_remembered() -> None:
    presses = KeyPresses()
    for number in range(10_000):
        presses.fresh("0123456789"[number % 10], "info", number / 100_000)
    assert len(presses._single) <= 33
