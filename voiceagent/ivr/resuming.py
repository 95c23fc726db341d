"""PURE. A line that was cut by a cough, a "mhm" or a noise is spoken on from the word where it stopped.

Two questions: was there anything behind the sound (:func:`judged`), and which words are still to be said
(:class:`SpokenOn`). Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from voiceagent.ivr.languages import Language
from voiceagent.ivr.languages.table import words_of
from voiceagent.ivr.ports import CallerInput, CallerSaid, CallerSpoke, CallerStopped, DigitPressed, Line
from voiceagent.ivr.sentences import going_on, verbatim
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind

RESUMED = "line.resumed"
"""The journal's word for it."""
RESUMPTIONS = 2
"""So often one line is spoken on; a caller who cuts it again wants something, or the line is too bad."""
WORDS_S = 3.0
"""After the caller stopped: how long the transcriber may take before the sound counts as without words."""
COUGH_S = 2.0
"""A longer sound of which no transcript comes is taken for speech that was lost, not for a cough."""
LONG_S = 8.0
"""Who speaks so long does not cough: the wait ends there."""
OVERHEARD_S = 15.0
"""All in all, several sounds in a row included."""
TAIL_WORDS = 12
"""So many of the last words that were heard tell the model where it stopped."""
_ALIGNED_WORDS = 40
"""The last words that were heard are looked for in the text when it was not spoken word for word."""
_WORD = re.compile(r"\S+")


# ── was there anything behind the sound? ────────────────────────────────────────────────────────
def last_turn(unread: Sequence[tuple[float, CallerInput]]) -> Sequence[tuple[float, CallerInput]]:
    """Return the inputs from the caller's last beginning to speak on; empty when a key came after it."""
    for at in range(len(unread) - 1, -1, -1):
        match unread[at][1]:
            case CallerSpoke():
                return unread[at:]
            case DigitPressed():
                return ()
            case _:
                continue
    return ()


def means_nothing(text: str, language: Language) -> bool:
    """Return whether a turn of the caller was no more than a sound or a listener's word."""
    return not text.strip() or language.is_back_channel(text)


def judged(turn: Sequence[tuple[float, CallerInput]], language: Language, now: float) -> bool | float:
    """Judge what came since the caller cut the line: True is a false alarm, False means it.

    A float is the time until which nobody can tell, unless more comes before.
    """
    if not turn or now >= turn[0][0] + OVERHEARD_S:
        return False
    speaking_since: float | None = None
    stopped_at = now
    longest, begun, understood = 0.0, 0, 0
    for at, item in turn:
        match item:
            case DigitPressed():
                return False
            case CallerSpoke():
                speaking_since, begun = at, begun + 1
            case CallerStopped():
                longest = max(longest, at - (at if speaking_since is None else speaking_since))
                speaking_since, stopped_at = None, at
            case CallerSaid(text):
                if not means_nothing(text, language):
                    return False
                understood += 1
    limit = turn[0][0] + OVERHEARD_S
    if speaking_since is not None:
        return False if now >= speaking_since + LONG_S else min(speaking_since + LONG_S, limit)
    if understood >= begun:
        return True
    if now >= stopped_at + WORDS_S:
        return longest <= COUGH_S
    return min(stopped_at + WORDS_S, limit)


# ── which words are still to be said? ───────────────────────────────────────────────────────────
def rest_of(text: str, heard: str) -> str:
    """Return ``text`` from the word on at which ``heard`` stops; all of it when nothing was heard."""
    places = [(hit.start(), _plain(hit[0])) for hit in _WORD.finditer(text)]
    said = [plain for plain in map(_plain, heard.split()) if plain]
    known = [(start, plain) for start, plain in places if plain]
    words = [plain for _, plain in known]
    if not said or not known:
        return text if not said else ""
    at = len(said) if words[: len(said)] == said else _aligned(words, said)
    return text[known[at][0] :].strip() if at < len(known) else ""


def _plain(word: str) -> str:
    return "".join(words_of(word))


def _aligned(words: Sequence[str], said: Sequence[str]) -> int:
    """Return how many of ``words`` were said, where the two differ: by the last stretch they share."""
    tail = said[-_ALIGNED_WORDS:]
    begin = max(0, len(said) - 2 * _ALIGNED_WORDS)
    near = words[begin : len(said) + _ALIGNED_WORDS]
    blocks = [
        one for one in SequenceMatcher(None, tail, near, autojunk=False).get_matching_blocks() if one.size
    ]
    if not blocks or sum(one.size for one in blocks) * 2 < len(tail):
        return len(said)  # something else was said: only its length tells how far it came
    last = blocks[-1]
    return begin + last.b + last.size + (len(tail) - last.a - last.size)


class SpokenOn:
    """One line and what is still to be said of it.

    ``exact`` is its text where it is spoken word for word. ``limit`` 0 never speaks on.
    """

    def __init__(self, line: Line, exact: str | None = None, *, limit: int = RESUMPTIONS) -> None:
        self.line = line
        self.resumed = 0
        self._limit = limit
        self._exact = exact
        self._guidance = line.instructions
        self._replies: list[Outcome] = []

    def heard(self, outcome: Outcome) -> None:
        """The line, or the rest of it, has ended."""
        self._replies.append(outcome)

    @property
    def cut(self) -> bool:
        """Whether the caller has cut it, so that it may be spoken on if that was for nothing."""
        last = self._replies[-1] if self._replies else None
        if last is None or not last.interrupted or last.by is not InterruptedBy.CALLER:
            return False
        known = self._exact is not None or last.generated
        # Half a reply with tools is not asked for again: what it has set going must not happen twice.
        return self.resumed < self._limit and (known or not self.line.tools)

    def rest(self) -> Line | None:
        """Return what is still to be said, as a line; None when everything was heard. Counts."""
        last = self._replies[-1]
        text = self._exact if self._exact is not None else last.text if last.generated else None
        if text is None:
            instructions = self._guidance
            heard = self.outcome().heard_text  # of all parts: the last one may have been cut at once
            if heard:
                instructions = going_on(self._guidance, " ".join(heard.split()[-TAIL_WORDS:]))
        else:
            left = rest_of(text, last.heard_text)
            if not left:
                return None
            self._exact = left
            instructions = verbatim(left)
        self.resumed += 1
        tools = () if text is not None else self.line.tools
        return replace(self.line, instructions=instructions, tools=tools)

    def outcome(self) -> Outcome:
        """Return how the whole of it ended: heard text and time of all its parts."""
        *before, last = self._replies
        if not before:
            return last
        heard = [one.heard_text for one in (*before, last) if one.heard_text]
        said = [one.heard_text for one in before if one.heard_text]
        return replace(
            last,
            heard_ms=sum(one.heard_ms for one in self._replies),
            heard_text=" ".join(heard),
            text=" ".join([*said, last.text] if last.text else said),
        )

    def facts(self) -> dict[str, Any]:
        """Return what the journal keeps of a resumption."""
        heard = self.outcome()
        return {"time": self.resumed, "heard_ms": heard.heard_ms, "heard_text": heard.heard_text}

    def all_heard(self) -> Outcome:
        """Return the outcome of a line whose last word was out when it was cut."""
        return replace(self.outcome(), kind=OutcomeKind.COMPLETED, by=None, code=None, reason="")
