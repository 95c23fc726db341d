"""Erasures in a running service: what is in memory goes, too, and nothing is on its way meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voiceagent.app.erasure import CallIsLive, Elsewhere, Erasure, erase, find_calls, person_of
from voiceagent.app.fleet_erasure import FleetErasure, Report, deed_of, not_done, reported
from voiceagent.app.retention import Shelves, shelves_of
from voiceagent.cluster.ports import ClusterDown, Command
from voiceagent.errors import RequestRefused
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
    """Fulfils the console's ``Erasures``. ``others`` are the rest of the fleet, where there is one."""

    def __init__(self, service: Service, others: FleetErasure | None = None) -> None:
        self._service = service
        self._others = others
        self._one = asyncio.Lock()
        self.gone: Callable[[], None] = lambda: None
        """Called when events that were told are not to be told again."""

    async def erase(self, caller: str, *, dry_run: bool, by: Deed) -> Mapping[str, Any]:
        """Erase here and on all other nodes; see :func:`voiceagent.app.erasure.erase`."""
        elsewhere = Elsewhere()
        if self._others is not None:
            elsewhere = await self._elsewhere(self._others, caller, by, dry_run=dry_run)
        elsewhere = replace(elsewhere, here=self._service.fleet.cluster.name)
        report = await self._here(caller, by, elsewhere, dry_run=dry_run)
        return report.as_data()

    async def _elsewhere(self, others: FleetErasure, caller: str, by: Deed, *, dry_run: bool) -> Elsewhere:
        """Have the others do their part. Before our own, so that our report tells of all; nothing is locked
        meanwhile, for two nodes may ask each other.
        """
        await self._settled()
        number = person_of(caller, self._live())
        busy = await others.on_the_line(number)
        if busy:
            words = f"that person is on the line at another node ({', '.join(busy)})"
            raise CallIsLive(f"{words}: end the call, or wait for its end")
        found, _ = await asyncio.to_thread(find_calls, self._shelves(), number)
        calls = {one.call_id for one in found}
        reports = await others.erase(caller, calls, by, dry_run=dry_run)
        calls.update(call_id for one in reports for call_id in one["calls"])
        events = 0 if dry_run else await others.forget(calls, reports)
        if not dry_run:
            self._service.fleet.directory.forget(calls)
        return Elsewhere(calls, reports, events)

    async def obey(self, order: Command) -> Mapping[str, Any]:
        """Do the part of this node in what another one was asked for: op ``erase`` or ``forget``."""
        calls = [str(one) for one in order.args["calls"]]
        if order.op == "forget":
            self._service.fleet.directory.forget(calls)
            with suppress(ClusterDown):  # what is in memory here is gone, and who asked has removed the rest
                await self._service.fleet.cluster.forget(calls)
            self.gone()
            return {"done": {}}
        return {"done": await self._part(order, calls)}

    async def _part(self, order: Command, calls: Sequence[str]) -> Report:
        asked = Elsewhere(calls, asks=True)
        dry_run = bool(order.args["dry_run"])
        try:
            report = await self._here(str(order.args["caller"]), deed_of(order), asked, dry_run=dry_run)
        except (RequestRefused, CallIsLive, DatabaseDown) as error:
            return not_done(error.code, str(error))
        return reported(report)

    async def _here(self, caller: str, by: Deed, elsewhere: Elsewhere, *, dry_run: bool) -> Erasure:
        service = self._service
        care = service.aftercare

        def forget(_calls: Sequence[str], files: Sequence[str]) -> None:
            care.erased.update(files)

        async with self._one, care.held():
            await self._settled()
            report = await asyncio.to_thread(
                erase,
                self._shelves(),
                caller,
                by=by,
                now=time.time(),
                dry_run=dry_run,
                live=self._live(),
                forget=forget,
                elsewhere=elsewhere,
            )
            if not dry_run:
                service.directory.forget([one.call_id for one in report.calls])
                self.gone()
        return report

    async def _settled(self) -> None:
        """Wait until what has ended by now is on disk and in the database. Raises DatabaseDown."""
        if not await self._service.archive.flush(FLUSH_S):
            raise DatabaseDown("ended calls are still on their way into the database")
        await asyncio.sleep(JOURNAL_S)

    def _live(self) -> list[tuple[str, str]]:
        return [
            (call.id, other_side(call.info.direction, call.info.caller, call.info.called))
            for call in self._service.directory.live
        ]

    def _shelves(self) -> Shelves:
        service = self._service
        over = frozenset(call.id for call in service.directory.lately_ended)
        return replace(shelves_of(service), live=lambda: _known(service) - over)


def _known(service: Service) -> frozenset[str]:
    """Return the calls that go on, and those that have ended not long ago: their rows may be on their way."""
    directory = service.directory
    return frozenset(call.id for call in (*directory.live, *directory.lately_ended))
