"""Ended calls on their way into the database: in order, however long it is away; no call waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

import structlog

from voiceagent.call.call import Call
from voiceagent.store import Database, DatabaseDown
from voiceagent.store.history import CallRecord, LineRecord, ResponseRecord, write

_log = structlog.get_logger("voiceagent.archive")

WAITING_MOST = 10_000
"""Ended calls kept in memory while the database is away; beyond it, the oldest have their journals only."""
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

Entry = tuple[CallRecord, list[LineRecord], list[ResponseRecord]]


class Archive:
    """Writes ended calls. :meth:`run` is the task that does it."""

    def __init__(self, database: Database, *, provider: str, node: str) -> None:
        self._database = database
        self._provider = provider
        self._node = node
        self._waiting: deque[Entry] = deque()
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.dropped = 0
        """Calls that found no place here; their journals hold them."""
        self.told: Callable[[str], None] = lambda call_id: None
        """Called with the id of every call that has been written."""

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, call: Call) -> None:
        """Take an ended call. Does not wait."""
        self._waiting.append(entry_of(call, self._provider, self._node))
        if len(self._waiting) > WAITING_MOST:
            self._waiting.popleft()
            self.dropped += 1
        self._empty.clear()
        self._news.set()

    async def run(self) -> None:
        """Write whatever comes, until cancelled."""
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                entry = self._waiting[0]
                call_id = entry[0].id
                try:
                    await self._database.run(lambda c, entry=entry: write(c, *entry))
                except DatabaseDown as down:
                    if not failures:
                        _log.warning("ended calls wait for the database", error=str(down))
                    await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                    failures += 1
                    continue
                except Exception:
                    # One call that cannot be written must not keep the others out.
                    _log.exception("a call could not be kept", call_id=call_id)
                failures = 0
                if self._waiting and self._waiting[0] is entry:
                    self._waiting.popleft()
                self.told(call_id)
            self._empty.set()

    async def flush(self, limit_s: float) -> bool:
        """Wait until all is written; False when the limit came first."""
        try:
            async with asyncio.timeout(limit_s):
                await self._empty.wait()
        except TimeoutError:
            _log.warning(
                "ended calls were not written; voiceagent db rebuild finds them", calls=len(self._waiting)
            )
            return False
        return True


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
        first_words_ms=None if call.first_words_s is None else round(call.first_words_s * 1000, 1),
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
            None if entry.outcome is None else _plain(asdict(entry.outcome)),
        )
        for entry in call.ledger
    ]
    return record, said, asked


def _plain(outcome: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in outcome.items() if value is not None}
