"""Text made ready to be spoken: sentences short enough to start soon, figures as words. Pure.

Both voices read plain numbers, years and most abbreviations well by themselves, so only this is changed:

* Markdown marks, URLs' schemes and control characters go; typographic quotes and dashes become plain ones;
* currency is said after the figure: "$12.50" as "12 dollars and 50 cents", "€3" as "3 euros";
* digit strings of five figures and more, and those with a leading zero, are read digit by digit, in groups
  as they are written: "0800 123" as "0 8 0 0, 1 2 3";
* "%" is "percent", "&" is "and", "@" is "at", "#" before a figure is "number".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FIRST_LONGEST = 70
"""Characters of the first piece: about 5 s of speech, made in less than 80 ms by the slower voice."""
LONGEST = 160
"""Characters of any later piece; longer sentences are cut at a comma or, if need be, at a blank."""

_CURRENCIES = {
    "$": ("dollar", "cent"),
    "€": ("euro", "cent"),
    "£": ("pound", "penny"),
}
_PLURALS = {"penny": "pence"}
_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "‘": "'", "’": "'", "–": ", ", "—": ", ", "…": ". ", "\u00a0": " ", "*": "", "`": ""}
)
_MONEY = re.compile(r"([$€£])\s?(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{2}))?(?!\d)")
_LONG_NUMBER = re.compile(r"(?<![\d.,])\+?(?:0\d+|\d{5,})(?:[ -]\d{2,})*(?![\d.,]\d)")
_SENTENCE = re.compile(r"(?<=[.!?;:])[\"')]*\s+|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|no|vs|e\.g|i\.e|[a-z]\.[a-z]|\b[a-z])\.)$", re.IGNORECASE
)
_SPEAKABLE = re.compile(r"\w")


def speakable(text: str) -> str:
    """Return ``text`` with the changes that the module's text lists."""
    text = text.translate(_PLAIN)
    text = re.sub(r"https?://(?:www\.)?", "", text)
    text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    text = _MONEY.sub(_money, text)
    text = _LONG_NUMBER.sub(_figures, text)
    text = re.sub(r"(?<=\d)\s?%", " percent", text)
    text = re.sub(r"#\s?(?=\d)", "number ", text)
    text = re.sub(r"\s?&\s?", " and ", text).replace("@", " at ")
    text = re.sub(r"(?m)^\s*(?:[-•#>]+|\d+\))\s+", "", text).replace("_", " ")
    return re.sub(r"[ \t]+", " ", text).strip()


def sentences(text: str) -> Iterator[str]:
    """Yield pieces to speak one after the other, the first of them short."""
    limit = FIRST_LONGEST
    for sentence in _sentences(speakable(text)):
        rest = sentence
        while rest:
            piece, rest = _cut(rest, limit)
            if _SPEAKABLE.search(piece):
                yield piece
                limit = LONGEST


def _sentences(text: str) -> Iterator[str]:
    kept = ""
    for part in _SENTENCE.split(text):
        kept = f"{kept} {part.strip()}".strip()
        if kept and not _ABBREVIATION.search(kept):
            yield kept
            kept = ""
    if kept:
        yield kept


def _cut(text: str, limit: int) -> tuple[str, str]:
    """Cut at the last clause end before ``limit``, else before "and" or "or", else at a blank."""
    if len(text) <= limit:
        return text, ""
    head = text[:limit]
    for pattern in (r"[,;:)](?=\s)", r"\s(?=(?:and|or|but|because|which|that)\s)"):
        ends = [match.end() for match in re.finditer(pattern, head) if match.end() >= 15]
        if ends:
            return text[: ends[-1]].strip(), text[ends[-1] :].strip()
    blank = head.rfind(" ")
    if blank <= 0:
        return head, text[limit:].strip()
    return text[:blank].strip(), text[blank:].strip()


def _money(match: re.Match[str]) -> str:
    unit, part = _CURRENCIES[match[1]]
    whole = match[2].replace(",", "")
    spoken = f"{whole} {_plural(unit, int(whole))}"
    parts = int(match[3] or 0)
    return f"{spoken} and {parts} {_plural(part, parts)}" if parts else spoken


def _plural(name: str, count: int) -> str:
    return name if count == 1 else _PLURALS.get(name, name + "s")


def _figures(match: re.Match[str]) -> str:
    text = match[0]
    plus = "plus " if text.startswith("+") else ""
    return plus + ", ".join(" ".join(group) for group in re.split(r"[ -]", text.lstrip("+")))
