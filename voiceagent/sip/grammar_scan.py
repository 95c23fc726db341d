"""PURE. The scanners under every header parser: tokens, quoted strings, integers, lists, parameters.

All of them look at each character a bounded number of times. The regular expressions are single character
classes without nesting, so no input makes them backtrack. White space means SP and HTAB only: ``str.strip()``
without arguments would also eat control and Unicode spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from voiceagent.errors import SipError
from voiceagent.sip.limits import DEFAULT

WSP = " \t"
_is_token = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+").fullmatch
_is_param_value = re.compile(r'[^\x00-\x20\x7f"<>,;]+').fullmatch
_must_quote = re.compile(r"[^A-Za-z0-9\-.!%*_+`'~:\[\]]").search


def bad(what: str, message: str) -> SipError:
    """The 400 for a header that cannot be read; ``what`` becomes the stable code ``bad_<what>``."""
    return SipError(f"{what}: {message}", status=400, code=f"bad_{what}")


def is_token(text: str) -> bool:
    """RFC 3261 §25.1 ``token``: at least one character, ASCII only."""
    return _is_token(text) is not None


def parse_int(text: str, what: str, *, maximum: int | None = None, digits: int = DEFAULT.int_digits) -> int:
    """ASCII digits as int; SipError 400 for anything else, for too many digits, or above ``maximum``."""
    if len(text) > digits:
        raise bad(what, f"more than {digits} digits")
    if not (text.isascii() and text.isdigit()):
        raise bad(what, "not a number")
    number = int(text)
    if maximum is not None and number > maximum:
        raise bad(what, f"above {maximum}")
    return number


_quote_mark = re.compile(r'["\\]').search
_unescape = re.compile(r"\\(.)", re.DOTALL).sub


def _quote_end(text: str, start: int) -> int:
    """The index of the quote closing the one at ``start``; -1 when it never closes."""
    pos = start + 1
    while True:
        mark = _quote_mark(text, pos)
        if mark is None:
            return -1
        if mark.group() == '"':
            return mark.start()
        pos = mark.end() + 1


def scan_quoted(text: str, start: int, what: str) -> tuple[str, int]:
    """Read the quoted string opening at ``start``; returns its unescaped content and the index after it."""
    end = _quote_end(text, start)
    if end < 0:
        raise bad(what, "unbalanced quote")
    content = text[start + 1 : end]
    return (_unescape(r"\1", content) if "\\" in content else content), end + 1


def skip_quoted(text: str, start: int) -> int:
    """The index after the quoted string opening at ``start``, or ``len(text)`` when it never closes."""
    end = _quote_end(text, start)
    return len(text) if end < 0 else end + 1


def quote(text: str) -> str:
    """A quoted string holding ``text``."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_list_mark = re.compile(r'[",<]').search


def split_commas(text: str) -> list[str]:
    """Split at the commas outside quotes and angle brackets; items stripped, empty ones kept."""
    if "," not in text:
        return [text.strip(WSP)]
    if '"' not in text and "<" not in text:
        return [item.strip(WSP) for item in text.split(",")]
    items: list[str] = []
    start = pos = 0
    while True:
        mark = _list_mark(text, pos)
        if mark is None:
            items.append(text[start:].strip(WSP))
            return items
        at = mark.start()
        char = text[at]
        if char == ",":
            items.append(text[start:at].strip(WSP))
            start = pos = at + 1
        elif char == '"':
            pos = skip_quoted(text, at)
        else:
            closing = text.find(">", at)
            pos = len(text) if closing < 0 else closing + 1


class Params:
    """Ordered, immutable ``;name=value`` parameters. Names compare without case; a flag has the value None.

    Values are held unquoted (header parameters) or percent-decoded (URI parameters). The first of several
    parameters with one name counts.
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str | None]] = ()) -> None:
        self.pairs: tuple[tuple[str, str | None], ...] = tuple(pairs)

    def get(self, name: str) -> str | None:
        """The value; None when absent or a flag (``name in params`` tells which)."""
        name = name.lower()
        for key, value in self.pairs:
            if key.lower() == name:
                return value
        return None

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        name = name.lower()
        return any(key.lower() == name for key, _ in self.pairs)

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Params):
            return NotImplemented
        return {k.lower(): v for k, v in self.pairs} == {k.lower(): v for k, v in other.pairs}

    def __hash__(self) -> int:
        return hash(frozenset((k.lower(), v) for k, v in self.pairs))

    def __repr__(self) -> str:
        return f"Params({list(self.pairs)!r})"

    def with_(self, name: str, value: str | None = None) -> Params:
        """A copy with ``name`` set: in place where it stood, else at the end."""
        low = name.lower()
        if name in self:
            return Params((k, value) if k.lower() == low else (k, v) for k, v in self.pairs)
        return Params((*self.pairs, (name, value)))

    def without(self, *names: str) -> Params:
        """A copy without these names."""
        low = {name.lower() for name in names}
        return Params((k, v) for k, v in self.pairs if k.lower() not in low)

    def header_text(self) -> str:
        """``;name=value`` for a header field: values quoted where the grammar asks for it."""
        return "".join(
            f";{k}" if v is None else f";{k}={quote(v) if not v or _must_quote(v) else v}"
            for k, v in self.pairs
        )


NO_PARAMS = Params()


def parse_params(text: str, what: str, *, skip_empty: bool = False) -> Params:
    """Read ``;a=b;c`` (text starts with ``;`` or is empty); SipError 400. ``skip_empty`` forgives ``;;``."""
    if not text:
        return NO_PARAMS
    if '"' in text:
        segments = _split_params(text, what)
    else:
        segments = text.split(";")
    if segments[0].strip(WSP):
        raise bad(what, "text before the parameters")
    pairs: list[tuple[str, str | None]] = []
    for segment in segments[1:]:
        name, equals, value = segment.partition("=")
        name = name.strip(WSP)
        if not _is_token(name):
            if skip_empty and not name and not equals:
                continue
            raise bad(what, "malformed parameter name")
        if not equals:
            pairs.append((name, None))
            continue
        value = value.strip(WSP)
        if value[:1] == '"':
            content, end = scan_quoted(value, 0, what)
            if end != len(value):
                raise bad(what, "text after a quoted parameter")
            pairs.append((name, content))
        elif _is_param_value(value):
            pairs.append((name, value))
        else:
            raise bad(what, "malformed parameter value")
    return Params(pairs)


_param_mark = re.compile(r'[";]').search


def _split_params(text: str, what: str) -> list[str]:
    """Split at the semicolons outside quoted strings."""
    segments: list[str] = []
    start = pos = 0
    while True:
        mark = _param_mark(text, pos)
        if mark is None:
            segments.append(text[start:])
            return segments
        at = mark.start()
        if text[at] == ";":
            segments.append(text[start:at])
            start = pos = at + 1
        else:
            pos = skip_quoted(text, at)
