"""Settings of routes: ``[[routes]]``, in order. A mistake is one line naming ``routes.N.field``, N from 1."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from voiceagent.errors import ConfigError
from voiceagent.ivr.routing.conditions import Condition, Header, Number, OfKind, Open, Share, Trunk
from voiceagent.ivr.routing.patterns import ANY, Pattern
from voiceagent.ivr.routing.router import Route, check_reach, did_you_mean
from voiceagent.ivr.routing.times import Times, parse_days, parse_hours
from voiceagent.settings.base import Section
from voiceagent.settings.tables import read_tables

MOST_ROUTES = 1000
_is_header = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}").fullmatch


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _dates(value: object) -> object:
    """Take dates of TOML and ISO text; nothing else is a date."""
    several = cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
    return tuple(_date(one) for one in several)


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f'{value!r} must be a date: "2026-12-24"')


Several = Annotated[tuple[str, ...], BeforeValidator(_several)]
Dates = Annotated[tuple[date, ...], BeforeValidator(_dates)]


class HeaderSettings(Section):
    """A header of the INVITE (or of the offer) and what it must hold."""

    name: str
    equals: Annotated[str, Field(max_length=256)] | None = None
    matches: str | None = None

    @model_validator(mode="after")
    def _one(self) -> HeaderSettings:
        if _is_header(self.name) is None:
            raise ValueError(f"name {self.name!r} is no name of a header")
        if (self.equals is None) == (self.matches is None):
            raise ValueError("needs either equals or matches")
        if self.matches is not None:
            Pattern.of(self.matches)
        return self


class RouteSettings(Section):
    """One route: a call for which all that stands here holds goes to ``flow``."""

    flow: Annotated[str, Field(min_length=1)] = Field(description="Name of the flow that answers.")
    number: Several = Field(
        default=(),
        description="Called numbers: exact, or with `*` any run, `?` one character, `[0-9]` one of a set.",
    )
    trunk: Several = Field(default=(), description="Trunks over which it comes. Hosted calls come over none.")
    kind: Literal["direct", "hosted", "browser"] | None = Field(
        default=None,
        description="direct: we terminate the call; hosted: the provider does; browser: the page calls.",
    )
    caller: Several = Field(
        default=(), description="Who calls, written as number; a claim of the caller's side, never a proof."
    )
    header: HeaderSettings | None = Field(
        default=None,
        description='A header that the trunk is trusted with: {name = "X-Campaign", equals = "spring"}, '
        "or matches = a pattern. Letter case counts.",
    )
    days: Several = Field(default=(), description="mon-fri, sat …; of the day on which hours began.")
    hours: Several = Field(default=(), description="09:00-17:30, the end excluded; may go over midnight.")
    dates: Dates = Field(default=(), description="Only on these days: 2026-12-24.")
    except_dates: Dates = Field(default=(), description="Not on these days.")
    timezone: str = Field(default="UTC", description="Whose wall clock days, hours and dates mean.")
    percent: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        default=100, description="So many of a hundred callers; one caller of a number always has the same."
    )
    salt: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Another word deals the callers of percent anew; default: the flow's name."
    )

    @field_validator("number", "caller")
    @classmethod
    def _numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            Pattern.of_number(one)
        return value

    @field_validator("days")
    @classmethod
    def _days(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_days(value)
        return value

    @field_validator("hours")
    @classmethod
    def _hours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            parse_hours(one)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except Exception:  # it raises whatever its file system does: OSError, ValueError, KeyError
            raise ValueError("is no time zone known here, such as Europe/London") from None
        return value

    @property
    def route(self) -> Route:
        """The route as it is decided by."""
        return Route(self.flow, tuple(self._conditions()))

    def _conditions(self) -> Sequence[Condition]:
        found: list[Condition] = []
        number, caller = (
            tuple(Pattern.of_number(one) for one in texts) for texts in (self.number, self.caller)
        )
        if number and not any(one.glob == ANY for one in number):
            found.append(Number("number", number))
        if self.kind is not None:
            found.append(OfKind(self.kind))
        if self.trunk:
            found.append(Trunk(self.trunk))
        if caller and not any(one.glob == ANY for one in caller):
            found.append(Number("caller", caller))
        if self.header is not None:
            matches = self.header.matches
            pattern = None if matches is None else Pattern.of(matches)
            found.append(Header(self.header.name, self.header.equals, pattern))
        if self.days or self.hours or self.dates or self.except_dates:
            found.append(Open(self._times()))
        if self.percent < 100:
            found.append(Share(self.percent, self.salt or self.flow))
        return found

    def _times(self) -> Times:
        return Times(
            ZoneInfo(self.timezone),
            parse_days(self.days),
            tuple(parse_hours(one) for one in self.hours),
            frozenset(self.dates),
            frozenset(self.except_dates),
        )


def read_routes(value: Any) -> tuple[RouteSettings, ...]:
    """Read all routes. Raises ConfigError naming ``routes.N.field``."""
    return read_tables(
        value,
        "routes",
        RouteSettings,
        most=MOST_ROUTES,
        # What we refuse ourselves names the value in its own words.
        shows=lambda kind, field: kind != "value_error" or field == "timezone",
    )


def check_routes(routes: Sequence[RouteSettings], default_flow: str, trunks: Collection[str]) -> None:
    """Raise ConfigError for an unknown trunk, and for a route that is never reached."""
    for place, route in enumerate(routes, 1):
        for name in route.trunk:
            if name not in trunks:
                raise ConfigError(
                    f"routes.{place}.trunk", f"there is no trunk {name!r}{did_you_mean(name, trunks)}"
                )
    check_reach([one.route for one in routes], default_flow)
