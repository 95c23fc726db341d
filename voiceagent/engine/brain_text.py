"""Small text tools of the brains: sentences, spoken digits, plain words. PURE."""

from __future__ import annotations

import re

_BREAK = re.compile(r"(?<=[.!?…])[\"”’)]*\s+(?=[\"“(]?[A-Z0-9À-Þ])")
_NOT_AN_END = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|vs|e\.g|i\.e|a\.m|p\.m|[A-Z])\.)$")
_NUMBERED = re.compile(r"\b(?:No|Nr)\.$")
_DIGIT_WORDS = {
    "zero": "0",
    "oh": "0",
    "o": "0",
    "nought": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_REPEATS = {"double": 2, "triple": 3}
_SKIP = frozenset({"and", "dash", "point"})


def sentences(text: str) -> list[str]:
    """Split at sentence ends; titles and initials ("Dr. No", "No. 5") do not end one."""
    found: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        head = text[start : match.start()]
        number_next = text[match.end()].isdecimal()
        if _NOT_AN_END.search(head) or (number_next and _NUMBERED.search(head)):
            continue
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]


def words(text: str) -> list[str]:
    """Return the lower-case words and numbers of a text."""
    return re.findall(r"[a-z0-9À-ɏ]+(?:'[a-z]+)?", text.lower())


def digits_in(text: str) -> list[str]:
    """Return the digit strings of a text, typed ("123 456") or spoken ("double three"), longest first."""
    runs: list[str] = []
    current, repeat = "", 1
    spoken_only = True
    for word in words(text.replace("-", " ")):
        digit = word if word.isdecimal() else _DIGIT_WORDS.get(word, "")
        if digit:
            current += digit * repeat
            spoken_only = spoken_only and not word.isdecimal() and word in ("o", "oh", "one")
            repeat = 1
        elif word in _REPEATS:
            repeat = _REPEATS[word]
        elif word not in _SKIP:
            _keep(runs, current, alone_is_word=spoken_only)
            current, repeat, spoken_only = "", 1, True
    _keep(runs, current, alone_is_word=spoken_only and bool(runs or len(words(text)) > 1))
    return sorted(runs, key=len, reverse=True)


def _keep(runs: list[str], run: str, *, alone_is_word: bool) -> None:
    """Keep a run; a single "one" or "oh" among other words is most likely just a word."""
    if run and not (len(run) == 1 and alone_is_word):
        runs.append(run)


def plain(name: str) -> str:
    """Return an identifier as words: ``order_status`` and ``orderStatus`` become "order status"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[_\-.]+", " ", spaced).lower().split())


def listing(options: list[str], last: str = "or") -> str:
    """Join as a spoken list: "a, b, or c"."""
    if len(options) < 2:
        return "".join(options)
    if len(options) == 2:
        return f"{options[0]} {last} {options[1]}"
    return f"{', '.join(options[:-1])}, {last} {options[-1]}"


def finish(text: str) -> str:
    """Return the text with a capital first letter and a final stop."""
    text = " ".join(text.split())
    if not text:
        return text
    text = text[0].upper() + text[1:]
    return text if text[-1] in '.!?…"”' else f"{text}."
