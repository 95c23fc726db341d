"""Figures that nobody reports by himself: loop lag, wheel, stores, limits; and who acts on lag."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import structlog

from voiceagent.app.limits import limits_of
from voiceagent.observe.limits import LIMIT_OF

if TYPE_CHECKING:
    from voiceagent.app.archive import Archive
    from voiceagent.app.service import Service
    from voiceagent.observe.metrics import Metrics
    from voiceagent.records.journal import JournalWriter
    from voiceagent.records.recording import RecordingWriter
    from voiceagent.sip.net.transport import SipTransport
    from voiceagent.store import Database

_log = structlog.get_logger("voiceagent.service")

PERIOD_S = 1.0
SAMPLE_S = 0.05
"""How often the overload guard looks at the loop."""


class Totals:
    """Counts that others keep, and that metrics take over as they grow."""

    def __init__(self) -> None:
        self._followed: list[tuple[Callable[[], int], Callable[[int], None]]] = []
        self._seen: list[int] = []

    def follow(self, total: Callable[[], int], add: Callable[[int], None]) -> None:
        """Call ``add`` with what ``total`` has grown by, at every look."""
        self._followed.append((total, add))
        self._seen.append(0)

    def look(self) -> None:
        """Take over what was added since the last look."""
        for place, (total, add) in enumerate(self._followed):
            now = total()
            if now > self._seen[place]:
                add(now - self._seen[place])
            self._seen[place] = now


def _grown(now: Mapping[str, int], before: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Yield what was added to each count since the last look, and remember it."""
    for name, count in list(now.items()):
        added = count - before.get(name, 0)
        if added:
            before[name] = count
            yield name, added


def _connections(
    sip: SipTransport, metrics: Metrics, streams: dict[str, int], errors: dict[str, int]
) -> None:
    metrics.sip_connections(len(sip.streams))
    for what, count in _grown(sip.streams.counts, streams):
        metrics.sip_connection_event(what, count)
        if what in LIMIT_OF:
            metrics.limit_reached(LIMIT_OF[what], count)
    for kind, count in _grown(sip.errors, errors):
        metrics.sip_socket_error(kind, count)


def watch_stores(
    metrics: Metrics,
    totals: Totals,
    *,
    journals: JournalWriter,
    recordings: RecordingWriter,
    database: Database,
    archive: Archive,
) -> None:
    """Have the metrics tell of everything that is written."""
    metrics.watch("journal_up", lambda: journals.failed is None)
    metrics.watch("journal_queue", lambda: journals.waiting)
    metrics.watch("recording_up", lambda: recordings.failed is None)
    metrics.watch("recording_queue", lambda: recordings.waiting)
    metrics.watch("database_up", lambda: not database.down)
    metrics.watch("archive_waiting", lambda: len(archive))
    totals.follow(lambda: journals.dropped, metrics.journal_dropped)
    totals.follow(lambda: database.failures, metrics.database_failed)
    totals.follow(lambda: archive.dropped, metrics.archive_dropped)


async def keep_figures(service: Service) -> None:
    """Feed the metrics until cancelled."""
    metrics = service.metrics
    for name, value in limits_of(service.settings).items():
        metrics.limit(name, value)
    metrics.watch_wheel(lambda: None if service.wheel is None else service.wheel.lateness)
    streams: dict[str, int] = {}
    errors: dict[str, int] = {}
    while True:
        await asyncio.sleep(PERIOD_S)
        if service.trunks is not None:
            service.trunks.measure()
        if service.sip is not None:
            _connections(service.sip, metrics, streams, errors)
        service.totals.look()


async def guard_against_overload(service: Service) -> None:
    """Sample the loop's lateness, and have admission turn new calls away while it is too late."""
    loop = asyncio.get_running_loop()
    overload = service.admission.overload
    worst, told_at = 0.0, loop.time()
    while True:
        due = loop.time() + SAMPLE_S
        await asyncio.sleep(SAMPLE_S)
        now = loop.time()
        lag = max(0.0, now - due)
        worst = max(worst, lag)
        service.metrics.loop_lagged(lag)
        if overload.lagged(lag, now):
            _log.warning("overload" if overload.shedding else "overload is over", lag_ms=round(lag * 1000))
            service.metrics.overloaded(overload.shedding)
        if now - told_at >= PERIOD_S:
            service.metrics.loop_lag(worst)
            worst, told_at = 0.0, now
