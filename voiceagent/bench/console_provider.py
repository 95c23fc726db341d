"""The provider of ``voiceagent bench console``: the load provider's script, with its clock inside the texts.

Whatever the caller "says" is the words ``mark <ns>`` with the moment (CLOCK_MONOTONIC) of their sending, so
whoever sees the words later knows how old they are. A trigger's instructions hold such words as well, and the
arrival of its ``response.create`` is noted here. Sessions of the model ``quiet-…`` have no script: nobody
speaks on them, and their answers are short, so that a trigger finds the line idle.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from voiceagent.bench.load_phones import Phone
from voiceagent.bench.load_provider import (
    ANSWER_FRAMES,
    DELTA_FRAMES,
    PERIOD_S,
    ProviderFigures,
    ScriptedSession,
)
from voiceagent.bench.load_server import LoadProvider

MARK = re.compile(r"mark (\d{6,20})\b")
QUIET = "quiet"
"""Beginning of the model's name where nobody speaks."""
LAST = ANSWER_FRAMES - DELTA_FRAMES


def mark() -> str:
    """Return words that know when they were made."""
    return f"mark {time.monotonic_ns()}"


def mark_in(text: str) -> int | None:
    """Return the moment in ``text``, in nanoseconds of CLOCK_MONOTONIC; None without one."""
    found = MARK.search(text)
    return int(found[1]) if found else None


class MarkedSession(ScriptedSession):
    """A scripted session whose caller's words are told as text, too."""

    def __init__(
        self,
        phone: Phone,
        figures: ProviderFigures,
        send: Callable[[bytes], None],
        offset_s: float,
        created: Callable[[int, int], None],
        *,
        quiet: bool,
    ) -> None:
        self._created = created
        self._quiet = quiet
        super().__init__(phone, figures, send, offset_s)

    def _caller_speaks(self) -> None:
        if not self._quiet:
            super()._caller_speaks()

    def _caller_stops(self, item: str, wants_answer: bool) -> None:
        super()._caller_stops(item, wants_answer)
        if wants_answer:
            self._say(
                "conversation.item.input_audio_transcription.completed",
                item_id=item,
                content_index=0,
                transcript=mark(),
            )

    def _respond(self, wish: dict[str, Any]) -> None:
        now = time.monotonic_ns()
        sent = mark_in(wish.get("instructions") or "")
        if sent is not None:
            self._created(sent, now)
        super()._respond(wish)

    def _delta(self, answer: int, response_id: str, item_id: str, first: int, wish: dict[str, Any]) -> None:
        # Quiet lines get the last piece of an answer only.
        super()._delta(answer, response_id, item_id, max(first, LAST) if self._quiet else first, wish)


class MarkingProvider(LoadProvider):
    """Gives every connection a marked session; ``created`` has (mark, arrival) of every trigger's create."""

    def __init__(self, phones: list[Phone], figures: ProviderFigures) -> None:
        super().__init__(phones, figures)
        self.created: list[tuple[int, int]] = []
        self._count = 0

    def _begin(self, path: str, send: Callable[[bytes], None]) -> ScriptedSession:
        # Which phone it is, nobody knows here; only the script's own figures would need it.
        number, self._count = self._count, self._count + 1
        session = MarkedSession(
            self._phones[number % len(self._phones)],
            self._figures,
            send,
            0.2 + (number * 0.6180339887 % 1.0) * PERIOD_S,
            lambda sent, now: self.created.append((sent, now)),
            quiet=f"model={QUIET}" in path,
        )
        self.sessions.add(session)
        return session
