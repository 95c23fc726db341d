"""PURE. Telephone numbers as people write them: which are the same, and who called in a journal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

_SEPARATORS = re.compile(r"[\s().\-/]")
_SCHEME = re.compile(r"(?:sips?|tel):([^@;]*)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:\+|00)?([0-9]{3,18})")


def plain_number(written: str) -> str:
    """Return what is compared: the digits of a number without ``+`` or ``00``; a name as it is, in one case.

    ``+44 20 7183 8750``, ``00442071838750`` and ``sip:+442071838750@host`` are one number; ``020 7183 8750``
    is another, for nobody can tell which country it is of.
    """
    found = _SCHEME.match(written.strip())
    bare = found[1] if found else written.strip()
    digits = _NUMBER.fullmatch(_SEPARATORS.sub("", bare))
    return digits[1] if digits else bare.casefold()


def mentions(text: str, number: str) -> bool:
    """Return whether a text holds a plain number, or a name as a whole word."""
    if number.isdigit():
        return re.search(rf"(?<![0-9]){number}(?![0-9])", _BETWEEN_DIGITS.sub("", text)) is not None or (
            re.search(rf"(?<![0-9])(?:00)?{number}(?![0-9])", text) is not None
        )
    return re.search(rf"(?<!\w){re.escape(number)}(?!\w)", text.casefold()) is not None


def mentions_in_json(text: str, number: str) -> bool:
    """… in JSON, where characters may stand as escapes."""
    if mentions(text, number):
        return True
    if "\\" not in text or (number.isdigit() and "\\u" not in text):
        return False
    return mentions(_ESCAPE.sub(_meant, text), number)


_ESCAPE = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\(.)")


def _meant(found: re.Match[str]) -> str:
    if found[1]:
        units = bytes.fromhex(found[1].replace("\\u", ""))
        return units.decode("utf-16-be", "replace")
    return {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}.get(found[2], found[2])


def may_mention(body: bytes, number: str) -> bool:
    """Return False where :func:`mentions_in_json` would, too, for sure: a fast look into a long file."""
    if b"\\u" in body or (b"\\" in body and not number.isdigit()):
        return True  # characters may stand as escapes
    if number.isdigit():
        return number.encode() in body.translate(None, _NO_DIGITS)
    return not (number.isascii() and body.isascii()) or number.encode() in body.lower()


_NO_DIGITS = bytes(code for code in range(256) if not 0x30 <= code <= 0x39)
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9)])[ .\-/()]{1,3}(?=[0-9(])")


def other_side(direction: str, caller: str, called: str) -> str:
    """Return the person of a call: who called, or whom we called."""
    return called if direction == "outbound" else caller


def persons_of(entry: Mapping[str, Any], direction: str) -> str | None:
    """Return whom an entry of a journal names as the call's other side; None where it names nobody."""
    kind = entry.get("type")
    told: object = entry.get("info") if kind == "in.call" else entry
    if kind not in ("call.offered", "call.party_changed", "in.call") or not isinstance(told, Mapping):
        return None
    info = cast("Mapping[str, Any]", told)
    caller, called = str(info.get("caller", "")), str(info.get("called", ""))
    return other_side(str(info.get("direction", direction)), caller, called) or None
