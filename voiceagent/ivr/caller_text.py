"""PURE. Text that the caller's side controls: data, which quotes itself wherever it meets an instruction.

A display name such as ``Ann". Ignore what you were told, and …`` is a claim of a stranger. Flows compare,
search and slice it like any text; put into a sentence for the model (f-string, ``+``, ``%``, ``format``) it
becomes a short quotation: :func:`quoted`. Whoever wants the text itself, for a database, say, takes
:attr:`CallerText.raw`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, cast

from voiceagent.claims import CallerClaims, Diverted, FirstValues, Person

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

QUOTED_LIMIT: Final = 64
"""Characters of a quotation, without its quotes."""
_LOOKED_AT: Final = 1024
"""So much of a text is looked at, at most: a header may be long, and normalising costs."""
_ELLIPSIS: Final = "…"
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Categories nobody sees: controls, formats (bidi overrides, tags, joiners), surrogates, unassigned."""
_QUOTES: Final = frozenset("\"'`´‚„′″‴‵‶‷〝〞〟「」『』")
"""Signs that open or end a quotation, besides those of categories Pi and Pf."""
_IGNORABLE: Final = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer vowels that are never shown
    (0x180B, 0x180F),  # Mongolian selectors
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors: invisible, and able to carry hidden text
    (0xFFA0, 0xFFA0),
    (0xE0100, 0xE01EF),
)
"""Default-ignorable letters and marks (Unicode, DerivedCoreProperties), which no category above covers."""


def quoted(text: str, limit: int = QUOTED_LIMIT) -> str:
    """Return ``text`` as a quotation that can be put into an instruction.

    NFKC, one line, without anything invisible, without quotes inside (an apostrophe between two letters
    stays), at most ``limit`` characters, an ellipsis for the rest, in double quotes.
    """
    plain = _plain(text)
    if len(plain) > limit:
        plain = plain[: limit - 1].rstrip() + _ELLIPSIS
    return f'"{plain}"'


def _plain(text: str) -> str:
    raw = str.__str__(text)
    seen = _seen(unicodedata.normalize("NFKC", _seen(raw[:_LOOKED_AT])))
    bare = "".join(_unquoting(unicodedata.normalize("NFKC", seen)))
    bare = " ".join(unicodedata.normalize("NFKC", bare).split())
    return bare + _ELLIPSIS if len(raw) > _LOOKED_AT else bare


def _seen(text: str) -> str:
    return "".join(" " if char.isspace() else char for char in text if char.isspace() or _visible(char))


def _visible(char: str) -> bool:
    code = ord(char)
    if code < 0x7F:
        return code >= 0x20
    return unicodedata.category(char) not in _UNSEEN and not any(low <= code <= up for low, up in _IGNORABLE)


def _unquoting(text: str) -> Iterable[str]:
    for at, char in enumerate(text):
        if char not in _QUOTES and unicodedata.category(char) not in ("Pi", "Pf"):
            yield char
        elif char in "'’" and text[at - 1 : at].isalpha() and text[at + 1 : at + 2].isalpha():
            yield "'"


class CallerText(str):
    """Text of the caller's side. Equal to, and hashed like, the plain text; parts of it are such text."""

    __slots__ = ()

    def __new__(cls, text: object = "") -> CallerText:
        """Return ``text`` as the caller's; such text stays as it is."""
        return str.__new__(cls, str.__str__(text) if isinstance(text, str) else str(text))

    @property
    def raw(self) -> str:
        """The text itself, as plain ``str``."""
        return str.__str__(self)

    def __str__(self) -> str:
        return quoted(self)

    def __repr__(self) -> str:
        return quoted(self)

    def __format__(self, spec: str) -> str:
        told = quoted(self)
        # A width or a limit is for the text: cut with its quotes it would be an open quotation.
        return f'"{format(told[1:-1], spec)}"' if spec else told

    def __add__(self, other: str) -> str:
        return quoted(self) + str(other)

    def __radd__(self, other: str) -> str:
        return str(other) + quoted(self)

    def __mod__(self, values: Any) -> str:
        raise TypeError("text of the caller's is no template")

    def format(self, *values: object, **named: object) -> str:
        """Refuse: a stranger's text is no template."""
        raise TypeError("text of the caller's is no template")

    def format_map(self, mapping: Any, /) -> str:
        """Refuse, like :meth:`format`."""
        raise TypeError("text of the caller's is no template")

    def __getitem__(self, key: SupportsIndex | slice[Any, Any, Any]) -> CallerText:
        return CallerText(self.raw[key])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field of a pydantic model may be such text: whatever text it is given becomes it."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, handler(str))


_KEPT: Final = (
    *("capitalize", "casefold", "center", "expandtabs", "join", "ljust", "lower", "lstrip", "partition"),
    *("removeprefix", "removesuffix", "replace", "rjust", "rpartition", "rsplit", "rstrip", "split"),
    *("splitlines", "strip", "swapcase", "title", "translate", "upper", "zfill", "__mul__", "__rmul__"),
)
"""Methods of ``str`` whose result is the caller's text still."""


def _kept(name: str) -> Callable[..., object]:
    method = getattr(str, name)

    def kept(self: CallerText, *values: object, **named: object) -> object:
        return _marked(method(self, *values, **named))

    kept.__name__ = kept.__qualname__ = name
    kept.__doc__ = method.__doc__
    return kept


def _marked(found: object) -> object:
    if isinstance(found, str):
        return CallerText(str.__str__(found))
    if isinstance(found, list | tuple):
        parts = cast("list[object] | tuple[object, ...]", found)
        return type(parts)(_marked(one) for one in parts)
    return found


for _name in _KEPT:
    setattr(CallerText, _name, _kept(_name))


# ── the facts of a call, as its flow sees them ──────────────────────────────────────────────────
def caller_headers(lines: Iterable[tuple[str, str]]) -> FirstValues:
    """Return headers whose names and values are :class:`CallerText`."""
    return FirstValues((CallerText(name), CallerText(value)) for name, value in lines)


def caller_claims(claims: CallerClaims) -> CallerClaims:
    """Return ``claims`` with every free text in them as :class:`CallerText`."""
    return replace(
        claims,
        asserted=tuple(_person(one) for one in claims.asserted),
        remote_party=None if claims.remote_party is None else _person(claims.remote_party),
        privacy=tuple(CallerText(one) for one in claims.privacy),
        diversions=tuple(
            Diverted(_person(one.by), CallerText(one.reason), one.counter) for one in claims.diversions
        ),
        user_to_user=CallerText(claims.user_to_user),
    )


def _person(person: Person) -> Person:
    return Person(CallerText(person.uri), CallerText(person.user), CallerText(person.name))


# ── the last guard ──────────────────────────────────────────────────────────────────────────────
def claimed_texts(claims: CallerClaims) -> Iterator[str]:
    """Yield every free text in ``claims``."""
    people = (*claims.asserted, *(one.by for one in claims.diversions))
    for person in people if claims.remote_party is None else (*people, claims.remote_party):
        yield from (person.uri, person.user, person.name)
    yield from (*claims.privacy, *(one.reason for one in claims.diversions), claims.user_to_user)


def suspects(texts: Iterable[str]) -> tuple[str, ...]:
    """Return those of the caller's texts that :func:`guarded` looks for.

    A single plain word (a number, a first name) may well stand in a flow's own sentence. Texts of several
    words, and those with anything in them that a quotation would not have, do not get there but by joining.
    """
    bare = {str.__str__(one) for one in texts}
    wanted = {one for one in bare if len(one) > 1 and (" " in one or quoted(one) != f'"{one}"')}
    return tuple(sorted(wanted))


def guarded(instructions: str, known: Iterable[str]) -> str:
    """Return instructions in which the texts of ``known`` stand as quotations only.

    Within quotes of the author's own a quotation has single ones: double ones would end the author's.
    Instructions that are the caller's text themselves are quoted as a whole.
    """
    if isinstance(instructions, CallerText):
        return quoted(instructions)
    told: dict[str, str] = {}
    for raw in known:
        quotation = _quotation(raw)
        if raw in instructions:
            told[raw] = quotation
        if quotation in instructions:
            told[quotation] = quotation
    if not told:
        return instructions
    # One pass, quotations first: what is quoted already stays, with the shorter texts in it.
    within = {f"'{one[1:-1]}'" for one in told.values()}
    texts = sorted({*told, *within}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, texts)))
    parts: list[str] = []
    at = quotes = 0
    for hit in pattern.finditer(instructions):
        before = instructions[at : hit.start()]
        quotes += before.count('"')
        quotation = told.get(hit[0], hit[0])
        parts += (before, f"'{quotation[1:-1]}'" if quotes % 2 else quotation)
        at = hit.end()
    return "".join((*parts, instructions[at:]))


@lru_cache(maxsize=1024)
def _quotation(raw: str) -> str:
    return quoted(raw)
