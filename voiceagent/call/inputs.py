"""What enters a call, written into its journal: enough to live the call again without anybody there.

Entries whose type begins with ``in.`` are inputs; everything else in a journal is a decision, or a fact that
follows from the inputs. ``g`` is the turn of the event loop in which an input entered (:mod:`.loop_turns`).
Audio is written as amounts and moments, never as content.

For the call, the clock stands still within a turn of the loop, but for an input that enters in it. ``clock``
tells what time it was (ms since the call began) in turns in which the call looked and no input says it.

Ids and dice that decisions depend on are drawn from streams of a seed that the journal holds.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar
from zlib import crc32

from voiceagent.call.caller_marks import CallerMarks
from voiceagent.call.dead_air import runs_of_sound
from voiceagent.call.loop_timers import OWNER, beyond, owning
from voiceagent.call.loop_turns import FOLLOWED, LateListener, turns_of
from voiceagent.errors import SipError, VoiceAgentError
from voiceagent.ids import Tokens, seeded_chance, seeded_tokens
from voiceagent.realtime.model_events import RealtimeModelAudioEvent, RealtimeModelTranscriptDeltaEvent
from voiceagent.records.journal import Journal

T = TypeVar("T")

INPUTS_VERSION = 4
"""Version of the ``in.*`` entries, in ``in.call``. Since 4, ``in.audio`` holds the words as well,
and when the loop was late stands in ``late`` of the next entry."""
CALLER_AUDIO_S = 2.0
"""The caller's frames are gathered for so long into one entry."""
AUDIO_ENTRY_LIMIT = 200
"""Pieces of the agent's audio and of its transcript that one entry holds at most."""
WORDS_LIMIT = 4096
"""Characters of a piece of transcript that is gathered; a longer one, which no model sends, is a frame."""
TIMER_ENTRY_LIMIT = 100
"""Timers that one entry holds at most."""
CLOCK_LIMIT = 200
"""Moments of the clock that are gathered at most."""
SENT_LIMIT = 2048
"""Control frames up to this size are written whole, longer ones as size and checksum."""
HIDDEN = "•"
"""Stands for a key that the caller pressed while what is keyed in is secret."""

_TYPE = re.compile(rb'"type"\s*:\s*"([^"]{1,80})"')
_SAID_ELSEWHERE = frozenset({"response.create", "response.cancel"})
"""Frames that the sequencer's own entries tell in full."""
_DIGIT = re.compile(r'("(?:event|digit)"\s*:\s*")[0-9*#A-D](")')


class Inputs:
    """Records the inputs of one call. A :class:`~voiceagent.realtime.tap.LinkTap`, too.

    Set as ``journal.inputs`` before the call is made, which then records through it.
    """

    __slots__ = (
        "_audio",
        "_audio_from",
        "_audio_of",
        "_audio_turns",
        "_caller",
        "_chances",
        "_clock",
        "_clock_turn",
        "_early",
        "_fired_at",
        "_journal",
        "_lateness",
        "_lates",
        "_legs",
        "_moments",
        "_over",
        "_sessions",
        "_sockets",
        "_timers",
        "_timers_from",
        "_tokens",
        "_told_wall",
        "_turns",
        "_waiting",
        "_wished",
        "at_end",
        "began_at",
        "masked",
        "pending",
        "replayed",
        "secret",
        "seed",
        "told_by",
    )

    def __init__(self, journal: Journal, seed: str, *, wall: Callable[[], float] | None = None) -> None:
        """``wall`` is given in a replay: the time that the call believes it is."""
        self.seed = seed
        self.began_at = time.time()
        """Unix time at which the call's clock stood at 0."""
        self._told_wall = wall
        self.replayed = wall is not None
        """The call is lived again: what comes from outside is told by the recording."""
        self.secret: Callable[[], bool] = _never
        """Whether what the caller keys in now is nobody's business."""
        self.masked: Callable[[str], str] = str
        """Hides what was keyed in secret in a text."""
        self.told_by: Callable[[str], bool] = _never
        """Whether data hold it."""
        self.pending = False
        self._waiting: list[tuple[str, float, dict[str, Any]]] | None = []
        """Entries beside the call, until its own first ones stand."""
        self.at_end: list[Callable[[], None]] = []
        """Called once, when nothing is recorded any more."""
        self._over = False
        self._journal = journal
        self._tokens: dict[str, Tokens] = {}
        self._chances: dict[str, Callable[[], float]] = {}
        # A replay steers its loop by the turns: counting them there would keep it busy.
        self._turns = turns_of(asyncio.get_running_loop()) if wall is None else None
        self._lateness: LateListener | None = None
        self._clock = journal.start
        self._clock_turn = 0
        self._wished = 0
        """Turn of the loop in which an operator's wish was done."""
        self._moments: list[tuple[int, float]] = []
        """What time it was in which turn of the loop."""
        self._lates: list[tuple[float, float]] = []
        """From when to when the loop did nothing."""
        if self._turns is not None:
            self._lateness = LateListener(self._late)
            self._turns.listen(self._lateness)
            journal.keep_time(self._written)
        self._legs = 0
        self._sockets = 0
        self._sessions = 0
        self._audio: list[list[float | str]] = []
        """When each piece came (ms), and its amounts or its words."""
        self._audio_turns: list[int] = []
        self._audio_of: tuple[int, str, str, int] | None = None
        self._audio_from = 0.0
        self._timers: list[tuple[int, float, float, str]] = []
        self._timers_from = 0.0
        self._fired_at = -1.0
        self._caller: dict[int, CallerMarks] = {}
        """By leg."""
        self._early = False
        journal.inputs = self

    # ── streams ─────────────────────────────────────────────────────────────────────────────────
    def tokens(self, name: str) -> Tokens:
        """Return the call's stream of tokens for one consumer; it goes on where it was left."""
        return self._tokens.setdefault(name, seeded_tokens(self.seed, name))

    def chance(self, name: str) -> Callable[[], float]:
        """Return the call's dice for one consumer."""
        return self._chances.setdefault(name, seeded_chance(self.seed, name))

    # ── numbers ─────────────────────────────────────────────────────────────────────────────────
    def new_leg(self) -> int:
        """Return the number of the next leg; the caller's own is 1."""
        self._legs += 1
        return self._legs

    def new_session(self) -> int:
        """Return the number of the next attempt to open a session."""
        self._sessions += 1
        return self._sessions

    def wall(self) -> float:
        """Return Unix time by the call's clock, or as it is told: a replay can know no other."""
        return self.began_at + self._journal.now if self._told_wall is None else self._told_wall()

    # ── the clock ───────────────────────────────────────────────────────────────────────────────
    def time(self) -> float:
        """Return what time it is for the call: the same within one turn of the loop."""
        turns = self._turns
        if turns is None:
            return asyncio.get_running_loop().time()
        turn = turns.turn
        if not turn:
            return turns.clock()
        if turn != self._clock_turn:
            self._clock_turn = turn
            now = turns.clock()
            if now != self._clock and not self._over:
                self._clock = now
                self._moments.append((turn, _ms(now - self._journal.start)))
                if len(self._moments) >= CLOCK_LIMIT:
                    self._write_clock()
        return self._clock

    def _written(self) -> float:
        """An entry is written: what an input woke is still at work, so the turns are counted on."""
        if self._turns is not None:
            self._turns.stay()
        return self.time()

    def _look(self) -> float:
        """Something enters, with the time in its entry: return that."""
        turns = self._turns
        if turns is None:
            now = self._journal.now
            self._clock = self._journal.start + now
            return now
        self._clock_turn = turns.turn
        now = self._clock = turns.clock()
        for leg, marks in self._caller.items():
            if marks.times[-1] >= now:
                self._write_caller(leg)  # the clock does not tell who was first: the order of entries does
                return self._look()
        return now - self._journal.start

    def _write_clock(self) -> None:
        told: dict[str, Any] = {}
        self._tell_clock(told)
        self._journal.write("in.clock", **told)

    def _tell_clock(self, fields: dict[str, Any]) -> None:
        """Put into an entry what was gathered of the clock."""
        if self._moments:
            fields["clock"], self._moments = self._moments, []
        if self._lates:
            start = self._journal.start
            fields["late"] = [
                (round(since - start, 6), round(until - start, 6)) for since, until in self._lates
            ]
            self._lates = []

    # ── entries ─────────────────────────────────────────────────────────────────────────────────
    def write(self, kind: str, /, **fields: Any) -> None:
        """Write ``in.<kind>``."""
        self._wished = 0
        turn = self.turn()
        self._look()
        self._tell_clock(fields)
        if self.pending:
            self.flush()
        self._journal.append(f"in.{kind}", self._clock, {"g": turn, **fields})

    def write_beside(self, kind: str, when: float, /, **fields: Any) -> None:
        """Write an entry that is no input of the call itself: it counts no turn. ``when``: loop's clock."""
        if self._waiting is not None:
            self._waiting.append((kind, when, fields))
        else:
            self._journal.write(kind, since=round(when - self._journal.start, 6), **fields)

    def begun(self) -> None:
        """The first entries of the call stand: write what came before it, and the rest as it comes."""
        waiting, self._waiting = self._waiting or [], None
        for kind, when, fields in waiting:
            self.write_beside(kind, when, **fields)

    def turn(self) -> int:
        """Return the number of this turn of the loop, and count on: something begins that may end later."""
        return 0 if self._turns is None else self._turns.enter()

    def since(self, turn: int) -> dict[str, bool]:
        """Return ``at_once`` for an entry about what began in ``turn``, if nothing else has run since."""
        return {"at_once": True} if self.turn() == turn else {}

    def wished(self) -> None:
        """An operator's wish is done: what the call decides in the rest of this turn comes after it."""
        if self._turns is not None:
            self._wished = self._turns.turn
            self.pending = self.pending or bool(self._wished)

    def _late(self, since: float, until: float) -> None:
        """The loop did nothing for a while: its timers fired later than they were due."""
        self._lates.append((since, until))
        if len(self._lates) >= CLOCK_LIMIT:
            self._write_clock()

    # ── timers ──────────────────────────────────────────────────────────────────────────────────
    def owned(self, work: Callable[..., T], /, *args: Any, **given: Any) -> T:
        """Do what an input brings about; timers that are armed by it are this call's."""
        token = OWNER.set(self)
        try:
            return work(*args, **given)
        finally:
            OWNER.reset(token)

    def own(self) -> None:
        """From now on the timers of the running task, and of what it starts, are this call's."""
        if self._turns is not None:
            OWNER.set(self)

    def timer_fired(self, name: str, due: float) -> None:
        """See :class:`~voiceagent.call.loop_timers.TimerOwner`."""
        if self._turns is None or self._over:
            return
        self._wished = 0
        if self._audio_of is not None or len(self._timers) >= TIMER_ENTRY_LIMIT:
            self.flush()
        # Counting keeps a loop busy, and a virtual clock moves only at rest: not anew at the same moment.
        if (at := self._turns.clock()) != self._fired_at or not self._turns.turn:
            self._turns.enter()
        self._fired_at = at
        turn, now = self._turns.turn, self._look()
        if not self._timers:
            self._timers_from = now
            self.pending = True
        ms = _ms(now - self._timers_from)
        self._timers.append((turn, ms, _ms(due - self._journal.start), name))

    # ── the caller's audio ──────────────────────────────────────────────────────────────────────
    def caller_audio(self, leg: int, frames: int) -> None:
        """So many of the caller's frames have come now; the entry tells the gaps between them, in ms.

        Where they are more than one, or come while what an input woke may still run: gap, frames, turn.
        """
        turns = self._turns
        if turns is None:
            return
        now, turn = turns.clock(), turns.turn
        if turn and turn - self._clock_turn > FOLLOWED:
            turn = 0
        marks = self._caller.get(leg)
        if marks is None:
            marks = self._caller[leg] = CallerMarks()
        marks.add(now, frames, turn)
        if now - marks.times[0] >= CALLER_AUDIO_S:
            self._write_caller(leg)

    def _write_caller(self, leg: int) -> None:
        marks = self._caller.pop(leg)
        since = round(marks.times[0] - self._journal.start, 6)
        self._journal.write("in.caller_audio", leg=leg, since=since, gaps=marks.gaps())

    # ── LinkTap ─────────────────────────────────────────────────────────────────────────────────
    def beyond(self) -> AbstractContextManager[None]:
        return beyond(self)

    @contextmanager
    def early(self) -> Generator[None]:
        self._early = True
        try:
            yield
        finally:
            self._early = False

    def opening(self) -> int:
        self._sockets += 1
        return self._sockets

    def opened(self, socket: int) -> None:
        self.write("link", socket=socket, state="opened")

    def failed(self, socket: int, error: VoiceAgentError) -> None:
        self.write("link", socket=socket, state="failed", error=error_data(error))

    def closed(self, socket: int, code: int | None, reason: str, *, ours: bool) -> None:
        self.write("link", socket=socket, state="closed", code=code, reason=reason, ours=ours)

    def gone(self, socket: int, waited: int) -> None:
        self.write("link", socket=socket, state="gone", **self.since(waited))

    def frame(self, socket: int, data: bytes | str) -> None:
        text = data if isinstance(data, str) else bytes(data).decode("utf-8", "backslashreplace")
        if "dtmf" in text and self.secret():
            text = _DIGIT.sub(rf"\1{HIDDEN}\2", text)
        self.write("frame", socket=socket, frame=text, **({"at_once": True} if self._early else {}))

    def audio(self, socket: int, event: RealtimeModelAudioEvent, audio_format: str) -> None:
        if audio_format == "audio/pcm":
            amounts = [len(event.data)]
        else:
            amounts = [size if sound else -size for size, sound in runs_of_sound(event.data, audio_format)]
        of = (socket, event.response_id, event.item_id, event.content_index)
        self._gather(of, amounts or [0])

    def words(self, socket: int, event: RealtimeModelTranscriptDeltaEvent, data: bytes | str) -> None:
        if self._early or len(event.delta) > WORDS_LIMIT:
            self.frame(socket, data)
        else:
            of = (socket, event.response_id, event.item_id, event.content_index)
            self._gather(of, [event.delta])

    def _gather(self, of: tuple[int, str, str, int], piece: Sequence[float | str]) -> None:
        """A piece of what the agent says has come. It wakes nobody."""
        self._wished = turn = 0
        if self._turns is not None:
            turn = self._turns.turn
            self._turns.touch()
        now = self._look()
        if self._timers:
            self.flush()
        if self._audio_of != of or len(self._audio) >= AUDIO_ENTRY_LIMIT:
            self.flush()
            self._audio_of, self._audio_from = of, now
            self.pending = True
        self._audio_turns.append(turn)
        self._audio.append([_ms(now - self._audio_from), *piece])

    def sent(self, socket: int, data: bytes) -> None:
        found = _TYPE.search(data)
        kind = "?" if found is None else found[1].decode("ascii", "replace")
        if kind in _SAID_ELSEWHERE:
            return
        body: dict[str, Any] = {"size": len(data), "crc": crc32(data)}
        if len(data) <= SENT_LIMIT:
            body = {"frame": data.decode("utf-8", "backslashreplace")}
        self._journal.write("link.sent", socket=socket, kind=kind, **body)

    # ── Gathered ────────────────────────────────────────────────────────────────────────────────
    def flush(self) -> None:
        """Write what the agent said, or the timers, that were gathered: what follows may be about it."""
        if not self.pending:
            return
        self.pending = False
        at = self._written()
        wished, self._wished = self._wished, 0
        if wished and self._turns is not None and wished == self._turns.turn:
            self._journal.append("in.amid", at, {})
        if self._timers:
            timers: dict[str, Any] = {"since": round(self._timers_from, 6), "fired": self._timers}
            self._timers = []
            self._tell_clock(timers)
            self._journal.append("in.timers", at, timers)
        if self._audio_of is None:
            return
        socket, response, item, index = self._audio_of
        entry = {
            **({"turns": self._audio_turns} if any(self._audio_turns) else {}),
            "socket": socket,
            "response": response,
            "item": item,
            "index": index,
            "since": round(self._audio_from, 6),
            "deltas": self._audio,
        }
        self._audio_turns, self._audio, self._audio_of = [], [], None
        self._journal.append("in.audio", at, entry)

    def end(self) -> None:
        """The call is over: write what was gathered."""
        if self._turns is not None and self._lateness is not None:
            self._turns.forget(self._lateness)
            self._lateness = None
        self.flush()
        if self._moments or self._lates:
            self._write_clock()
        self._over = True
        for leg in list(self._caller):
            self._write_caller(leg)
        self.begun()
        told, self.at_end = self.at_end, []
        for tell in told:
            tell()
        # Each leads back to the call.
        self.secret, self.masked, self.told_by = _never, str, _never


def _never(*_: str) -> bool:
    return False


def inputs_of(journal: Journal) -> Inputs | None:
    """Return where the inputs of this journal's call are recorded, or None."""
    return journal.inputs if isinstance(journal.inputs, Inputs) else None


def wall_of(journal: Journal) -> float:
    """Return the Unix time that a journal's call believes it is."""
    inputs = inputs_of(journal)
    return journal.wall if inputs is None else inputs.wall()


def clock_of(journal: Journal) -> Callable[[], float]:
    """Return what tells the time to a journal's call, whatever the context: see :mod:`.loop_timers`."""
    inputs = inputs_of(journal)
    return asyncio.get_running_loop().time if inputs is None else inputs.time


def chance_of(journal: Journal, name: str) -> Callable[[], float]:
    """Return the dice of one consumer: the call's own where its inputs are recorded."""
    inputs = inputs_of(journal)
    return random.random if inputs is None else inputs.chance(name)


def write_operator(journal: Journal, what: str, /, **arguments: Any) -> None:
    """Write down what an operator, or the node, wants of the call; also when it is refused then."""
    inputs = inputs_of(journal)
    if inputs is not None:
        inputs.write("operator", what=what, **arguments)


@contextmanager
def of_the_call(journal: Journal) -> Generator[None]:
    """What is done within is the call's own doing, whoever has asked for it: so are its timers."""
    inputs = inputs_of(journal)
    with owning(inputs):
        yield
    if inputs is not None:
        inputs.wished()


def error_data(error: BaseException, mask: Callable[[str], str] = str) -> Mapping[str, Any]:
    """Return an error as plain values: type, message (without what ``mask`` hides), code, status."""
    data: dict[str, Any] = {"type": type(error).__name__, "message": mask(str(error))}
    if isinstance(error, VoiceAgentError):
        data["code"] = error.code
    if isinstance(error, SipError):
        data["status"] = error.status
    return data


_CREDENTIALS = frozenset({"authorization", "proxy-authorization"})


def without_credentials(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return SIP headers whose credentials are left out."""
    return [(name, HIDDEN if name.lower() in _CREDENTIALS else value) for name, value in headers]


def _ms(seconds: float) -> float:
    """Return milliseconds, to the microsecond; whole ones as whole numbers, which are shorter."""
    us = round(seconds * 1e6)
    return us / 1000 if us % 1000 else us // 1000
