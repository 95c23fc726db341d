"""The recording of one call: what its leg heard and played, gated, on its way to the file.

Caller left, agent right, the agent as heard: cut where the caller cut it, silent where nothing played.
Nothing of either side goes in while a gate is shut: by the flow (``pause_recording``), while a secret is
collected, on hold. Keys that we send are never in it.
"""

from __future__ import annotations

import asyncio
import re
from functools import cache
from typing import TYPE_CHECKING

from voiceagent.call.local_lines import PREFIX
from voiceagent.call.observer import CallObserver
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.ivr.ports import Recording
from voiceagent.media.g711 import Law, encode, silence_byte
from voiceagent.media.tones import sine
from voiceagent.media.tracks import Tracks
from voiceagent.records.recording import RecordingFailed, RecordingNews, Recordings, RecordingSink

if TYPE_CHECKING:
    from voiceagent.call.call import Call

TAKE_S = 0.5
"""How often what was heard goes to the writer."""
MOST = 100
"""Recordings of one call."""
TOLD = frozenset({"flow", "operator"})
"""Whose pauses have a tone: on hold there is music, and a secret is asked for in words."""

_is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch


@cache
def tone_of(goes_on: bool, law: Law) -> bytes:
    """Return the tone of a pause (one) or of its end (two) as G.711."""
    beep, gap = sine(1400, 150, dbfs=-20.0), bytes(2 * 800)
    return encode(beep + gap + beep if goes_on else beep, law)


class Recorder:
    """The recordings of one call, one at a time. Synchronous, on the loop's thread."""

    def __init__(
        self,
        call: Call,
        to: Recordings,
        observer: CallObserver,
        max_s: float,
        *,
        announcement: str = "",
        tone: bool = False,
    ) -> None:
        """``tone``: the caller hears one when a recording is paused, and goes on."""
        self._call = call
        self._to = to
        self._observer = observer
        self._max_s = max_s
        self.announcement = announcement
        """Said before recordings whose flow says nothing: words, or a WAV file's path."""
        self._tone = tone
        self._tones = 0
        self._loop = asyncio.get_running_loop()
        self._gates: set[str] = set()
        self._names: set[str] = set()
        self.files: list[str] = []
        """Every file that was begun, below the recordings' folder."""
        self.begun: list[float] = []
        """When each of them began: seconds since the call did."""
        self._now: _Running | None = None
        self._unfinished: set[asyncio.Future[None]] = set()

    @property
    def state(self) -> str:
        """Running, paused, or empty while nothing is recorded."""
        return "" if self._now is None else "paused" if self._gates else "running"

    def check(self, name: str | None) -> str:
        """Return the name that :meth:`start` will take.

        Raises RequestRefused where it will refuse, and CallEnded when there is nothing to record any more.
        """
        if self._call.closing or self._call.leg_gone:
            raise CallEnded
        if not self._call.leg.capabilities.can_record:
            raise RequestRefused("record", "cannot be done on this kind of call", code="not_supported")
        if self._now is not None:
            raise RequestRefused("record", f"{self._now.name!r} is being recorded already", code="recording")
        return self._checked(name)

    def start(self, name: str | None = None) -> Recording:
        """Begin to record. Raises RequestRefused for a bad or used name, or where it cannot be done.

        CallEnded after the call's end: there is nothing to record any more.
        """
        call = self._call
        name = self.check(name)
        self._names.add(name)
        self._gates.discard("flow")
        file = f"{call.id}.wav" if name == call.id else f"{call.id}-{name}.wav"
        began_s = round(call.seconds, 3)
        call.journal.write("recording.started", name=name, file=file, began_s=began_s)
        self.files.append(file)
        self.begun.append(began_s)
        self._now = _Running(self, name, file, call.leg.audio_format == "audio/pcma", self._loop.time())
        self._now.begin(self._to)
        call.taps.add(self._now)
        self._told("recording.started", self._now)
        for by in sorted(self._gates):
            call.journal.write("recording.paused", name=name, by=by)
        return Recording(name, file)

    def _checked(self, name: str | None) -> str:
        if name is None:
            free = (f"{self._call.id}", *(f"part{number}" for number in range(2, MOST + 1)))
            name = next((one for one in free if one not in self._names), None)
        elif _is_name(name) is None:
            words = "must be 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-', beginning with a letter or digit"
            raise RequestRefused("name", words)
        elif name in self._names:
            raise RequestRefused("name", f"{name!r} is a recording of this call already")
        if name is None or len(self._names) >= MOST:
            raise RequestRefused("record", f"has been done {MOST} times in this call", code="too_many")
        return name

    def gate(self, by: str, shut: bool) -> None:
        """Keep what is heard out of the recording while ``shut``: silence stands in its place.

        ``by`` says for whom (``flow``, ``secret``, ``hold``, ``operator``); it is recorded while no gate is
        shut. Gates shut and open also while nothing is recorded.
        """
        if shut == (by in self._gates):
            return
        was = bool(self._gates)
        (self._gates.add if shut else self._gates.discard)(by)
        if self._now is not None:
            if self._tone and by in TOLD and was != bool(self._gates):
                self._sound_tone()
            kind = "recording.paused" if shut else "recording.resumed"
            self._call.journal.write(kind, name=self._now.name, by=by)
            self._told(kind, self._now)

    def _sound_tone(self) -> None:
        """One tone: it stands still. Two: it goes on."""
        call = self._call
        if call.closing or call.leg_gone:
            return
        self._tones += 1
        law: Law = "alaw" if call.leg.audio_format == "audio/pcma" else "ulaw"
        call.watch.play_line(tone_of(not self._gates, law), f"{PREFIX}recording-{self._tones}")

    @property
    def shut(self) -> bool:
        """Nothing that is heard now goes into the recording."""
        return bool(self._gates)

    def stop(self, reason: str = "flow") -> Recording | None:
        """End the recording; return it with its length, or None where nothing was recorded."""
        one, self._now = self._now, None
        if one is None:
            return None
        self._call.taps.remove(one)
        one.end(reason)
        return Recording(one.name, one.file, round(one.tracks.seconds, 3))

    async def finished(self) -> None:
        """Wait until every file is complete, and the journal knows."""
        if self._unfinished:
            await asyncio.wait(set(self._unfinished))

    # ── what a recording tells ──────────────────────────────────────────────────────────────────
    def grew(self, one: _Running) -> None:
        """End a recording that has come to its limit."""
        if one is self._now and one.tracks.seconds >= self._max_s:
            self.stop("max_minutes")

    def began(self, done: asyncio.Future[None]) -> None:
        """A file is being written; ``done`` is done when it is complete."""
        self._unfinished.add(done)
        done.add_done_callback(self._unfinished.discard)

    def ended(self, one: _Running, news: RecordingNews) -> None:
        """A file is complete, or has failed."""
        journal = self._call.journal
        if isinstance(news, RecordingFailed):
            if one is self._now:
                self._now = None
                self._call.taps.remove(one)
            journal.write("recording.failed", name=one.name, file=one.file, error=news.error)
            self._told("recording.failed", one, error=news.error)
            return
        facts = {"seconds": round(news.seconds, 3), "bytes": news.size, "sha256": news.sha256}
        if news.dropped_s:
            facts["dropped_s"] = round(news.dropped_s, 3)
        journal.write("recording.finished", name=one.name, file=one.file, reason=one.reason, **facts)
        self._told("recording.finished", one, **facts)

    def _told(self, kind: str, one: _Running, **facts: object) -> None:
        self._observer.happened(self._call, kind, {"name": one.name, "file": one.file, **facts})


class _Running:
    """One recording under way: what the leg's tap brings, on its way to the writer. Fulfils ``LegTap``."""

    def __init__(self, recorder: Recorder, name: str, file: str, alaw: bool, began: float) -> None:
        self.name = name
        self.file = file
        self.reason = ""
        self._law: Law = "alaw" if alaw else "ulaw"
        self.tracks = Tracks(silence_byte(self._law), began)
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._take_at = began + TAKE_S
        self._sink: RecordingSink | None = None
        self._done: asyncio.Future[None] = self._loop.create_future()

    def begin(self, to: Recordings) -> None:
        """Open the file; that it cannot be is told later."""
        self._recorder.began(self._done)
        self._sink = to.start(self.file, self._law, self._news)

    def end(self, reason: str) -> None:
        """Write the rest."""
        self.reason = reason
        sink, self._sink = self._sink, None
        if sink is not None:
            for piece in self.tracks.finish(self._loop.time()):
                sink.write(*piece)
            sink.finish()

    def caller_audio(self, audio: bytes) -> None:
        now = self._loop.time()
        self._take(now)
        if not self._recorder.shut:
            self.tracks.caller(audio, now)

    def agent_audio(self, audio: bytes) -> None:
        now = self._loop.time()
        self._take(now)
        if not self._recorder.shut:
            self.tracks.agent(audio, now)

    def _take(self, now: float) -> None:
        if now < self._take_at or self._sink is None:
            return
        self._take_at = now + TAKE_S
        for piece in self.tracks.take(now):
            self._sink.write(*piece)
        self._recorder.grew(self)

    def _news(self, news: RecordingNews) -> None:
        self._sink = None
        self._recorder.ended(self, news)
        if not self._done.done():
            self._done.set_result(None)
