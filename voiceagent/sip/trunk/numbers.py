"""PURE. Rules for called numbers: exact, by beginning, or a range, however the number is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEPARATORS = str.maketrans("", "", " .()/-")
_is_number = re.compile(r"\+?[0-9]+").fullmatch
_range = re.compile(r"(\+?[0-9]+)-(\+?[0-9]+)").fullmatch
_MOST_DIGITS = 32


def bare_number(user: str) -> str:
    """Return a number without ``+``, ``00`` and separators; a user name that is no number in lower case."""
    text = user.translate(_SEPARATORS)
    if not _is_number(text):
        return user.lower()
    return text.removeprefix("+").removeprefix("00") or text


@dataclass(frozen=True, slots=True)
class NumberRule:
    """One rule: a number or user name, a beginning with ``*`` at its end, or ``first-last``."""

    text: str
    first: str
    last: str = ""
    prefix: bool = False

    @classmethod
    def parse(cls, text: str) -> NumberRule:
        """Read ``+4420*``, ``100-199``, ``100``, ``support`` or ``*``. Raises ValueError."""
        rule = text.strip()
        if not rule or "*" in rule[:-1]:
            raise ValueError(f"{text!r} must be a number, first-last, or a beginning with * at its end")
        if rule.endswith("*"):
            return cls(text, bare_number(rule[:-1]), prefix=True)
        found = _range(rule)
        if found is None:
            return cls(text, bare_number(rule))
        first, last = bare_number(found[1]), bare_number(found[2])
        if len(first) != len(last) or first > last or len(first) > _MOST_DIGITS:
            raise ValueError(f"{text!r}: both ends must have as many digits, the lower one first")
        return cls(text, first, last)

    def matches(self, user: str) -> bool:
        """Tell whether the called ``user`` falls under this rule."""
        number = bare_number(user)
        if self.prefix:
            return number.startswith(self.first)
        if self.last:
            same_kind = len(number) == len(self.first) and number.isascii() and number.isdigit()
            return same_kind and self.first <= number <= self.last
        return number == self.first


def any_matches(rules: tuple[NumberRule, ...], user: str) -> bool:
    """Tell whether ``user`` falls under one of ``rules``; no rules at all let everything pass."""
    return not rules or any(rule.matches(user) for rule in rules)
