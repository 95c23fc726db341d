"""PURE. What must not stand in a log: secrets, whole phone numbers, control characters, endless fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

FIELD_BYTES = 2048
"""Longest text of one field, in bytes of UTF-8; the rest is cut off and counted."""
DEPTH = 6
"""How deep nested values are followed."""
ITEMS = 100
"""How many items of one list or mapping are kept."""
HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(
    r"(?:^|[._\- ])(?:authorization|proxy-authorization|cookie|set-cookie|password|passwd|secret|api[_-]?key|"
    r"credential|credentials|private[_-]?key|session[_-]?id)(?:$|[._\- ])|(?:^|[._\- ])token$|[a-z]+_secret$",
    re.IGNORECASE,
)
_SECRET_TEXT = (
    # Schemes of Authorization headers, provider keys, and name=value pairs that name a secret.
    (re.compile(r"\b(Bearer|Basic|Digest)\s+[^\s,;]{6,}(?:,[^\n]*)?", re.IGNORECASE), r"\1 " + HIDDEN),
    # Keys of SDP security descriptions (RFC 4568).
    (re.compile(r"\b(inline:)\s*[A-Za-z0-9+/=]{8,}[^\s,;]*", re.IGNORECASE), r"\1" + HIDDEN),
    (re.compile(r"\b(?:sk|ek|pk|rk|xai|whsec)[-_][A-Za-z0-9_\-/+=]{8,}"), HIDDEN),
    (
        re.compile(
            r"\b(token|api[_-]?key|password|passwd|secret|signature)(\s*[=:]\s*)[^\s&,;]{3,}", re.IGNORECASE
        ),
        r"\1\2" + HIDDEN,
    ),
)
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.\-_])(?!\d{4}-\d\d-\d\d)(\+?)([0-9][0-9 ()\-]{5,}[0-9])(?![0-9A-Za-z_]|[.:][0-9])",
    re.ASCII,
)
"""Seven digits or more as people and SIP write them, not part of an id, an address, a date or a decimal."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line and paragraph separators, direction overrides (they reorder what one reads), and
lone surrogates (UTF-8 cannot carry them)."""


def mask_number(number: str) -> str:
    """Keep the country and the last two digits of a phone number: ``+44********23``.

    Numbers of fewer than seven digits (extensions, short codes) stay: they name nobody outside.
    """
    digits = [char for char in number if char.isascii() and char.isdigit()]
    if len(digits) < 7:
        return number
    plus = "+" if number.lstrip().startswith("+") else ""
    keep = 2 if plus else 0
    return plus + "".join(digits[:keep]) + "*" * (len(digits) - keep - 2) + "".join(digits[-2:])


def clean_text(text: str, *, numbers: bool = True) -> str:
    """Return ``text`` fit for one line of a log."""
    # Cut first: what follows is linear, but a megabyte of it is still a megabyte.
    cut = 0
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > FIELD_BYTES:
        cut = len(encoded) - FIELD_BYTES
        text = encoded[:FIELD_BYTES].decode("utf-8", "ignore")
    text = hide_secret_values(text)
    if numbers:
        text = _NUMBER.sub(_mask_match, text)
    text = _CONTROL.sub(_escape, text)
    return f"{text}…[{cut} bytes more]" if cut else text


def hide_secret_values(text: str) -> str:
    """Return ``text`` without what looks like a password, a token or a key."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def redact(name: str, value: object, *, depth: int = 0) -> Any:
    """Return ``value`` of the field ``name`` as it may be written down."""
    if _SECRET_NAME.search(name):
        return value if value is None or isinstance(value, bool) else HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bytes | bytearray):
        return f"[{len(value)} bytes]"
    if depth >= DEPTH:
        return "[…]"
    if isinstance(value, Mapping):
        items = list(cast("Mapping[Any, Any]", value).items())
        kept = {clean_text(str(key)): redact(str(key), item, depth=depth + 1) for key, item in items[:ITEMS]}
        if len(items) > ITEMS:
            kept["…"] = f"[{len(items) - ITEMS} more]"
        return kept
    if isinstance(value, Sequence | set | frozenset):
        found = list(cast("Sequence[Any]", value))
        listed = [redact(name, item, depth=depth + 1) for item in found[:ITEMS]]
        return [*listed, f"[{len(found) - ITEMS} more]"] if len(found) > ITEMS else listed
    return clean_text(str(value))


def _mask_match(match: re.Match[str]) -> str:
    return mask_number(match.group(0))


def _escape(match: re.Match[str]) -> str:
    return match.group(0).encode("unicode_escape").decode("ascii")
