"""PURE. Header fields: an ordered multi-dict over canonical names (RFC 3261 §7.3).

Names compare without case and compact forms are expanded (``v`` is Via). Values are text with undecodable
bytes kept by surrogateescape, so every value serialises back to the bytes that came in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from voiceagent.sip.syntax.grammar_scan import WSP, is_token, split_commas

T = TypeVar("T")

_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

_KNOWN = (
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Authentication-Info",
    "Authorization",
    "Call-ID",
    "Call-Info",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Date",
    "Diversion",
    "Error-Info",
    "Event",
    "Expires",
    "From",
    "Geolocation",
    "History-Info",
    "Identity",
    "Identity-Info",
    "In-Reply-To",
    "Info-Package",
    "Join",
    "Max-Forwards",
    "MIME-Version",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Access-Network-Info",
    "P-Asserted-Identity",
    "P-Charging-Vector",
    "P-Early-Media",
    "P-Preferred-Identity",
    "Path",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Reason",
    "Record-Route",
    "Recv-Info",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Reject-Contact",
    "Remote-Party-ID",
    "Replaces",
    "Reply-To",
    "Request-Disposition",
    "Require",
    "Retry-After",
    "Route",
    "RSeq",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Session-ID",
    "SIP-ETag",
    "SIP-If-Match",
    "Subject",
    "Subscription-State",
    "Supported",
    "Target-Dialog",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "User-to-User",
    "Via",
    "Warning",
    "WWW-Authenticate",
)

_CANONICAL: dict[str, str] = {name.lower(): name for name in _KNOWN} | _COMPACT
# The spellings seen on the wire, so that the usual name costs one look-up and no lower-casing.
KNOWN_SPELLINGS: dict[str, str] = (
    _CANONICAL | {name: name for name in _KNOWN} | {short.upper(): name for short, name in _COMPACT.items()}
)


def canonical_name(name: str) -> str:
    """The standard spelling of a known header (compact forms expanded); an unknown one in lower case."""
    known = KNOWN_SPELLINGS.get(name)
    if known is not None:
        return known
    low = name.lower()
    return _CANONICAL.get(low, low)


class Headers:
    """Header fields in order. Each entry is one header line; nothing is split or joined on the way."""

    __slots__ = ("_derived", "_index", "_lines")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._lines: list[tuple[str, str, str]] = []
        """canonical name, name to write, value"""
        self._index: dict[str, list[str]] = {}
        self._derived: dict[Hashable, Any] = {}
        for name, value in items:
            self.add(name, value)

    @classmethod
    def from_lines(cls, lines: list[tuple[str, str, str]]) -> Headers:
        """Take over lines of (canonical name, name to write, value) that the parser has checked."""
        self = cls.__new__(cls)
        self._lines = lines
        index: dict[str, list[str]] = {}
        self._index = index
        self._derived = {}
        for key, _, value in lines:
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        return self

    def get(self, name: str) -> str | None:
        """The value of the first line with this name, or None."""
        index = self._index
        if name not in index:
            name = canonical_name(name)
            if name not in index:
                return None
        return index[name][0]

    def get_all(self, name: str) -> list[str]:
        """The values of all lines with this name, one per line, commas untouched."""
        return list(self._index.get(canonical_name(name), ()))

    def split_all(self, name: str, limit: int | None = None) -> list[str]:
        """All values of a comma-separated header, over all lines; an empty line gives no value.

        With ``limit`` reading stops once there are more: the result is then longer than ``limit``.
        """
        values = self._index.get(KNOWN_SPELLINGS.get(name) or canonical_name(name))
        if values is None:
            return []
        if len(values) == 1 and "," not in values[0]:
            return values[:] if values[0] else []
        items: list[str] = []
        for value in values:
            if value:
                items += split_commas(value, limit)
                if limit is not None and len(items) > limit:
                    break
        return items

    def count(self, name: str) -> int:
        """How many lines have this name."""
        return len(self._index.get(canonical_name(name), ()))

    @property
    def has_repeated(self) -> bool:
        """Whether any name stands on more than one line."""
        return len(self._index) != len(self._lines)

    def add(self, name: str, value: object) -> None:
        """Append one line. ValueError for a name that is no token, and for a value holding CR or LF."""
        self._lines.append(self._line(name, value))
        self._changed()

    def insert(self, position: int, name: str, value: object) -> None:
        """Put one line before the line at ``position`` (0 = top, where a Via goes)."""
        self._lines.insert(position, self._line(name, value))
        self._changed()

    def set(self, name: str, value: object) -> None:
        """Replace all lines of this name by one, where the first stood, or append it."""
        line = self._line(name, value)
        key = line[0]
        if key not in self._index:
            self._lines.append(line)
        else:
            at = next(i for i, old in enumerate(self._lines) if old[0] == key)
            rest = [old for old in self._lines[at + 1 :] if old[0] != key]
            self._lines[at:] = [line, *rest]
        self._changed()

    def remove(self, name: str) -> None:
        """Remove all lines of this name; none is fine."""
        key = canonical_name(name)
        if key in self._index:
            self._lines = [line for line in self._lines if line[0] != key]
            self._changed()

    def copy(self) -> Headers:
        """An independent copy."""
        return Headers.from_lines(list(self._lines))

    def items(self) -> Iterator[tuple[str, str]]:
        """(name to write, value) in order; known names in their standard spelling."""
        return ((name, value) for _, name, value in self._lines)

    def derived(self, key: Hashable, make: Callable[[Headers], T]) -> T:
        """``make(self)``, kept until a header changes; an exception is passed on and not kept."""
        derived = self._derived
        if key in derived:
            return derived[key]
        made = derived[key] = make(self)
        return made

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and canonical_name(name) in self._index

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(k, v) for k, _, v in self._lines] == [(k, v) for k, _, v in other._lines]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self.items())!r})"

    @staticmethod
    def _line(name: str, value: object) -> tuple[str, str, str]:
        text = str(value).strip(WSP)
        if "\n" in text or "\r" in text:
            raise ValueError(f"header {name!r}: the value holds CR or LF")
        key = canonical_name(name)
        if key == name.lower():
            if not is_token(name):
                raise ValueError(f"header name {name!r} is not a token")
            return key, name, text
        return key, key, text

    def _changed(self) -> None:
        index: dict[str, list[str]] = {}
        for key, _, value in self._lines:
            index.setdefault(key, []).append(value)
        self._index = index
        self._derived = {}
