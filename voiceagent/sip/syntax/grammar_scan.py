"""PURE. The scanners under every header parser: tokens, quoted strings, integers, lists, parameters.

All of them look at each character a bounded number of times. The regular expressions repeat single character
classes, or are possessive throughout, so no input makes them backtrack. White space means SP and HTAB only:
``str.strip()`` without arguments would also eat control and Unicode spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

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


_quoted = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL).match


def scan_quoted(text: str, start: int, what: str) -> tuple[str, int]:
    """Read the quoted string opening at ``start``; returns its unescaped content and the index after it."""
    found = _quoted(text, start)
    if found is None:
        raise bad(what, "unbalanced quote")
    content = found.group()[1:-1]
    if "\\" in content:
        # Pairs first: a run of backslashes begins with one that escapes the next.
        content = "\\".join([piece.replace("\\", "") for piece in content.split("\\\\")])
    return content, found.end()


def quote(text: str) -> str:
    """A quoted string holding ``text``."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_OPEN_QUOTED = r'"(?:[^"\\]++|\\.?+)*+(?:"|\Z)'
_list_item = re.compile(rf'(?:[^",<]++|{_OPEN_QUOTED}|<[^>]*+(?:>|\Z))*+', re.DOTALL).match
_param_item = re.compile(rf'(?:[^";]++|{_OPEN_QUOTED})*+', re.DOTALL).match


def split_commas(text: str, limit: int | None = None) -> list[str]:
    """Split at the commas outside quotes and angle brackets; items stripped, empty ones kept.

    With ``limit`` it stops after one item more than that: enough to see that there are too many.
    """
    if "," not in text:
        return [text.strip(WSP)]
    if '"' not in text and "<" not in text:
        return [item.strip(WSP) for item in text.split(",", -1 if limit is None else limit)]
    return [item.strip(WSP) for item in _split(text, _list_item, limit)]


def _split(text: str, item: Callable[[str, int], re.Match[str] | None], limit: int | None) -> list[str]:
    """The items ``item`` matches, one character between each two; the last one may be a remainder."""
    items: list[str] = []
    pos = 0
    size = len(text)
    while True:
        found = item(text, pos)
        end = size if found is None or len(items) == limit else found.end()
        items.append(text[pos:end])
        if end == size:
            return items
        pos = end + 1


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
_plain_params = re.compile(
    r"""(?:;[A-Za-z0-9\-.!%*_+`'~]++(?:=[^\x00-\x20\x7f"<>,;]++)?+)++""",
).fullmatch
"""What nearly all parameters look like: no white space, no quotes."""


def parse_params(text: str, what: str, *, skip_empty: bool = False) -> Params:
    """Read ``;a=b;c`` (text starts with ``;`` or is empty); SipError 400. ``skip_empty`` forgives ``;;``."""
    if not text:
        return NO_PARAMS
    limit = DEFAULT.params + 1
    if _plain_params(text) and text.count(";") < limit:
        pieces = [segment.partition("=") for segment in text[1:].split(";")]
        return Params([(name, value if equals else None) for name, equals, value in pieces])
    segments = text.split(";", limit) if '"' not in text else _split(text, _param_item, limit)
    if len(segments) > limit:
        raise bad(what, f"more than {DEFAULT.params} parameters")
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
