"""PURE. Numbers as they are compared; patterns: ``*`` any run, ``?`` one character, ``[0-9]`` one of a set.

Patterns are data. They are matched without backtracking, on text of limited length, and never executed.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field

PATTERN_CHARS = 128
"""Longest pattern."""
TEXT_CHARS = 1024
"""Longest text that a pattern is tried on; a longer one matches nothing."""
ANY = "*"

_SEPARATORS = re.compile(r"[\s().\-]")
_token = re.compile(r"\[[^\]]*\]|.", re.DOTALL)
_range = re.compile(r"\+?([0-9]{1,32})-\+?([0-9]{1,32})").fullmatch
_digits_of_set = re.compile(r"\[!?[0-9\-]+\]").fullmatch


def normal_number(number: str) -> str:
    """Return ``number`` without separators and leading ``+`` or ``00``; other users in lower case."""
    bare = _SEPARATORS.sub("", number)
    if bare.startswith("+"):
        bare = bare[1:]
    elif bare.startswith("00") and bare.isdigit():
        bare = bare[2:]
    return bare if bare.isdigit() else number.strip().lower()


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern. Two that mean the same are equal."""

    text: str = field(compare=False)
    """As it was written."""
    glob: str
    """As it is matched."""
    _matches: re.Pattern[str] = field(compare=False, repr=False)

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Read a pattern for text in which letter case counts. Raises ValueError."""
        return cls._made(text, "".join(_tokens(text)))

    @classmethod
    def of_number(cls, text: str) -> Pattern:
        """Read ``+4420*``, ``1[0-9]?``, ``100``, ``sales-*`` or ``*`` for numbers. Raises ValueError."""
        tokens = _tokens(text.strip())
        span = _range(text.strip())
        if span is not None and len(span[1]) == len(span[2]) and span[1] < span[2]:
            raise ValueError(f"{text!r} looks like a range; write it with [0-9], ? and *, or without the -")
        kept = [one for one in tokens if not _SEPARATORS.fullmatch(one)]
        plus = kept[:1] == ["+"]
        kept = kept[1:] if plus else kept
        is_number = all(one in "*?" or one.isdigit() or _digits_of_set(one) for one in kept)
        if not is_number:
            return cls._made(text, "".join(tokens).lower())
        prefixed = plus
        if not plus and kept[:2] == ["0", "0"]:
            kept, prefixed = kept[2:], True
        glob = re.sub(r"\*+", ANY, "".join(kept))
        if not glob or (prefixed and glob == ANY):
            raise ValueError(f"{text!r} leaves nothing to compare: + and 00 do not count; * is any number")
        return cls._made(text, glob)

    @classmethod
    def _made(cls, text: str, glob: str) -> Pattern:
        return cls(text, glob, re.compile(fnmatch.translate(glob)))

    @property
    def literal(self) -> bool:
        """True when exactly one text matches."""
        return not any(char in "*?[" for char in self.glob)

    def matches(self, text: str) -> bool:
        """Tell whether ``text`` (a number: as :func:`normal_number` gives it) falls under this pattern."""
        return len(text) <= TEXT_CHARS and self._matches.match(text) is not None

    def covers(self, other: Pattern) -> bool:
        """Tell whether all that ``other`` matches is surely matched by this pattern, too."""
        if self.glob in (ANY, other.glob):
            return True
        if other.literal:
            return self.matches(other.glob)
        head = self.glob[:-1]
        begins = self.glob.endswith(ANY) and not any(char in "*?[" for char in head)
        return begins and other.glob.startswith(head)


def _tokens(text: str) -> list[str]:
    """Split a pattern into characters and ``[…]`` sets. Raises ValueError."""
    if not text:
        raise ValueError("is empty")
    if len(text) > PATTERN_CHARS:
        raise ValueError(f"is longer than {PATTERN_CHARS} characters")
    tokens = _token.findall(text)
    for one in tokens:
        if one == "[":
            raise ValueError(f"{text!r} opens a [ that is not closed")
        if one.startswith("["):
            _check_set(one, text)
    return tokens


def _check_set(one: str, text: str) -> None:
    inner = one[1:-1].removeprefix("!")
    if not inner:
        raise ValueError(f"{text!r} has an empty []")
    if "[" in inner:
        raise ValueError(f"{text!r} has a [ within []")
    for first, last in re.findall(r"(.)-(.)", inner):
        if first > last:
            raise ValueError(f"{text!r}: [{first}-{last}] runs backwards")
