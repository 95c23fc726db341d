"""PURE. Days, hours and dates in a time zone: when a route is open."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60

_hours = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})").fullmatch


def parse_days(texts: Iterable[str]) -> frozenset[int]:
    """Read ``mon-fri``, ``sat``, ``fri-mon``; 0 is Monday. Raises ValueError."""
    found: set[int] = set()
    for text in texts:
        first, dash, last = text.strip().lower().partition("-")
        names = [name.strip() for name in ((first, last) if dash else (first,))]
        for name in names:
            if name not in DAYS:
                raise ValueError(f"{text!r} must be a day or two with - between: {', '.join(DAYS)}")
        begin, end = DAYS.index(names[0]), DAYS.index(names[-1])
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)


def parse_hours(text: str) -> tuple[int, int]:
    """Read ``09:00-17:30`` as minutes of the day; ``22:00-06:00`` ends the day after. Raises ValueError."""
    found = _hours(text.strip())
    if found is None:
        raise ValueError(f'{text!r} must look like "09:00-17:30"')
    first, last = _minutes(found[1], found[2], text), _minutes(found[3], found[4], text)
    if first in (last, MINUTES):
        raise ValueError(f"{text!r} is no time at all; leave hours out for the whole day")
    return first, last


def _minutes(hours: str, minutes: str, text: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > MINUTES:
        raise ValueError(f"{text!r}: a day goes from 00:00 to 24:00")
    return total


@dataclass(frozen=True, slots=True)
class Times:
    """When a route is open, by the wall clock of ``zone``.

    Hours that go over midnight belong to the day on which they began: ``days = "fri"`` with
    ``hours = "22:00-06:00"`` is open on Saturday at two. The last minute named is not open any more.
    """

    zone: tzinfo
    days: frozenset[int] = frozenset()
    hours: tuple[tuple[int, int], ...] = ()
    dates: frozenset[date] = frozenset()
    except_dates: frozenset[date] = frozenset()

    def local(self, at: datetime) -> datetime:
        """Return ``at`` on this wall clock; a time without a zone already is that."""
        return at if at.tzinfo is None else at.astimezone(self.zone)

    def open(self, at: datetime) -> bool:
        """Tell whether the route is open then."""
        return any(self._against_day(day) is None for day in self._days_of(self.local(at)))

    def against(self, at: datetime) -> tuple[str, str]:
        """Return which field closes the route then, and why."""
        local = self.local(at)
        days = self._days_of(local)
        if not days:
            return "hours", f"{local:%H:%M} is outside of {', '.join(_shown(one) for one in self.hours)}"
        field, why = self._against_day(days[0]) or ("hours", "it is open")
        return field, why

    def _days_of(self, local: datetime) -> list[date]:
        """The days whose hours cover this moment: today, yesterday, both, or none."""
        today, yesterday = local.date(), local.date() - timedelta(days=1)
        if not self.hours:
            return [today]
        minute = local.hour * 60 + local.minute
        found: list[date] = []
        for first, last in self.hours:
            if first < last:
                found += [today] if first <= minute < last else []
            elif minute >= first:
                found.append(today)
            elif minute < last:
                found.append(yesterday)
        return found

    def _against_day(self, day: date) -> tuple[str, str] | None:
        if day in self.except_dates:
            return "except_dates", f"{day} is excepted"
        if self.dates and day not in self.dates:
            return "dates", f"{day} is not among {_listed(str(one) for one in sorted(self.dates))}"
        if self.days and day.weekday() not in self.days:
            return "days", f"{DAYS[day.weekday()]} is not among {_listed(DAYS[n] for n in sorted(self.days))}"
        return None


def _shown(span: tuple[int, int]) -> str:
    (first, minute), (last, end) = divmod(span[0], 60), divmod(span[1], 60)
    return f"{first:02}:{minute:02}-{last:02}:{end:02}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
