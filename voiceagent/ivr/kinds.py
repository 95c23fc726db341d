"""PURE. From what was typed or said to a value of a type: what ``collect(prompt, kind)`` gives back.

Pydantic judges: any type of one value will do (``int``, ``date``, an Enum, a Literal, ``Annotated`` with
constraints or validators). The same words may be read in several ways ("four double one" as 411, "12 May
2026" as a date, "ann at example dot com" as an address); the first reading that is valid counts.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from voiceagent.errors import ConfigError
from voiceagent.ivr import hints
from voiceagent.ivr.languages import ENGLISH, Language
from voiceagent.ivr.matching import match_option, match_yes_no, spoken_digits, words

TEXT_LIMIT = 1000
"""So many characters of one turn are looked at; a longer one is no answer to a question."""
NUMBER_DIGITS = 16
"""The longest number that is typed where the question does not say how long it is."""
DATE_DIGITS = 8
"""A date is typed as day, month, year (31122026), or as year, month, day."""

_SEVERAL = (list, tuple, set, frozenset, dict, Mapping, Sequence)


class Kind:
    """One type that an answer must have."""

    def __init__(self, given: Any, language: Language = ENGLISH) -> None:
        """Raise ConfigError for a type that holds more than one value, or none."""
        self._language = language
        base: Any = get_args(given)[0] if get_origin(given) is Annotated else given
        self._refuse(base)
        self.base: Any = base
        self.is_text = given is str
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(given)
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError) as error:
            raise ConfigError("collect kind", f"{_name(given)} cannot be validated: {error}") from error

    @staticmethod
    def _refuse(base: Any) -> None:
        origin: Any = get_origin(base) or base
        several = dataclasses.is_dataclass(origin) or hasattr(origin, "__required_keys__")
        if several or (_is_class(origin, BaseModel, *_SEVERAL) and not _is_class(origin, str, bytes)):
            raise ConfigError("collect kind", f"{_name(base)} holds several values: ask for each by itself")
        if base is None or base is Any or (origin in (Union, UnionType) and type(None) in get_args(base)):
            raise ConfigError("collect kind", "must be a type without None, which means that nothing came")

    # ── what the caller may do ──────────────────────────────────────────────────────────────────
    @property
    def keys(self) -> tuple[int, int] | None:
        """Fewest and most digits that may be typed for it; None where it is no number."""
        if self._is(date):
            return DATE_DIGITS, DATE_DIGITS
        return (1, NUMBER_DIGITS) if self._is(int, float, Decimal) else None

    @property
    def in_words(self) -> bool:
        """True where words may mean a value although digits were asked for: dates and named members."""
        return bool(self._members()) or self._is(date)

    @property
    def phrases(self) -> Mapping[str, Sequence[str]]:
        """What may be said for each member of an Enum or Literal, by a name of ours."""
        return {str(index): spoken for index, (_, spoken) in enumerate(self._members())}

    def hint(self) -> str | None:
        """Return the line for the recogniser, or None: anything may be said."""
        if self.base is bool:
            return hints.yes_or_no(self._language)
        if self._members():
            phrases = (phrase for _, spoken in self._members() for phrase in spoken)
            return hints.phrases(phrases, self._language)
        return None if self.keys is None or self._is(date) else hints.digits(*self.keys, self._language)

    def _is(self, *types: type) -> bool:
        return _is_class(self.base, *types) and not _is_class(self.base, bool, Enum)

    def _members(self) -> list[tuple[Any, tuple[str, ...]]]:
        if _is_class(self.base, Enum):
            return [(one, _phrases(one.name, one.value)) for one in self.base]
        if get_origin(self.base) is Literal:
            return [(one, _phrases(one)) for one in get_args(self.base)]
        return []

    # ── reading ─────────────────────────────────────────────────────────────────────────────────
    def read(self, text: str) -> tuple[bool, Any]:
        """Return whether ``text`` can be read as this type, and the value.

        A validator that fails otherwise than by saying so raises ConfigError, which never holds the text.
        """
        if len(text) > TEXT_LIMIT:
            return False, None
        for reading in self._readings(text.strip()):
            try:
                return True, self._adapter.validate_python(reading)
            except ValidationError:
                continue
            except Exception as error:
                # Neither its message nor its chain: they may quote what the caller typed in secret.
                problem = f"a validator raised {type(error).__name__}"
                raise ConfigError("collect kind", problem) from None
        return False, None

    def _readings(self, text: str) -> Iterator[Any]:
        if self.base is bool:
            yes = match_yes_no(text, self._language)
            yield from () if yes is None else (yes,)
        elif members := self._members():
            named = match_option(text, self.phrases, self._language)
            yield from () if named is None else (members[int(named)][0],)
            yield text
            yield from (int(text),) if text.isdecimal() else ()
        elif self._is(datetime):
            yield from (text,) if not text.isdecimal() else ()
        elif self._is(date):
            yield from _dates(text, self._language)
        elif self.keys is not None:
            yield text
            yield from filter(None, (spoken_digits(text, self._language),))
        else:
            yield text
            if not self.is_text:
                yield from _spellings(text, self._language)


def _is_class(given: Any, *types: type) -> bool:
    return isinstance(given, type) and issubclass(given, types)


def _phrases(*names: Any) -> tuple[str, ...]:
    spoken = (" ".join(words(str(name).replace("_", " "))) for name in names)
    return tuple(dict.fromkeys(each for each in spoken if each))


def _dates(text: str, language: Language) -> Iterator[date]:
    """Yield the dates that ``text`` may mean; pydantic itself would take a number for a time stamp."""
    said = set(words(text, language))
    named = ((index, words(month, language)[0]) for index, month in enumerate(language.months, 1))
    months = [index for index, month in named if {month, month[:3]} & said]
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if months:
        days = [number for number in numbers if number <= 31]
        years = [number for number in numbers if number > 999]
        parts = [(years[0], months[0], days[0])] if days and years else []
    elif len(numbers) == 3:
        first, middle, last = numbers
        parts = [(first, middle, last), (last, middle, first)]
    else:
        digits = spoken_digits(text, language)
        parts: list[tuple[int, int, int]] = []
        if len(digits) == DATE_DIGITS:
            parts.append((int(digits[4:]), int(digits[2:4]), int(digits[:2])))
            parts.append((int(digits[:4]), int(digits[4:6]), int(digits[6:])))
    for year, month, day in parts:
        if 1000 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31:
            try:
                found = date(year, month, day)
            except ValueError:
                continue
            if 1900 <= year <= 2199:
                yield found


def _spellings(text: str, language: Language) -> Iterator[str]:
    """Yield what may be meant by words that spell an address or a code."""
    bare = text.rstrip(".!?")
    yield bare
    yield re.sub(r"\s+", "", language.spelled(bare.lower()))
    yield re.sub(r"[\s.\-]+", "", bare)
    yield re.sub(r"[\s.\-]+", "", bare).upper()
    digits = spoken_digits(bare, language)
    yield from filter(None, (digits,))


def _name(given: Any) -> str:
    return getattr(given, "__name__", str(given))
