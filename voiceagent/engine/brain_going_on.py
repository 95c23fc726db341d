"""A reply that was cut by a noise, and what is left of it to be said. PURE.

A flow whose line was cut before its text was known asks for the rest in words (:func:`parse` names them): two
quotes of which only the second is to be spoken, from the word on after the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_GO_ON = re.compile(
    r'\bheard you say ["“]\s*…\s*(?P<heard>[^"”]+)["”]\.\s.*?\bWhat it was about:\s*(?P<about>\S.*)',
    re.DOTALL,
)
_WORD = re.compile(r"\S+")


def parse(line: str) -> tuple[str, str] | None:
    """Return the last words that were heard and the line they were part of; None for any other line.

    The form is ``… heard you say "… WORDS". … What it was about: LINE``.
    """
    match = _GO_ON.search(line)
    return (match["heard"].strip(), match["about"].strip()) if match else None


def rest_after(text: str, heard: str) -> str:
    """Return ``text`` from the word on that follows the words ``heard``; all of it where they are not in it.

    Case and punctuation do not matter; of several places the first counts. Nothing left is an empty text.
    """
    places = [(hit.start(), _plain(hit[0])) for hit in _WORD.finditer(text)]
    places = [(start, word) for start, word in places if word]
    wanted = [word for word in map(_plain, heard.split()) if word]
    words = [word for _, word in places]
    size = len(wanted)
    end = next((at for at in range(size, len(words) + 1) if words[at - size : at] == wanted), 0)
    if not end:
        return text
    return text[places[end][0] :] if end < len(words) else ""


def before_the_reply(items: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the items up to the agent's last reply: what that one was an answer to."""
    last = next((at for at in range(len(items) - 1, -1, -1) if items[at].get("role") == "assistant"), None)
    return items if last is None else items[:last]


def _plain(word: str) -> str:
    return "".join(re.findall(r"\w+", word.lower()))
