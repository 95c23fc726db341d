"""Erasures in a running service: what is in memory goes, too, and nothing is on its way meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voiceagent.app.erasure import erase
from voiceagent.app.retention import shelves_of
from voiceagent.records.numbers import other_side
from voiceagent.store import DatabaseDown
from voiceagent.store.audit import Deed

if TYPE_CHECKING:
    from voiceagent.app.service import Service

FLUSH_S = 5.0
"""How long ended calls may take to be in the database."""
JOURNAL_S = 0.2
"""The journal of a call that has ended a moment ago is closed within this."""


class ErasureDesk:
    """Fulfils the console's ``Erasures``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._one = asyncio.Lock()

    async def erase(self, caller: str, *, dry_run: bool, by: Deed) -> Mapping[str, Any]:
        """Erase; see :func:`voiceagent.app.erasure.erase`."""
        service = self._service
        care = service.aftercare

        def forget(_calls: Sequence[str], files: Sequence[str]) -> None:
            care.erased.update(files)

        async with self._one, care.held():
            if not await service.archive.flush(FLUSH_S):
                raise DatabaseDown("ended calls are still on their way into the database")
            await asyncio.sleep(JOURNAL_S)
            live = [
                (call.id, other_side(call.info.direction, call.info.caller, call.info.called))
                for call in service.directory.live
            ]
            over = frozenset(call.id for call in service.directory.lately_ended)
            report = await asyncio.to_thread(
                erase,
                replace(shelves_of(service), live=lambda: _known(service) - over),
                caller,
                by=by,
                now=time.time(),
                dry_run=dry_run,
                live=live,
                forget=forget,
            )
            if not dry_run:
                service.directory.forget([one.call_id for one in report.calls])
        return report.as_data()


def _known(service: Service) -> frozenset[str]:
    """Return the calls that go on, and those that have ended not long ago: their rows may be on their way."""
    directory = service.directory
    return frozenset(call.id for call in (*directory.live, *directory.lately_ended))
