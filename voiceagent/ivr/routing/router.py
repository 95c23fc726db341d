"""PURE. The decision: which flow answers a call, by what, and what was passed over."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from voiceagent.errors import ConfigError
from voiceagent.ivr.routing.conditions import Arrival, Condition
from voiceagent.ivr.routing.patterns import ANY, normal_number


@dataclass(frozen=True, slots=True)
class Route:
    """One route: calls for which all conditions hold go to ``flow``."""

    flow: str
    conditions: tuple[Condition, ...] = ()

    def against(self, arrival: Arrival) -> Condition | None:
        """Return the first condition that does not hold, or None: the route takes the call."""
        for one in self.conditions:
            if not one.holds(arrival):
                return one
        return None

    def covers(self, other: Route) -> bool:
        """Tell whether every call that ``other`` would take is surely taken by this route."""
        return all(any(mine.covers(one) for one in other.conditions) for mine in self.conditions)


class Passed(NamedTuple):
    """A route that did not take the call. ``place`` counts from 1."""

    place: int
    route: Route
    condition: Condition


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers. Without a flow the caller gets 404."""

    flow: str | None
    by: str
    """``hosted.numbers``, ``routes.2``, ``numbers``, ``default_flow``, ``any number``, or ``nobody``."""
    passed: Sequence[Passed] = ()


@dataclass(frozen=True, slots=True)
class Router:
    """Everything that picks a flow. First match wins, in the order of the fields.

    Flows are named, ``numbers`` are as :func:`~voiceagent.ivr.routing.patterns.normal_number` gives them.
    """

    hosted_numbers: Mapping[str, str] = field(default_factory=dict[str, str])
    """For hosted calls alone."""
    routes: Sequence[Route] = ()
    numbers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The flows' own numbers; ``*`` is looked at last of all."""
    default_flow: str = ""

    def decide(self, arrival: Arrival) -> Decision:
        """Pick the flow of a call. The same arrival gets the same decision, always."""
        number = arrival.number
        if arrival.kind == "hosted" and number in self.hosted_numbers:
            return Decision(self.hosted_numbers[number], "hosted.numbers")
        passed: list[Passed] = []
        for place, route in enumerate(self.routes, 1):
            condition = route.against(arrival)
            if condition is None:
                return Decision(route.flow, f"routes.{place}", passed)
            passed.append(Passed(place, route, condition))
        if number != ANY and number in self.numbers:
            return Decision(self.numbers[number], "numbers", passed)
        if self.default_flow:
            return Decision(self.default_flow, "default_flow", passed)
        if ANY in self.numbers:
            return Decision(self.numbers[ANY], "any number", passed)
        return Decision(None, "nobody", passed)

    def check_names(self, names: Collection[str]) -> None:
        """Raise ConfigError, naming the setting, where a flow is meant that does not exist."""
        for number, name in self.hosted_numbers.items():
            _known("hosted.numbers", name, names, f"{number}: ")
        for place, route in enumerate(self.routes, 1):
            _known(f"routes.{place}.flow", route.flow, names)
        if self.default_flow:
            _known("default_flow", self.default_flow, names)


def check_reach(routes: Sequence[Route], default_flow: str = "") -> None:
    """Raise ConfigError for a route (or a default) that an earlier one leaves no call."""
    for place, route in enumerate(routes, 1):
        for before, earlier in enumerate(routes[: place - 1], 1):
            if earlier.covers(route):
                what = "every call" if not earlier.conditions else "all of its calls"
                raise ConfigError(f"routes.{place}.flow", f"is never reached: routes.{before} takes {what}")
    for place, route in enumerate(routes, 1):
        if default_flow and not route.conditions:
            raise ConfigError("default_flow", f"is never reached: routes.{place} takes every call")


def normal_numbers(numbers: Mapping[str, str]) -> dict[str, str]:
    """Return numbers to flow names, keyed as numbers are compared."""
    return {normal_number(number): name for number, name in numbers.items()}


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return ``; did you mean 'x'?`` for a name that is nearly known, else what there is."""
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known) or 'none'}"


def _known(setting: str, name: str, names: Collection[str], prefix: str = "") -> None:
    if name not in names:
        raise ConfigError(setting, f"{prefix}there is no flow {name!r}{did_you_mean(name, names)}")
