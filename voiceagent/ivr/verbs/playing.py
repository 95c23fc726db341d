"""A recorded file: legal text, or anything that must sound the same in every call."""

from __future__ import annotations

from pathlib import Path

from voiceagent.errors import RequestRefused
from voiceagent.ivr.resuming import RESUMED, RESUMPTIONS
from voiceagent.ivr.speaking_on import false_alarm
from voiceagent.ivr.verbs.base import Verbs, beside_flow
from voiceagent.ivr.verbs.wording import verbatim
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind
from voiceagent.realtime.transcript import whole_words

AGAIN_MS = 300
"""A file that is played on begins so much before the place where it was cut: a cut word is heard whole."""


class PlayingVerbs(Verbs):
    """``play``."""

    async def play(
        self,
        path: str | Path,
        *,
        text: str | None = None,
        interruptible: bool = True,
        resume: bool | None = None,
    ) -> Outcome:
        """Play a WAV file to the caller, and return how much of it was heard.

        ``path`` is relative to the flow's own file. ``text`` is what it says: the model is told how much of
        it the caller has heard, and where no file can be played (the provider plays), it is said word for
        word instead. The file waits until nobody speaks; nothing is said while it plays. ``resume`` as with
        :meth:`respond`. Raises RequestRefused naming the file for one that is missing, no WAV file, or longer
        than five minutes, and ``not_supported`` where none can be played and there is no text.
        """
        self._step("play")
        port, words = self._port, self._guarded(text or "")
        if not port.can_play:
            if not words:
                raise RequestRefused(
                    "play", "cannot be done on this kind of call: give text=", code="not_supported"
                )
            line = self._line(verbatim(words), None, interruptible, False, ())
            return await self._speak(line, words, resume=resume)
        file = beside_flow(path)
        left = RESUMPTIONS if interruptible and (self._options.resume if resume is None else resume) else 0
        at, time = 0, 0
        while True:
            heard_ms, whole_ms, by = await port.play(
                file, text=words, interruptible=interruptible, from_ms=at
            )
            heard = min(at + heard_ms, whole_ms)
            cut = by is InterruptedBy.CALLER and time < left
            if not cut or not await false_alarm(port, self._options.words):
                break
            time += 1
            at = max(at, heard - AGAIN_MS)
            port.note_fact(RESUMED, time=time, heard_ms=heard, heard_text=_part(words, heard, whole_ms))
        said = words if by is None else _part(words, heard, whole_ms)
        if said:
            await port.note(f'The caller has just heard a recording. It says: "{said}"')
        kind = OutcomeKind.COMPLETED if by is None else OutcomeKind.INTERRUPTED
        return Outcome(kind, heard_ms=heard, heard_text=said, text=words, by=by)


def _part(text: str, heard_ms: int, whole_ms: int) -> str:
    """Return the whole words that fit into the first ``heard_ms`` of ``whole_ms``, evenly spread."""
    return whole_words(text, len(text) * heard_ms // max(1, whole_ms))
