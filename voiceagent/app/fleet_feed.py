"""Live events of a whole fleet, in the one order that all nodes see, and the others' calls as they tell.

Nothing is read while nobody watches. While the registry is away a node's own events go on, without the
cursors by which another node could resume; what was missed is made good by looking afresh, on both sides.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from voiceagent.app.directory import NodeDirectory
from voiceagent.cluster.ports import GAP, CallEntry, Cluster, ClusterDown, FleetEvent
from voiceagent.console.ports import LiveEvent
from voiceagent.tasks import TaskNest

ENDED_KEPT = 200
"""Ended calls of others that are remembered while somebody watches."""
NOT_FOR_OTHERS = frozenset({"trunk.changed"})
"""Events of what each node has for itself under a name that another one may use as well."""

Item = FleetEvent | LiveEvent | bool | None
"""An event of the fleet, one of our own, whether the registry is away, or the end."""


class FleetFeed:
    """Watches the fleet for this node's console; at most one watches at a time."""

    def __init__(self, local: NodeDirectory, cluster: Cluster) -> None:
        self._local = local
        self._cluster = cluster
        self._live: dict[str, CallEntry] = {}
        self._ended: OrderedDict[str, CallEntry] = OrderedDict()
        self._number = 0
        self._cursor = ""
        """Of the event with that number; empty when it had none."""
        self._tell: Callable[[bool], None] | None = None
        """Set while somebody watches."""

    # ── what is known of the others ─────────────────────────────────────────────────────────────
    async def fresh(self) -> None:
        """Have the others' calls as they stand now. Raises ClusterDown; what was known stays."""
        if self._cluster.stale:
            raise ClusterDown(self._cluster.stale)
        if self._tell is None:  # otherwise the events have told
            await self.look()

    async def look(self) -> None:
        """Ask the registry for the others' calls. Raises ClusterDown; what was known stays."""
        found = await self._cluster.calls()
        self._live = {entry.call_id: entry for entry in found if not self._local.has(entry.call_id)}

    @property
    def others(self) -> Sequence[CallEntry]:
        """The others' calls: live ones, then, while somebody watches, the newest ended ones."""
        return [*self._live.values(), *reversed(self._ended.values())]

    def standing(self) -> Mapping[str, Any]:
        """Return how the fleet stands in a few words."""
        return {"node": self._cluster.name, "shared": True, "stale": self._cluster.stale}

    def stood(self, up: bool) -> None:
        """The registry has answered, or has not."""
        if self._tell is not None:
            self._tell(not up)

    def forget(self, calls: Collection[str]) -> None:
        """Know nothing of these calls, which have ended, any more."""
        for call_id in calls:
            self._live.pop(call_id, None)
            self._ended.pop(call_id, None)

    # ── watching ────────────────────────────────────────────────────────────────────────────────
    async def follow(self, after: int | str | None) -> AsyncIterator[LiveEvent]:
        """Begin to watch; what ``others`` has from then on is what the events build on.

        ``after`` is a cursor of any node, or the number of the event that was given out last.
        """
        if isinstance(after, int):
            after = self._cursor if after == self._number and self._cursor else "none"
        else:
            self._number += 1  # what nobody here has read is missing between the last number and the next
        events = self._cluster.events(after=after)  # what happens while we look must not be missed
        self._ended.clear()
        with suppress(ClusterDown):
            await self.look()
        return self._watch(events)

    async def _watch(self, events: AsyncIterable[FleetEvent]) -> AsyncIterator[LiveEvent]:
        queue: asyncio.Queue[Item] = asyncio.Queue()
        nest = TaskNest("fleet/feed")
        nest.start("fleet", _pass_on(events, queue))
        own: asyncio.Task[None] | None = None
        tell = self._tell = queue.put_nowait
        queue.put_nowait(bool(self._cluster.stale))
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, bool):
                    if item and own is None:
                        own = nest.start("own", _pass_on(self._local.events(), queue))
                        await asyncio.sleep(0)  # its first step subscribes
                        yield self._event(GAP, "", {})
                    elif not item and own is not None:
                        own.cancel()
                        own = None
                        yield await self._afresh("")
                elif isinstance(item, LiveEvent):
                    if own is not None:
                        yield self._event(item.type, item.call_id, item.data, node=self._cluster.name)
                elif item.type == GAP:
                    yield await self._afresh(item.cursor)
                elif self._note(item):
                    yield self._event(item.type, item.call_id, item.data, item.cursor, item.node)
        finally:
            if self._tell is tell:  # who watches next may have begun
                self._tell = None
                self._ended.clear()
            await nest.close()

    async def _afresh(self, cursor: str) -> LiveEvent:
        with suppress(ClusterDown):
            await self.look()
        return self._event(GAP, "", {}, cursor)

    def _event(
        self, kind: str, call_id: str, data: Mapping[str, Any], cursor: str = "", node: str = ""
    ) -> LiveEvent:
        self._number += 1
        self._cursor = cursor
        return LiveEvent(self._number, kind, call_id, data, cursor, node)

    def _note(self, event: FleetEvent) -> bool:
        """Keep what the event says of another node's call. False: it is not to be told.

        That is what a node has for itself, and a part of an unknown call: it had ended before we looked.
        """
        call_id = event.call_id
        if event.type in NOT_FOR_OTHERS:
            return event.node == self._cluster.name
        if event.type not in ("call.started", "call.changed", "call.ended") or self._local.has(call_id):
            return True
        known = self._live.get(call_id) or self._ended.get(call_id)
        data = event.data if known is None else {**known.data, **event.data}
        if "id" not in data:
            return False
        node = str(data.get("node") or event.node)
        entry = CallEntry(call_id=call_id, node=node, epoch="", data=data)
        self._ended.pop(call_id, None)
        if event.type != "call.ended" and data.get("state") != "ended":
            self._live[call_id] = entry
            return True
        self._live.pop(call_id, None)
        self._ended[call_id] = entry
        while len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        return True


async def _pass_on(events: AsyncIterable[FleetEvent | LiveEvent], queue: asyncio.Queue[Item]) -> None:
    async for event in events:
        queue.put_nowait(event)
    queue.put_nowait(None)
