"""Pronunciations: the dictionary in the pocketsphinx wheel, and spelling rules for what it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from voiceagent.engine.stt.spelling import phones

_MANY = 16
"""From this many unknown words on, one pass over the file is cheaper than a search for each."""


class Lexicon:
    """The words of one dictionary file, looked up on demand: 3 MB instead of the 25 MB of a parsed one."""

    def __init__(self, path: Path) -> None:
        self._text = b"\n" + path.read_bytes()
        self._known: dict[str, list[str]] = {}
        self.guessed: dict[str, str] = {}
        """Words that the dictionary lacks, with the pronunciation guessed from their spelling."""

    def pronounce(self, words: Iterable[str]) -> dict[str, list[str]]:
        """Return the pronunciations (ARPABET, at least one) of every word."""
        wanted = [*words]
        missing = {word for word in wanted if word not in self._known}
        if len(missing) >= _MANY:
            self._scan(missing)
        for word in missing:
            if word not in self._known:
                self._known[word] = self._find(word) or self._guess(word)
        return {word: self._known[word] for word in wanted}

    def _find(self, word: str) -> list[str]:
        pattern = re.compile(rb"\n" + re.escape(word.encode()) + rb"(?:\(\d+\))? ([^\n]+)")
        return [match[1].decode().strip() for match in pattern.finditer(self._text)]

    def _scan(self, words: set[str]) -> None:
        keys = {word.encode() for word in words}
        for line in self._text.split(b"\n"):
            head, _, rest = line.partition(b" ")
            if head.partition(b"(")[0] in keys:
                word = head.partition(b"(")[0].decode()
                self._known.setdefault(word, []).append(rest.decode().strip())

    def _guess(self, word: str) -> list[str]:
        guess = phones(word)
        self.guessed[word] = guess
        return [guess]


def dictionary_text(pronunciations: dict[str, list[str]]) -> str:
    """Return the text of a Sphinx dictionary file."""
    lines: list[str] = []
    for word, variants in pronunciations.items():
        lines += [
            f"{word if rank == 1 else f'{word}({rank})'} {sound}" for rank, sound in enumerate(variants, 1)
        ]
    return "\n".join(lines) + "\n"
