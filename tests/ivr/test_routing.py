"""Routes: tables of what each condition takes, first match wins, shares of callers, and mistakes by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, FlowBook, flow
from voiceagent.ivr.routing import Arrival
from voiceagent.ivr.routing.patterns import Pattern, normal_number
from voiceagent.settings import bare_settings

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
"""A Monday."""


async def nothing(call: Call) -> None:
    """Say nothing."""


def book(
    *routes: Mapping[str, Any],
    default_flow: str = "",
    hosted: Mapping[str, str] | None = None,
    flows: Mapping[str, list[str]] | None = None,
) -> FlowBook:
    """A book of the flows a, b, c and those given, with these routes as settings read them."""
    settings = bare_settings({"routes": list(routes), "default_flow": default_flow})
    numbers: dict[str, list[str]] = {"a": [], "b": [], "c": [], **(flows or {})}
    return FlowBook(
        [flow(name, numbers=given)(nothing) for name, given in numbers.items()],
        routes=[one.route for one in settings.routes],
        default_flow=settings.default_flow,
        hosted_numbers=hosted,
    )


def arrival(**facts: Any) -> Arrival:
    return Arrival(**{"called": "100", "at": NOON, "trunk": "default", **facts})


def by(book: FlowBook, **facts: Any) -> str:
    picked = book.pick(arrival(**facts))
    return "404" if picked is None else f"{picked.flow.name} {picked.by}"


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("100", ["100", "1 00"], ["1000", "10"]),
        ("+44 20 7946-0018", ["442079460018", "+442079460018", "0044 (20) 79460018"], ["02079460018"]),
        ("+4420*", ["442079460018", "+4420", "00442079"], ["4421", "44"]),
        ("0044 20*", ["+442079460018"], ["4421"]),
        ("1[0-9]?", ["100", "199"], ["10", "1000", "200", "1a0"]),
        ("[!0]00", ["100", "900"], ["000"]),
        ("1*9", ["19", "1239"], ["1", "190"]),
        ("Sales-*", ["sales-uk", "SALES-"], ["sales", "presales-uk"]),
        ("front.desk", ["front.desk", "Front.Desk"], ["frontdesk"]),
        ("*", ["100", "anybody", ""], []),
    ],
)
def test_patterns_of_numbers(pattern: str, taken: list[str], left: list[str]) -> None:
    read = Pattern.of_number(pattern)
    assert [one for one in [*taken, *left] if read.matches(normal_number(one))] == taken


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "is empty"),
        ("1[0-9", "not closed"),
        ("1[]", "empty"),
        ("1[9-0]", "runs backwards"),
        ("+*", "leaves nothing to compare"),
        ("00*", "leaves nothing to compare"),
        ("+", "leaves nothing to compare"),
        ("100-199", "looks like a range"),
        ("1" * 200, "is longer than"),
    ],
)
def test_patterns_that_mean_nothing_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^routes\.2\.number: .*{message}"):
        book({"flow": "a", "number": "7"}, {"flow": "b", "number": pattern})


def test_a_hostile_header_costs_no_time() -> None:
    picky = book({"flow": "a", "header": {"name": "X-A", "matches": "*a" * 60 + "b"}}, default_flow="b")
    assert by(picky, headers=[("X-A", "a" * 1000)]) == "b default_flow"
    assert by(picky, headers=[("X-A", "a" * 100_000 + "b")]) == "b default_flow"


@pytest.mark.parametrize(
    ("route", "taken", "left"),
    [
        ({"number": ["100", "2*"]}, [{"called": "100"}, {"called": "299"}], [{"called": "300"}]),
        ({"trunk": "carrier"}, [{"trunk": "carrier"}], [{"trunk": "default"}, {"trunk": ""}]),
        ({"trunk": ["carrier", "default"]}, [{"trunk": "default"}], [{"trunk": "other"}]),
        ({"kind": "hosted"}, [{"kind": "hosted"}], [{"kind": "direct"}]),
        ({"kind": "browser"}, [{"kind": "browser"}], [{"kind": "direct"}, {"kind": "hosted"}]),
        ({"caller": "+33*"}, [{"caller": "+33 1 23"}, {"caller": "003312"}], [{"caller": "4433"}, {}]),
        ({"caller": "anonymous"}, [{"caller": "Anonymous"}], [{"caller": "100"}]),
        (
            {"header": {"name": "x-campaign", "equals": "spring"}},
            [{"headers": [("Subject", "x"), ("X-Campaign", " spring ")]}],
            [{"headers": [("X-Campaign", "Spring")]}, {"headers": [("X-Campaigns", "spring")]}, {}],
        ),
        (
            {"header": {"name": "X-Campaign", "matches": "spring-[0-9]*"}},
            [{"headers": [("X-Campaign", "autumn"), ("X-Campaign", "spring-26")]}],
            [{"headers": [("X-Campaign", "spring-x")]}, {"headers": [("X-Campaign", "a spring-26")]}],
        ),
    ],
)
def test_conditions(route: dict[str, Any], taken: list[Any], left: list[Any]) -> None:
    settings = {
        "trunks": [{"name": "carrier", "addresses": ["192.0.2.1"]}],
        "routes": [{"flow": "a", **route}],
    }
    compiled = bare_settings(settings).routes[0].route
    assert [compiled.against(arrival(**one)) is None for one in taken] == [True] * len(taken)
    assert [compiled.against(arrival(**one)) is None for one in left] == [False] * len(left)


@pytest.mark.parametrize(
    ("times", "opens", "closes"),
    [
        ({"days": "mon-fri"}, ["2026-11-30T00:00", "2026-12-04T23:59"], ["2026-12-05T00:00"]),
        ({"days": ["sat", "mon-tue"]}, ["2026-12-05T10:00", "2026-12-01T10:00"], ["2026-12-02T10:00"]),
        ({"days": "fri-mon"}, ["2026-12-04T10:00", "2026-12-06T10:00"], ["2026-12-01T10:00"]),
        (
            {"hours": "09:00-17:30"},
            ["2026-11-30T09:00", "2026-11-30T17:29"],
            ["2026-11-30T08:59", "2026-11-30T17:30"],
        ),
        (
            {"hours": ["09:00-12:00", "13:00-24:00"]},
            ["2026-11-30T11:59", "2026-11-30T23:59"],
            ["2026-11-30T12:30", "2026-11-30T00:00"],
        ),
        (
            {"days": "fri", "hours": "22:00-06:00"},
            ["2026-12-04T22:00", "2026-12-05T05:59"],
            ["2026-12-04T05:00", "2026-12-05T06:00", "2026-12-05T22:00"],
        ),
        ({"dates": "2026-12-24"}, ["2026-12-24T12:00"], ["2026-12-25T12:00"]),
        (
            {"dates": ["2026-12-24"], "hours": "18:00-02:00"},
            ["2026-12-24T18:00", "2026-12-25T01:00"],
            ["2026-12-24T01:00", "2026-12-25T18:00"],
        ),
        (
            {"days": "mon-fri", "except_dates": ["2026-12-24", "2026-12-25"]},
            ["2026-12-23T12:00"],
            ["2026-12-24T12:00", "2026-12-26T12:00"],
        ),
        (
            {"hours": "09:00-17:00", "timezone": "Europe/Berlin"},
            ["2026-07-01T07:00+00:00", "2026-12-01T08:00+00:00", "2026-12-01T09:00"],
            ["2026-12-01T07:59+00:00", "2026-07-01T15:00+00:00", "2026-12-01T08:00"],
        ),
        (
            {"days": "mon", "timezone": "Pacific/Auckland"},
            ["2026-11-29T12:00+00:00"],
            ["2026-11-30T12:00+00:00"],
        ),
    ],
)
def test_times(times: dict[str, Any], opens: list[str], closes: list[str]) -> None:
    route = bare_settings({"routes": [{"flow": "a", **times}]}).routes[0].route
    for expected, moments in ((True, opens), (False, closes)):
        for moment in moments:
            at = datetime.fromisoformat(moment)
            assert (route.against(arrival(at=at)) is None) is expected, moment


def test_precedence_from_the_routes_down_to_nobody() -> None:
    flows = {"own": ["100"], "any": ["*"]}
    assert by(book({"flow": "a", "number": "1*"}, flows=flows, default_flow="b")) == "a routes.1"
    assert by(book({"flow": "a", "number": "2*"}, flows=flows, default_flow="b")) == "own numbers"
    assert by(book(flows=flows, default_flow="b"), called="7") == "b default_flow"
    assert by(book(flows=flows), called="7") == "any any number"
    assert by(book(flows={"own": ["100"]}), called="7") == "404"


def test_hosted_numbers_come_first_and_for_hosted_calls_alone() -> None:
    desk = book({"flow": "a", "number": "100"}, hosted={"+1 00": "b"})
    assert by(desk, kind="hosted", trunk="") == "b hosted.numbers"
    assert by(desk) == "a routes.1"


def test_a_decision_tells_what_was_passed_over_and_why() -> None:
    desk = book(
        {"flow": "a", "number": "200"},
        {"flow": "a", "header": {"name": "X-A", "equals": "1"}},
        {"flow": "a", "days": "sat-sun"},
        {"flow": "a", "hours": "18:00-06:00"},
        {"flow": "a", "except_dates": "2026-11-30"},
        {"flow": "b"},
    )
    facts = arrival(headers=[("X-A", "2\x1b[31m" + "x" * 100)])
    decision = desk.router.decide(facts)
    assert (decision.flow, decision.by) == ("b", "routes.6")
    told = [(one.place, *one.condition.against(facts)) for one in decision.passed]
    assert told[0] == (1, "number", "100 is not 200")
    assert told[1][1] == "header"
    assert "\x1b" not in told[1][2]
    assert len(told[1][2]) < 120
    assert told[2:] == [
        (3, "days", "mon is not among sat, sun"),
        (4, "hours", "12:00 is outside of 18:00-06:00"),
        (5, "except_dates", "2026-11-30 is excepted"),
    ]


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ([{"flow": "aa"}], r"routes\.1\.flow: there is no flow 'aa'"),
        ([{"flow": "salse"}], r"did you mean 'sales'\?"),
        ([{}], r"routes\.1\.flow: is needed"),
        (
            [{"flow": "a", "numbr": "1"}],
            r"routes\.1\.numbr: there is no such setting; did you mean 'number'\?",
        ),
        ([{"flow": "a", "days": "mon-fry"}], r"routes\.1\.days: 'mon-fry' must be a day"),
        ([{"flow": "a", "hours": "9-5"}], r"routes\.1\.hours: '9-5' must look like"),
        ([{"flow": "a", "hours": "09:00-24:01"}], r"routes\.1\.hours: .*from 00:00 to 24:00"),
        ([{"flow": "a", "hours": "09:00-09:00"}], r"routes\.1\.hours: .*no time at all"),
        ([{"flow": "a", "dates": "24.12.2026"}], r"routes\.1\.dates: '24\.12\.2026' must be a date"),
        ([{"flow": "a", "dates": 20261224}], r"routes\.1\.dates: 20261224 must be a date"),
        ([{"flow": "a", "timezone": "Europe/Londn"}], r"routes\.1\.timezone: is no time zone"),
        ([{"flow": "a", "timezone": "../../etc/passwd"}], r"routes\.1\.timezone: is no time zone"),
        ([{"flow": "a", "percent": 0}], r"routes\.1\.percent: .*greater than or equal to 1"),
        ([{"flow": "a", "percent": True}], r"routes\.1\.percent: .*integer"),
        ([{"flow": "a", "kind": "sip"}], r"routes\.1\.kind: "),
        ([{"flow": "a", "trunk": "defualt"}], r"routes\.1\.trunk: .*did you mean 'default'\?"),
        (
            [{"flow": "a", "header": {"name": "X A", "equals": ""}}],
            r"routes\.1\.header: .*no name of a header",
        ),
        ([{"flow": "a", "header": {"name": "X-A"}}], r"routes\.1\.header: needs either equals or matches"),
        ([{"flow": "a", "header": {"name": "X-A", "matches": "["}}], r"routes\.1\.header: .*not closed"),
        ([{"flow": "a"}, {"flow": "b"}], r"routes\.2\.flow: is never reached: routes\.1 takes every call"),
        ([{"flow": "a", "number": "*"}, {"flow": "b"}], r"routes\.2\.flow: is never reached"),
        (
            [{"flow": "a", "number": "1*"}, {"flow": "b", "number": ["10*", "199"]}],
            r"routes\.2\.flow: is never",
        ),
        (
            [
                {"flow": "a", "percent": 50, "salt": "x"},
                {"flow": "b", "percent": 20, "salt": "x", "days": "mon"},
            ],
            r"routes\.2\.flow: is never reached: routes\.1 takes all of its calls",
        ),
        ("a", r"routes: must be a list of tables"),
        (["a"], r"routes\.1: must be a table"),
    ],
)
def test_mistakes_are_told_by_name(routes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings = bare_settings({"routes": routes})
        names = ("a", "b", "sales")
        FlowBook([flow(name)(nothing) for name in names], routes=[one.route for one in settings.routes])


def test_routes_that_only_overlap_are_no_mistake() -> None:
    book(
        {"flow": "a", "number": "1*", "days": "mon"},
        {"flow": "b", "number": "10*"},
        {"flow": "c", "number": ["1*", "2*"]},
        {"flow": "a", "percent": 10},
        {"flow": "b", "percent": 10},
        {"flow": "a", "percent": 30},
    )


def test_a_default_flow_that_nothing_reaches_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"default_flow: is never reached: routes\.1 takes every call"):
        book({"flow": "a"}, default_flow="b")
    with pytest.raises(ConfigError, match=r"default_flow: there is no flow 'd'"):
        book(default_flow="d")


@pytest.mark.parametrize("percent", [1, 10, 50, 93])
def test_a_share_of_callers_is_kept_and_each_caller_keeps_its_side(percent: int) -> None:
    split = book({"flow": "a", "percent": percent}, default_flow="b")
    calls = [arrival(caller=f"+4420{n:07}") for n in range(10_000)]
    sides = [by(split, caller=one.caller) for one in calls]
    share = sides.count("a routes.1") / len(calls) * 100
    assert abs(share - percent) < 2.5
    again = [by(split, caller=one.caller.replace("+", "00"), protocol_call_id="other") for one in calls[:200]]
    assert again == sides[:200]


def test_callers_without_a_name_are_dealt_by_call() -> None:
    split = book({"flow": "a", "percent": 50}, default_flow="b")
    for caller in ("", "anonymous"):
        sides = {by(split, caller=caller, protocol_call_id=f"{n}@x") for n in range(100)}
        assert len(sides) == 2
        assert len({by(split, caller=caller, protocol_call_id="1@x") for _ in range(5)}) == 1


def test_shares_that_follow_each_other_are_dealt_anew_unless_they_share_a_salt() -> None:
    def taken(**second: Any) -> int:
        desk = book({"flow": "a", "percent": 50}, {"flow": "b", "percent": 50, **second}, default_flow="c")
        return sum(by(desk, caller=f"caller{n}").startswith("b") for n in range(4000))

    assert abs(taken() - 1000) < 120
    with pytest.raises(ConfigError, match="never reached"):
        taken(salt="a")


_digits = st.text("0123456789", min_size=1, max_size=6)
_routes = st.lists(
    st.fixed_dictionaries(
        {"flow": st.sampled_from("abc")},
        optional={
            "number": st.builds(str.__add__, _digits, st.sampled_from(["", "*", "?"])),
            "caller": st.builds(str.__add__, _digits, st.just("*")),
            "kind": st.sampled_from(["direct", "hosted", "browser"]),
            "days": st.sampled_from(["mon-fri", "sat"]),
            "percent": st.integers(1, 99),
        },
    ),
    max_size=5,
)


@given(_routes, _digits, _digits, st.sampled_from(["direct", "hosted"]), st.integers(0, 14 * 24 * 60))
def test_the_first_route_that_holds_wins_always(
    routes: list[dict[str, Any]], called: str, caller: str, kind: Any, minutes: int
) -> None:
    try:
        desk = book(*routes, default_flow="c")
    except ConfigError:
        return  # one that is never reached, or a pattern of nothing
    at = datetime.fromtimestamp(NOON.timestamp() + 60 * minutes, UTC)
    facts = arrival(called=called, caller=caller, kind=kind, at=at)
    first = next((n for n, one in enumerate(desk.router.routes, 1) if one.against(facts) is None), None)
    decision = desk.router.decide(facts)
    assert decision.by == ("default_flow" if first is None else f"routes.{first}")
    assert [one.place for one in decision.passed] == list(range(1, first or len(routes) + 1))
    assert all(not one.condition.holds(facts) for one in decision.passed)
    assert desk.router.decide(replace(facts)) == decision
