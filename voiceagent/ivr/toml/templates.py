"""PURE. Texts with names in braces: ``Your balance is {balance}.``; ``{{`` and ``}}`` stand for braces.

A template is looked at when the flow is read, so that at run time nothing of the caller's is ever taken for a
template: what is filled in is never looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FACTS = ("caller", "caller_name", "called")
"""Names that every call knows."""
PREFIXES = ("header.", "metadata.")
"""Beginnings of names that a call may know: absent means an empty text."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*|(?:header|metadata)\.[A-Za-z0-9_.\-]+")


class BadTemplate(ValueError):
    """A brace without its partner, or a name that cannot be one."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name in braces."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text in parts: plain text, and names to fill in."""

    parts: tuple[str | Name, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(part.name for part in self.parts if isinstance(part, Name))

    @property
    def alone(self) -> str | None:
        """The name, where the template is one name and nothing else."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Name):
            return self.parts[0].name
        return None


def parse_template(text: str) -> Template:
    """Return ``text`` in parts. Raises :class:`BadTemplate` saying what is wrong."""
    return Template(tuple(_joined(_parts(text))))


def known_to_every_call(name: str) -> bool:
    """Return whether ``name`` needs no step to set it."""
    return name in FACTS or name.startswith(PREFIXES)


def _parts(text: str) -> Iterator[str | Name]:
    at = 0
    for token in _TOKEN.finditer(text):
        yield text[at : token.start()]
        at = token.end()
        match token.group():
            case "{{" | "}}":
                yield token.group()[0]
            case "{" | "}":
                raise BadTemplate(
                    f"a {token.group()} without its partner (write {token.group() * 2} for the sign)"
                )
            case _:
                name = token.group(1).strip()
                if _NAME.fullmatch(name) is None:
                    raise BadTemplate(f"{{{name}}} is no name (write {{{{ and }}}} for braces)")
                yield Name(name)
    yield text[at:]


def _joined(parts: Iterator[str | Name]) -> Iterator[str | Name]:
    plain = ""
    for part in parts:
        if isinstance(part, str):
            plain += part
            continue
        if plain:
            yield plain
        plain = ""
        yield part
    if plain:
        yield plain
