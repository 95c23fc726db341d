"""What a human says in the agent's place, as part of the conversation: heard and written down by the session.

A session has one ear. Each utterance of the operator's is put into it as a whole, with a pause behind it,
where the caller is not in the middle of a turn; the caller's own sound goes on after it. Where an utterance
stands in the session's audio says whose a turn is. Its item, which the provider takes for the caller's, is
taken out once it is text, and the model is told who said it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voiceagent.call.inputs import of_the_call, write_operator
from voiceagent.media.g711 import ulaw_to_alaw
from voiceagent.media.utterances import Utterances

if TYPE_CHECKING:
    from voiceagent.call.call import Call

PER_MS = 8
TAIL_MS = 1000
"""Silence behind an utterance, with which its turn ends."""
EARLY_MS = 450
"""A turn is told to begin so much before its sound at most: providers pad it."""
EXPECTED_S = 2.0
"""So long an utterance may take until the provider tells that somebody speaks; then nobody waits any more."""
MOST_MS = 60_000
"""So much waits at most while the caller does not stop speaking."""
SPANS_KEPT = 64
SAID = "Your human colleague said to the caller: {text}"


class OperatorWords:
    """The operator's words of one call. Synchronous, on the loop's thread."""

    __slots__ = ("_call", "_cutter", "_expected_until", "_items", "_loop", "_ready", "_spans")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._cutter = Utterances("ulaw")
        self._ready: list[bytes] = []
        self._spans: list[tuple[float, float]] = []
        """From and to, in ms of the session's audio."""
        self._expected_until = 0.0
        self._items: dict[str, bool] = {}
        """Turns that are the operator's; True while they are being spoken."""

    # ── from the microphone ─────────────────────────────────────────────────────────────────────
    def heard(self, frame: bytes) -> None:
        """The operator's sound, as it came (20 ms of µ-law)."""
        said = self._cutter.feed(frame)
        if said is not None:
            self._keep(said)

    def flush(self) -> None:
        """The microphone is off: what was begun is an utterance."""
        said = self._cutter.flush()
        if said is not None:
            self._keep(said)

    def _keep(self, said: bytes) -> None:
        self._ready.append(said)
        while sum(map(len, self._ready)) > MOST_MS * PER_MS:
            self._ready.pop(0)

    @property
    def speaking(self) -> bool:
        """True while the operator is heard to speak."""
        return self._cutter.speaking

    @property
    def busy(self) -> bool:
        """True while something that was said has not become a turn yet."""
        awaited = self._loop.time() < self._expected_until
        return bool(self._ready) or awaited or any(self._items.values())

    # ── into the session ────────────────────────────────────────────────────────────────────────
    def pass_on(self) -> None:
        """Put the next utterance into the session, if the caller is not in the middle of a turn."""
        session = self._call.session
        awaited = self._loop.time() < self._expected_until
        if not self._ready or session is None or awaited or self._call.watch.caller_speaks:
            return
        at, audio = round(session.audio_ms), self._ready.pop(0)
        write_operator(self._call.journal, "words", at=at, ms=len(audio) // PER_MS)
        with of_the_call(self._call.journal):
            alaw = self._call.leg.audio_format == "audio/pcma"
            self.put(at, ulaw_to_alaw(audio) if alaw else audio)

    def put(self, at: int, audio: bytes) -> None:
        """``audio`` (G.711 of the line) goes into the session, ``at`` ms of what it has heard so far."""
        session = self._call.session
        if session is None:
            return
        session.send_audio(audio + self._call.secrecy.silence(bytes(TAIL_MS * PER_MS)))
        self._spans.append((at - EARLY_MS, at + len(audio) / PER_MS))
        del self._spans[:-SPANS_KEPT]
        self._expected_until = self._loop.time() + EXPECTED_S

    def put_silence(self, at: int, ms: int) -> None:
        """The same in a replay, which has no sound."""
        self.put(at, self._call.secrecy.silence(bytes(ms * PER_MS)))

    def forget_places(self) -> None:
        """Another session: places in the audio of the former one mean nothing."""
        self._spans.clear()

    # ── from the session ────────────────────────────────────────────────────────────────────────
    def started(self, item_id: str | None, audio_ms: int) -> bool:
        """A turn begins at this place: is it the operator's?"""
        if item_id is None or not any(begin <= audio_ms <= end for begin, end in self._spans):
            return False
        self._expected_until = 0.0
        self._items[item_id] = True
        return True

    def stopped(self, item_id: str | None) -> bool:
        """A turn has ended: was it the operator's?"""
        if item_id not in self._items:
            return False
        self._items[item_id or ""] = False
        return True

    def said(self, item_id: str, text: str) -> bool:
        """A turn has become text: if it is the operator's, take it as such."""
        if item_id not in self._items:
            return False
        del self._items[item_id]
        call = self._call
        call.journal.write("operator.said", text=text, operator=call.take_over.last)
        if text:
            call.transcript.said(item_id, call.seconds, "operator", text)
            if call.session is not None:
                call.session.forget_item(item_id)
                call.session.note(SAID.format(text=text))
        return True
