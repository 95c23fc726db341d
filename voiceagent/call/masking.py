"""PURE. Finds what was typed in secret in a text that is about to be written down, and hides it.

A text may hold the secret as it was typed, in parts (the flow took the first of many keys, or the last), cut
off, or spelled: ``7 3 9 1``, ``['7', '3', '9', '1']``. So digits are compared, whatever few signs stand
between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from voiceagent.ivr.ports import HIDDEN

LEAST = 3
"""Fewer keys in a row say too little, and would be found in every text."""
PART = 4
"""So many keys in a row are a part of the secret that is hidden."""
BETWEEN = 4
"""So many signs, none of them a letter, may stand between two digits of one secret."""


def masked(text: str, typed: Iterable[str]) -> str:
    """Return ``text`` in which every digit of what was ``typed``, or of a part of it, is hidden."""
    parts = {part for keys in typed for part in _parts(keys)}
    if not parts:
        return text
    found: set[int] = set()
    for places in _runs(text):
        digits = "".join(str(int(text[at])) for at in places)
        for part in parts:
            at = digits.find(part)
            while at >= 0:
                found.update(places[at : at + len(part)])
                at = digits.find(part, at + 1)
    return "".join(HIDDEN if at in found else char for at, char in enumerate(text)) if found else text


def told_by(text: str, typed: Iterable[str]) -> bool:
    """Return whether a whole number that stands in ``text`` is what was ``typed``, or a part of it.

    For data: there a few digits of a longer number mean nothing.
    """
    numbers = set(re.findall(rf"\d{{{LEAST},}}", text))
    if not numbers:
        return False
    return any(one == keys or (len(one) >= PART and one in keys) for keys in typed for one in numbers)


def _parts(keys: str) -> Iterator[str]:
    size = min(len(keys), PART)
    if size >= LEAST:
        yield from (keys[at : at + size] for at in range(len(keys) - size + 1))


def _runs(text: str) -> Iterator[list[int]]:
    """Yield the places of digits that belong together, as far as signs tell."""
    places: list[int] = []
    since = 0
    for at, char in enumerate(text):
        if char.isdecimal():
            places.append(at)
            since = 0
        elif places:
            since += 1
            if char.isalpha() or since > BETWEEN:
                yield places
                places = []
    if places:
        yield places
