"""How many calls are placed, and which headers they may carry."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.call.dial_caps import HOUR_S, DialCaps, DialLimits
from voiceagent.call.dial_headers import CORE, MOST_CHARS, MOST_HEADERS, check_headers
from voiceagent.errors import RequestRefused


def test_caps_at_the_limit_and_one_past_it() -> None:
    caps = DialCaps(DialLimits(calls=3, per_destination=2, per_hour=3))
    assert caps.enter("a", 0.0) is None
    assert caps.enter("a", 1.0) is None
    assert caps.enter("a", 2.0) == ("destination_busy", 30.0)
    assert caps.enter("b", 2.0) is None
    assert caps.enter("c", 2.0) == ("outbound_capacity", 10.0)
    caps.leave("a")
    assert caps.enter("a", 3.0) is None
    caps.leave("a")
    assert caps.enter("a", 4.0) == ("destination_calls", HOUR_S - 4.0)
    assert caps.enter("a", HOUR_S) is None  # the one of second 0 has grown old
    assert caps.enter("a", HOUR_S) is not None


def test_none_at_all() -> None:
    assert DialCaps(DialLimits(calls=0)).enter("a", 0.0) is not None
    assert DialCaps(DialLimits(per_destination=0)).enter("a", 0.0) is not None
    assert DialCaps(DialLimits(per_hour=0)).enter("a", 0.0) == ("destination_calls", HOUR_S)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.floats(0.0, 2000.0)), max_size=40))
def test_no_order_of_calls_breaks_a_cap(steps: list[tuple[bool, str, float]]) -> None:
    limits = DialLimits(calls=4, per_destination=2, per_hour=5)
    caps = DialCaps(limits)
    now, live, begun = 0.0, list[str](), list[tuple[str, float]]()
    for enters, destination, gap in steps:
        now += gap
        if not enters:
            if destination in live:
                live.remove(destination)
                caps.leave(destination)
            continue
        if caps.enter(destination, now) is None:
            live.append(destination)
            begun.append((destination, now))
        assert len(live) <= limits.calls
        assert live.count(destination) <= limits.per_destination
        lately = [at for name, at in begun if name == destination and at > now - HOUR_S]
        assert len(lately) <= limits.per_hour


def test_headers_are_kept_in_order() -> None:
    assert check_headers({"X-Job": " 42 ", "P-Order": ""}) == (("X-Job", "42"), ("P-Order", ""))
    check_headers({f"X-{number}": "x" * MOST_CHARS for number in range(MOST_HEADERS)})


@pytest.mark.parametrize(
    "name", [*sorted(CORE)[::7], "From", "VIA", "f", "X", "", "X Job", "X-Job:", "X\r\nVia", "Ü"]
)
def test_a_name_of_sip_itself_or_no_token_is_refused(name: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        check_headers({name: "1"})
    assert refused.value.field == f"headers.{name}"


@pytest.mark.parametrize("value", ["a\r\nVia: x", "a\nb", "\x00", "ü", "x" * (MOST_CHARS + 1)])
def test_a_value_that_could_end_the_line_is_refused(value: str) -> None:
    with pytest.raises(RequestRefused):
        check_headers({"X-Job": value})


def test_too_many_headers_are_refused() -> None:
    with pytest.raises(RequestRefused):
        check_headers({f"X-{number}": "1" for number in range(MOST_HEADERS + 1)})
