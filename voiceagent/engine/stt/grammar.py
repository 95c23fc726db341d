"""From an :class:`Expectation` to what the decoder needs, and back from words to an answer. Pure.

Two searches listen to every turn:

* a JSGF grammar (W3C note "JSpeech Grammar Format") of exactly the expected utterances, which is accurate but
  always hears *something* from its list, and
* a small n-gram model over the same utterances and a background of ordinary telephone talk, which is less
  accurate but free to hear something else.

Where both mean the same, the answer is sure; where they differ, the caller is asked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voiceagent.engine.ports import Expectation, ExpectKind
from voiceagent.engine.stt.commands import BACKGROUND, COMMANDS

DIGIT_WORDS = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
_REPEATS = {"double": 2, "triple": 3}
_DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

YES = (
    "yes", "yeah", "yep", "yes please", "yes it is", "yes i do", "yes that's right", "yes that is right",
    "yes that's correct", "that's right", "that is right", "that's correct", "correct", "right", "sure",
    "okay", "of course", "absolutely", "exactly", "please do", "go ahead", "yes sure",
)  # fmt: skip
NO = (
    "no", "nope", "no thanks", "no thank you", "no it's not", "no it isn't", "no it is not", "no i don't",
    "no that's wrong", "no that's not right", "that's wrong", "that's not right", "wrong", "incorrect",
    "not really", "no way", "not now", "not at all",
)  # fmt: skip

PREFIXES = (
    "please", "um", "uh", "i want", "i want to", "i want the", "i need", "i need to", "i need the",
    "i'd like", "i'd like to", "i would like", "i would like to", "can i have", "can you", "give me", "the",
    "could you", "let me", "a",
)  # fmt: skip
SUFFIXES = ("please", "thanks", "thank you")

_SPLIT = re.compile(r"[^a-z0-9']+")


@dataclass(frozen=True, slots=True)
class Listening:
    """What one question needs: the grammar, the sentences of the n-gram model, and every word of both."""

    jsgf: str
    sentences: tuple[tuple[str, int], ...]
    """Sentences with how often each counts."""
    words: tuple[str, ...]


def words_of(text: str) -> list[str]:
    """Return lower-case words; figures are read digit by digit, ``&`` as "and"."""
    spoken: list[str] = []
    for token in _SPLIT.split(text.lower().replace("’", "'").replace("&", " and ")):
        pieces: list[str] = re.findall(r"\d|[^\d]+", token.strip("'"))
        spoken += [_DIGIT_NAMES[int(piece)] if piece.isdigit() else piece for piece in pieces]
    return [word for word in spoken if word.strip("'")]


def digits_of(words: Iterable[str]) -> str | None:
    """Return "4811" for "four eight double one"; None when a word is not part of a digit string."""
    digits: list[str] = []
    times = 1
    for word in words:
        if word in _REPEATS:
            times = _REPEATS[word]
        elif word in DIGIT_WORDS:
            digits.append(DIGIT_WORDS[word] * times)
            times = 1
        else:
            return None
    return "".join(digits)


def listening(expect: Expectation) -> Listening:
    """Return the grammar and the n-gram sentences of ``expect``."""
    if expect.kind is ExpectKind.DIGITS:
        return _one_digit() if expect.max_digits == 1 else _digits()
    if expect.kind is ExpectKind.YES_NO:
        # Extra phrases beside yes and no ("yes, or say operator") are welcome.
        return _phrases([*_weighted(YES), *_weighted(NO)], _spoken(expect.phrases), BACKGROUND)
    phrases = _spoken(expect.phrases)
    if expect.kind is ExpectKind.ANYTHING:
        phrases = [*dict.fromkeys([*phrases, *_spoken(COMMANDS)])]
    return _phrases([], phrases or _spoken(COMMANDS), BACKGROUND)


def meaning(words: Sequence[str], expect: Expectation) -> str:
    """Return the canonical answer in ``words``, or "" when they are none.

    "yes" or "no" for a yes/no question, the digit string for digits, and for phrases the phrase without the
    polite words around it: "i'd like billing please" means "billing".
    """
    if not words:
        return ""
    if expect.kind is ExpectKind.DIGITS:
        return digits_of(words) or ""
    spoken = " ".join(words)
    if expect.kind is ExpectKind.YES_NO and (plain := _yes_or_no(spoken)):
        return plain
    phrases = {" ".join(words_of(phrase)) for phrase in expect.phrases}
    if expect.kind is ExpectKind.ANYTHING or (expect.kind is ExpectKind.PHRASES and not phrases):
        phrases |= {" ".join(words_of(phrase)) for phrase in COMMANDS}
    return _without_politeness(spoken, phrases)


def _yes_or_no(spoken: str) -> str:
    if spoken in YES:
        return "yes"
    if spoken in NO:
        return "no"
    # The decoder may lose the last word ("no thank"): fine, if all that starts so means the same.
    if " " in spoken:
        yes = any(text.startswith(spoken) for text in YES)
        no = any(text.startswith(spoken) for text in NO)
        if yes != no:
            return "yes" if yes else "no"
    return ""


def _without_politeness(spoken: str, phrases: set[str]) -> str:
    tails = [spoken, *(spoken[len(p) + 1 :] for p in PREFIXES if spoken.startswith(p + " "))]
    cores = [tail[: -len(s) - 1] for tail in tails for s in SUFFIXES if tail.endswith(" " + s)]
    # The shortest: where "person" and "a person" are both expected, "the person" means the same as either.
    return min((text for text in (*tails, *cores) if text in phrases), key=len, default="")


def _spoken(phrases: Iterable[str]) -> list[str]:
    return [*dict.fromkeys(" ".join(words) for phrase in phrases if (words := words_of(phrase)))]


def _weighted(variants: Sequence[str]) -> list[tuple[str, int]]:
    """The first few variants are what nearly everybody says."""
    return [(text, 12 if rank == 0 else 4 if rank < 4 else 1) for rank, text in enumerate(variants)]


def _phrases(fixed: list[tuple[str, int]], phrases: list[str], background: Sequence[str]) -> Listening:
    rules: list[str] = []
    if fixed:
        rules.append("<fixed> = " + " | ".join(f"/{weight}/ {text}" for text, weight in fixed) + ";")
    tops = ["<fixed>"] if fixed else []
    if phrases:
        rules.append("<phrase> = " + " | ".join(phrases) + ";")
        rules.append("<before> = " + " | ".join(PREFIXES) + ";")
        rules.append("<after> = " + " | ".join(SUFFIXES) + ";")
        tops += [
            "/20/ <phrase>",
            "/4/ <phrase> <after>",
            "/2/ <before> <phrase>",
            "<before> <phrase> <after>",
        ]
    if fixed and phrases:
        tops[0] = "/20/ <fixed>"
    rules.append("public <turn> = " + " | ".join(tops) + ";")
    sentences = [(text, 6 * weight) for text, weight in fixed]
    for phrase in phrases:
        sentences.append((phrase, 12))
        sentences += [(f"{phrase} please", 2), (f"i'd like {phrase} please", 1), (f"i want {phrase}", 1)]
    return _listening(rules, sentences, background)


def _digits() -> Listening:
    rules = [
        "<digit> = " + " | ".join(DIGIT_WORDS) + ";",
        "public <turn> = (/12/ <digit> | (double | triple) <digit>)+;",
    ]
    names = [*DIGIT_WORDS]
    sentences = [(f"{a} {b}", 6) for a in names for b in names]
    sentences += [(f"{times} {a}", 2) for times in _REPEATS for a in names]
    return _listening(rules, sentences, BACKGROUND)


def _one_digit() -> Listening:
    """One digit is heard better as a word of ten than as the shortest of all strings."""
    rules = ["public <turn> = " + " | ".join(DIGIT_WORDS) + ";"]
    return _listening(rules, [(name, 12) for name in DIGIT_WORDS], BACKGROUND)


def _listening(rules: list[str], sentences: list[tuple[str, int]], background: Sequence[str]) -> Listening:
    jsgf = "#JSGF V1.0;\ngrammar turn;\n" + "\n".join(rules) + "\n"
    counted = (*sentences, *((sentence, 1) for sentence in background))
    words = {word for sentence, _ in counted for word in sentence.split()}
    words.update(re.findall(r"[a-z']+", re.sub(r"<[^>]*>|public", " ", "\n".join(rules))))
    return Listening(jsgf, counted, tuple(sorted(words)))
