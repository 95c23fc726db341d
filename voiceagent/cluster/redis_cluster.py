"""A fleet whose registry and bus is one Redis or Valkey. See docs/cluster.md for what that promises.

Four tasks: one beats, one writes (calls and events, gathered), one reads events while somebody wants them,
one hears commands. Only a beat says that the registry is there; the others wait for that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from voiceagent.cluster.bus import CommandBus
from voiceagent.cluster.desk import GRACE_S, CommandDesk, answer_of, reply_in
from voiceagent.cluster.envelope import Envelope
from voiceagent.cluster.events import KEPT, EventFeed, FeedReader
from voiceagent.cluster.membership import Membership
from voiceagent.cluster.ports import (
    AnswerLost,
    CallEntry,
    ClusterDown,
    Command,
    CommandLate,
    Handle,
    NodeFacts,
    NodeGone,
    NodeView,
)
from voiceagent.cluster.redis_line import LineDown, RedisLine
from voiceagent.cluster.registry import Registry
from voiceagent.cluster.stream import BEGIN, LINGER_S, StreamReader
from voiceagent.errors import ConfigError
from voiceagent.ids import random_token
from voiceagent.tasks import TaskNest

_log = logging.getLogger("voiceagent.cluster")

GATHER_S = 0.02
"""What is told within so long is written at once."""
AGAIN_S = 0.2
"""After a write that failed."""
LEAVE_S = 1.0


def steady_time() -> float:
    """Return a clock that is never set, and that goes on while this machine is suspended, where it can."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class RedisCluster:
    """Fulfils ``Cluster`` over a line to Redis."""

    shared = True

    def __init__(
        self,
        line: RedisLine,
        name: str,
        *,
        prefix: str = "va",
        lease_s: float = 4.0,
        kept: int = KEPT,
        grace_s: float = GRACE_S,
        linger_s: float = LINGER_S,
        clock: Callable[[], float] = steady_time,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.epoch = random_token()
        self.lost: Callable[[NodeView, Sequence[CallEntry]], None] = lambda node, calls: None
        self.outlived: Callable[[Sequence[str]], None] = lambda ids: None
        self.stood: Callable[[bool, int], None] = lambda up, nodes: None
        self.commanded: Callable[[str, str], None] = lambda op, result: None
        self._line = line
        self._grace_s = grace_s
        self._wall = wall
        self._registry = Registry(line, prefix, name, self.epoch)
        self._feed = EventFeed(kept, begin=BEGIN, now_ms=self._now_ms)
        self._stream = StreamReader(
            line, self._registry.key("ev"), self._feed, self._trouble, clock=clock, linger_s=linger_s
        )
        self._place = Membership(
            self._registry, self, name=name, lease_s=lease_s, local=clock, doubt=self._stream.doubt
        )
        self._desk: CommandDesk | None = None
        self._bus: CommandBus | None = None
        self._tasks = TaskNest("cluster")
        self._joined = self._left = False

    @property
    def stale(self) -> str:
        """Why the registry is away."""
        return f"cluster_down: {self._place.away}" if self._place.away else ""

    # ── membership ──────────────────────────────────────────────────────────────────────────────
    async def join(self, facts: Callable[[], NodeFacts], handle: Handle) -> None:
        """Take a place. Raises ConfigError; waits up to one lease when a silent node has the name."""
        place = self._place
        place.facts = facts
        self._desk = CommandDesk(handle, place.clock.latest)
        self._bus = CommandBus(self._line, self._registry, self.epoch, place.clock, self._desk)
        try:
            await self._bus.open()
            await place.register()
        except LineDown as down:
            await self._close()
            raise ConfigError("cluster.url", str(down)) from None
        except BaseException:
            await self._close()
            raise
        self._joined = True
        await place.beat()
        self._tasks.start("beats", self._beat_on())
        self._tasks.start("write", self._write_on())
        self._tasks.start("events", self._stream.run())

    def facts_changed(self) -> None:
        """Beat at once."""
        self._place.beat_now()

    async def leave(self) -> None:
        """Write what waits, give the place back, close."""
        if self._left:
            return
        self._left = True
        await self._tasks.close()
        if self._joined:
            try:
                async with asyncio.timeout(LEAVE_S):
                    await self._place.leave()
            except (LineDown, TimeoutError):
                _log.info("the registry is away: it will take this node for dead when its lease is over")
        await self._close()

    async def _close(self) -> None:
        await self._tasks.close()
        if self._bus is not None:
            await self._bus.close()
        self._feed.close()
        await self._line.close()

    def _now_ms(self) -> int:
        """Return a time, by Redis' clock, before which no event of the future is; its parts are rounded."""
        return int(self._place.clock.earliest() * 1000) - 1

    def _trouble(self, why: str) -> None:
        self._place.suspect(why)

    async def _beat_on(self) -> None:
        while True:
            await self._place.due()
            await self._place.beat()

    async def _write_on(self) -> None:
        place = self._place
        while True:
            await place.work.wait()
            await asyncio.sleep(GATHER_S)
            await place.up.wait()
            place.work.clear()
            while place.outbox:
                if not await place.write():
                    place.work.set()
                    place.look_now()
                    await asyncio.sleep(AGAIN_S)
                    break

    # ── registry ────────────────────────────────────────────────────────────────────────────────
    def call_changed(self, call_id: str, data: Mapping[str, Any]) -> None:
        """Publish how a call stands."""
        if not self._left:
            self._place.outbox.call_changed(call_id, data)
            self._place.work.set()

    def call_ended(self, call_id: str) -> None:
        """Take it out."""
        if not self._left:
            self._place.outbox.call_ended(call_id)
            self._place.work.set()

    async def calls(self) -> Sequence[CallEntry]:
        """Return the others' calls."""
        self._ask_up()
        return tuple(await self._registry.calls())

    async def owner(self, call_id: str) -> CallEntry | None:
        """Return who has it; of our own calls we know without asking."""
        own = self._place.outbox.live.get(call_id)
        if own is not None:
            return CallEntry(call_id=call_id, node=self.name, epoch=self.epoch, data=own)
        self._ask_up()
        return await self._registry.owner(call_id)

    async def nodes(self) -> Sequence[NodeView]:
        """Return who lives, this node first."""
        here = NodeView(name=self.name, epoch=self.epoch, facts=self._place.facts_now(), seen_at=self._wall())
        if self.stale or self._left:
            return (here,)
        try:
            found = await self._registry.nodes()
        except LineDown:
            self._place.look_now()
            return (here,)
        others = (node for node in found if node.epoch != self.epoch)
        return (here, *sorted(others, key=lambda node: node.name))

    async def absent(self) -> Mapping[str, float]:
        """Return who was here."""
        self._ask_up()
        return await self._registry.absent()

    def _ask_up(self) -> None:
        if self.stale:
            raise ClusterDown(self._place.away)

    # ── commands ────────────────────────────────────────────────────────────────────────────────
    async def command(self, node: str, command: Command) -> Mapping[str, Any]:
        """Have it done by its node."""
        try:
            answer = await self._have_done(node, command)
        except (ClusterDown, NodeGone, CommandLate, AnswerLost) as error:
            self.commanded(command.op, error.code.rpartition("_")[2])
            raise
        self.commanded(command.op, "done")
        return answer

    async def _have_done(self, node: str, command: Command) -> Mapping[str, Any]:
        if self._bus is None or self._desk is None or self._left:
            raise NodeGone("this node is not in the fleet")
        if node == self.name:
            deadline = self._place.clock.latest() + command.within_s
            work = self._desk.take(Envelope(command, deadline))
            return answer_of(await reply_in(work, command, self._grace_s), command.op)
        self._ask_up()
        tried = self._place.epochs.get(node)
        if tried is not None:
            try:
                return await self._send(tried, command)
            except NodeGone:
                pass  # perhaps another run of it is there
        found = {view.name: view.epoch for view in await self._registry.nodes()}.get(node)
        if found is None or found == tried:
            raise NodeGone(f"{command.op}: no node {node} listens")
        return await self._send(found, command)

    async def _send(self, epoch: str, command: Command) -> Mapping[str, Any]:
        assert self._bus is not None
        try:
            return await self._bus.send(epoch, command, self._grace_s)
        except LineDown as down:
            self._place.look_now()
            if down.sent:
                raise AnswerLost(f"{command.op}: {down}") from None
            raise

    # ── events ──────────────────────────────────────────────────────────────────────────────────
    def publish(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        """Tell all nodes."""
        if not self._left:
            self._place.outbox.publish(kind, call_id, data)
            self._place.work.set()

    def events(self, *, after: str | None = None) -> FeedReader:
        """Return a reader."""
        return self._feed.subscribe(after)

    async def forget(self, calls: Collection[str]) -> int:
        """Empty what is here, remove what stands there."""
        self._place.outbox.forget(calls)
        self._feed.ring.forget(calls)
        self._ask_up()
        removed = await self._registry.forget(calls)
        self._feed.ring.forget(calls)  # what was read meanwhile
        return removed

    # ── claims ──────────────────────────────────────────────────────────────────────────────────
    async def claim(self, key: str, for_s: float) -> bool:
        """Be the first of the fleet to ask."""
        self._ask_up()
        return await self._registry.claim(key, for_s)

    async def holder(self, key: str) -> tuple[str, str] | None:
        """Return who was."""
        self._ask_up()
        return await self._registry.holder(key)

    async def release(self, key: str) -> None:
        """Let another one be the first."""
        self._ask_up()
        await self._registry.release(key)
