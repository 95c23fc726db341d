"""PURE. In which line of a TOML text each key stands: ``tomllib`` does not say.

One walk over the text, without building values. It expects TOML that ``tomllib`` accepts and never fails on
any other text (it then knows fewer lines). Depth is bounded here, so that what reads the text next cannot be
made to recurse without end.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Keys from the top, arrays by index: ``("steps", "menu", "no_input", 0)``."""

MOST_BYTES = 512 * 1024
"""Of one file."""
MOST_DEPTH = 12
"""Nested tables, arrays and parts of a dotted key, counted together."""

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class TooDeep(ValueError):
    """The text nests deeper than :data:`MOST_DEPTH`; ``line`` says where."""

    def __init__(self, line: int) -> None:
        super().__init__(f"nested deeper than {MOST_DEPTH}")
        self.line = line


@dataclass(frozen=True, slots=True)
class LineIndex:
    """Lines of keys, counted from 1."""

    lines: Mapping[Path, int] = field(default_factory=dict[Path, int])

    def line(self, path: Path) -> int:
        """Return the line of ``path``, else that of the nearest table around it, else 1."""
        for length in range(len(path), 0, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return 1


def index_lines(text: str) -> LineIndex:
    """Return where the keys of ``text`` stand. Raises :class:`TooDeep`, and nothing else."""
    walk = _Walk(text.replace("\r\n", "\n"))
    walk.document()
    return LineIndex(walk.lines)


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at: int = 0
        self.row: int = 1
        self.lines: dict[Path, int] = {}
        self._lengths: dict[Path, int] = {}
        """Elements so far of each array of tables."""

    def document(self) -> None:
        table: Path = ()
        while True:
            self._blank(newlines=True)
            if self.at >= len(self.text):
                return
            before = self.at
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._rest_of_line()
            if self.at == before:
                self.at += 1

    def _header(self) -> Path:
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        row, parts = self.row, self._key()
        path: Path = ()
        for number, part in enumerate(parts, start=1):
            path = (*path, part)
            self._note(path, row)
            if array and number == len(parts):
                length = self._lengths.get(path, 0)
                self._lengths[path] = length + 1
                path = (*path, length)
                self._note(path, row)
            elif path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        row, parts = self.row, self._key()
        path = table
        for part in parts:
            path = (*path, part)
            self._note(path, row)
        self._blank()
        if parts and self._peek() == "=":
            self.at += 1
            self._blank()
            self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._blank()
            char = self._peek()
            if char in ('"', "'"):
                parts.append(self._quoted_key())
            elif char in _BARE:
                start = self.at
                while self._peek() in _BARE:
                    self.at += 1
                parts.append(self.text[start : self.at])
            else:
                return parts
            if len(parts) > MOST_DEPTH:
                raise TooDeep(self.row)
            self._blank()
            if self._peek() != ".":
                return parts
            self.at += 1

    def _quoted_key(self) -> str:
        start, quote = self.at, self._peek()
        self._string()
        raw = self.text[start : self.at]
        if quote == "'" or "\\" not in raw:
            return raw[1:-1]
        try:
            return str(tomllib.loads(f"key = {raw}")["key"])
        except tomllib.TOMLDecodeError:
            return raw[1:-1]

    def _value(self, path: Path) -> None:
        if len(path) > MOST_DEPTH:
            raise TooDeep(self.row)
        match self._peek():
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                while self._peek() not in ("", "\n", ",", "]", "}", "#"):
                    self.at += 1

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while True:
            self._blank(newlines=True)
            if self._peek() in ("", "]"):
                self.at += 1
                return
            before = self.at
            self._note((*path, number), self.row)
            self._value((*path, number))
            number += 1
            self._comma(before)

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self._blank(newlines=True)
            if self._peek() in ("", "}"):
                self.at += 1
                return
            before = self.at
            self._pair(path)
            self._comma(before)

    def _comma(self, before: int) -> None:
        self._blank(newlines=True)
        if self._peek() == "," or self.at == before:
            self.at += 1

    def _string(self) -> None:
        """Step over a string of any of the four kinds."""
        quote = self._peek()
        fence = quote * 3
        if not self.text.startswith(fence, self.at):
            self.at += 1
            while self._peek() not in ("", "\n", quote):
                self.at += 2 if quote == '"' and self._peek() == "\\" else 1
            self.at += self._peek() == quote
            return
        self.at += 3
        while self.at < len(self.text) and not self.text.startswith(fence, self.at):
            self.row += self._peek() == "\n"
            if quote == '"' and self._peek() == "\\":
                self.at += 1
                self.row += self._peek() == "\n"
            self.at += 1
        self.at += 3
        for _ in range(2):  # one or two quotes may stand before the fence proper
            self.at += self._peek() == quote

    def _blank(self, *, newlines: bool = False) -> None:
        """Step over spaces and tabs; with ``newlines`` over line ends and comments, too."""
        while True:
            char = self._peek()
            if char in (" ", "\t"):
                self.at += 1
            elif newlines and char == "\n":
                self.at += 1
                self.row += 1
            elif newlines and char == "#":
                self._rest_of_line()
            else:
                return

    def _rest_of_line(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _note(self, path: Path, row: int) -> None:
        self.lines.setdefault(path, row)
