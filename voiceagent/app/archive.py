"""What is on its way into the database: in order, however long it is away; no call waits for it.

Ended calls, recordings, and events that webhooks are to tell. The end of a call and the event that tells it
are written in one transaction: whoever hears of the end finds the call, and no end is untold.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from sqlalchemy.exc import IntegrityError

from voiceagent.app import endings
from voiceagent.app.directory import outcome_data
from voiceagent.app.recordings import record_of
from voiceagent.call.call import Call
from voiceagent.notify.message import Message
from voiceagent.records.journal import Journal
from voiceagent.store import Database, DatabaseDown, WorkRefused, outbox, recordings
from voiceagent.store.history import CallRecord, LineRecord, ResponseRecord, write
from voiceagent.store.recordings import RecordingRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection

_log = structlog.get_logger("voiceagent.archive")

WAITING_MOST = 10_000
"""Ended calls kept in memory while the database is away; beyond it, the oldest have their journals only."""
EVENTS_MOST = 10_000
"""Events kept there; further ones are counted and forgotten."""
RECORDINGS_MOST = 10_000
"""News of recordings kept there; of further ones, the journals know."""
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

JOURNAL_LOOKS, JOURNAL_LOOK_S = 100, 0.01
"""How often, and how long apart, an ended call's journal is looked at before its row is written."""

Ending = Callable[["Connection", CallRecord, Sequence[LineRecord], Sequence[ResponseRecord]], bool]
"""Writes a call as far as nothing better is known; returns whether its end is to be told."""
Entry = tuple[CallRecord, list[LineRecord], list[ResponseRecord]]


class Waiting(NamedTuple):
    """A call, an event, or both; or the news of a recording."""

    entry: Entry | None
    message: Message | None
    recording: RecordingRecord | None = None
    found: Ending | None = None
    """How the end of the call is known; None: the call told it itself."""
    journal: Journal | None = None
    """Of the call: a row must not be older than the end in its journal."""

    @property
    def name(self) -> str:
        """What it is called in the log."""
        if self.recording is not None:
            return self.recording.file
        return self.entry[0].id if self.entry else self.message.id if self.message else ""


def keep(connection: Connection, waiting: Waiting) -> None:
    """Write it. Done again, it changes nothing."""
    if waiting.found is not None and waiting.entry is not None:
        if not waiting.found(connection, *waiting.entry):
            return
    elif waiting.entry is not None:
        write(connection, *waiting.entry)
    if waiting.recording is not None:
        recordings.put(connection, waiting.recording)
    put(connection, waiting.message)


def put(connection: Connection, message: Message | None) -> None:
    """Have ``message`` delivered."""
    if message is not None and not endings.needs_no_other(connection, message):
        outbox.put(
            connection,
            message.endpoints,
            event_id=endings.id_of(connection, message),
            kind=message.type,
            call_id=message.call_id,
            payload=message.body,
            at=message.at,
        )


class Archive:
    """Writes ended calls. :meth:`run` is the task that does it."""

    def __init__(self, database: Database, *, provider: str, node: str) -> None:
        self._database = database
        self._provider = provider
        self._node = node
        self._waiting: deque[Waiting] = deque()
        self._calls = self._events = self._recordings = 0
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.dropped = 0
        """Calls that found no place here; their journals hold them."""
        self.told: Callable[[str], None] = lambda call_id: None
        """Called with the id of every call that has been written."""
        self.recorded: Callable[[RecordingRecord], None] = lambda record: None
        """Called with every recording of a call that has begun or ended."""
        self.announce: Callable[[Call], Message | None] = lambda call: None
        """Returns the event that tells the end of a call; None when nobody asked for it."""
        self.left_out: Callable[[CallRecord], None] = lambda record: None
        """Called with every call that found no place here."""
        self.put: Callable[[Message], None] = lambda message: None
        """Called with every event that has been written."""
        self.events_dropped: Callable[[Message], None] = lambda message: None
        """Called with every event that found no place here."""

    @property
    def kept_as(self) -> dict[str, str]:
        """What every call's record says of this node."""
        return {"node": self._node, "provider": self._provider}

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, call: Call) -> None:
        """Take an ended call. Does not wait."""
        try:
            message = self.announce(call)
        except Exception:  # the call's record is worth more than its telling
            _log.exception("the end of a call cannot be told", call_id=call.id)
            message = None
        entry = entry_of(call, self._provider, self._node)
        self._add(Waiting(entry, message, journal=call.journal))
        if self._calls > WAITING_MOST:
            self._drop_oldest_call()

    def keep_found(self, entry: Entry, message: Message | None, found: Ending) -> None:
        """Take a call whose end is known from elsewhere. Does not wait."""
        self._add(Waiting(entry, message, found=found))

    def keep_event(self, message: Message) -> None:
        """Take an event that is to be delivered. Does not wait."""
        if self._events >= EVENTS_MOST:
            self.events_dropped(message)
            return
        self._add(Waiting(None, message))

    def keep_recording(self, call: Call, kind: str, facts: Mapping[str, Any]) -> None:
        """Take what happened to a recording of a call. Does not wait."""
        record = record_of(call, kind, facts)
        if record is not None:
            self.keep_state(record)
            self.recorded(record)

    def keep_state(self, record: RecordingRecord) -> None:
        """Take what has become of a recording. Does not wait."""
        if self._recordings < RECORDINGS_MOST:
            self._add(Waiting(None, None, record))

    def _add(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        self._count(waiting, 1)
        self._empty.clear()
        self._news.set()

    def _count(self, waiting: Waiting, by: int) -> None:
        if waiting.entry is not None:
            self._calls += by
        elif waiting.recording is not None:
            self._recordings += by
        else:
            self._events += by

    def _drop_oldest_call(self) -> None:
        oldest = next(one for one in self._waiting if one.entry is not None)
        self._waiting.remove(oldest)
        self._count(oldest, -1)
        self.dropped += 1
        if oldest.entry is not None:
            self.left_out(oldest.entry[0])
        if oldest.message is not None:
            self.events_dropped(oldest.message)

    async def run(self) -> None:
        """Write whatever comes, until cancelled."""
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                waiting = self._waiting[0]
                if waiting.journal is not None:
                    await _complete(waiting.journal)
                try:
                    await self._write(waiting)
                except DatabaseDown as down:
                    if not failures:
                        _log.warning("ended calls wait for the database", error=str(down))
                    await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                    failures += 1
                    continue
                failures = 0
                if self._waiting and self._waiting[0] is waiting:
                    self._waiting.popleft()
                    self._count(waiting, -1)
                if waiting.entry is not None:
                    self.told(waiting.entry[0].id)
                if waiting.message is not None:
                    self.put(waiting.message)
            self._empty.set()

    async def _write(self, waiting: Waiting) -> None:
        try:
            try:
                await self._database.run(lambda c: keep(c, waiting))
            except (
                IntegrityError
            ):  # another node has just written the same row: which stands, can be seen now
                await self._database.run(lambda c: keep(c, waiting))
        except Exception as error:
            if isinstance(error, DatabaseDown) and not isinstance(error, WorkRefused):
                raise
            # One call that cannot be written must not keep the others out, nor its own end untold.
            _log.exception("this could not be kept", what=waiting.name)
            if waiting.entry is not None and waiting.message is not None:
                await self._write(Waiting(None, waiting.message))

    async def flush(self, limit_s: float) -> bool:
        """Wait until all is written; False when the limit came first."""
        try:
            async with asyncio.timeout(limit_s):
                await self._empty.wait()
        except TimeoutError:
            _log.warning("ended calls were not written; their journals hold them", calls=self._calls)
            return False
        return True


async def _complete(journal: Journal) -> None:
    """Wait until a journal is on disk, but not for a disk that takes nothing."""
    for _ in range(JOURNAL_LOOKS):
        if journal.complete:
            return
        await asyncio.sleep(JOURNAL_LOOK_S)


def entry_of(call: Call, provider: str, node: str) -> Entry:
    """Return what is kept of a call: the call, its transcript, its requests."""
    info, outcome, leg = call.info, call.outcome, call.leg.figures()
    record = CallRecord(
        id=call.id,
        node=node,
        direction=info.direction,
        kind=info.kind,
        caller=info.caller,
        called=info.called,
        flow=call.flow.name,
        trunk=info.trunk,
        provider=provider,
        started_at=round(call.started_at, 3),
        answered_at=None if call.answered_at is None else round(call.wall(call.answered_at), 3),
        ended_at=round(call.started_at + call.seconds, 3),
        duration_s=round(call.seconds, 3),
        outcome="unknown" if outcome is None else outcome.kind.value,
        reason="" if outcome is None else outcome.reason,
        fault="" if outcome is None else outcome.detail,
        barge_ins=call.barge_ins,
        first_words_ms=None if call.first_words_s is None else round(round(call.first_words_s, 4) * 1000, 1),
        journal="" if call.journal.path is None else call.journal.path.name,
        recording=next(iter(call.recorder.files), ""),
        figures={
            "received": leg.received,
            "sent": leg.sent,
            "lost": leg.lost,
            "late": leg.late,
            **leg.details,
            "recordings": list(call.recorder.files),
            "recordings_at": list(call.recorder.begun),
        },
    )
    said = [
        LineRecord(line.at, line.speaker, line.text, line.full_text or line.text, line.cut)
        for line in call.transcript.lines
    ]
    asked = [
        ResponseRecord(
            entry.request.id,
            entry.request.origin.value,
            entry.line,
            dict(entry.metadata),
            round(call.wall(entry.submitted_at), 3),
            entry.state,
            entry.reason,
            outcome_data(entry.outcome),
        )
        for entry in call.ledger
    ]
    return record, said, asked
