"""A fleet whose registry and bus is one Redis or Valkey. See docs/cluster.md for what that promises.

Four tasks: one beats, one writes (calls and events, gathered), one reads events, one hears commands. Only the
beat judges whether the registry is there; the others wait for it to say so.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

from voiceagent.cluster.beats import Beats, FleetClock
from voiceagent.cluster.bus import CommandBus
from voiceagent.cluster.desk import GRACE_S, CommandDesk, answer_of, reply_in
from voiceagent.cluster.envelope import Envelope
from voiceagent.cluster.events import KEPT, EventFeed, FeedReader
from voiceagent.cluster.outbox import Outbox
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
from voiceagent.cluster.registry import Beaten, Grave, NameTaken, Registry
from voiceagent.cluster.stream import BEGIN, StreamReader
from voiceagent.errors import ConfigError
from voiceagent.ids import random_token
from voiceagent.tasks import TaskNest

_log = logging.getLogger("voiceagent.cluster")
P = ParamSpec("P")

GATHER_S = 0.02
"""What is told within so long is written at once."""
AGAIN_S = 0.2
"""After a write that failed."""
LOOKS_PER_LEASE = 8
"""How often a node looks whether the one that has its name still beats."""


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
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.epoch = random_token()
        self.lost: Callable[[NodeView, Sequence[CallEntry]], None] = lambda node, calls: None
        self.outlived: Callable[[Sequence[str]], None] = lambda ids: None
        self.stood: Callable[[bool, int], None] = lambda up, nodes: None
        self.commanded: Callable[[str, str], None] = lambda op, result: None
        self._line = line
        self._lease_s = lease_s
        self._grace_s = grace_s
        self._local, self._wall = clock, wall
        self._registry = Registry(line, prefix, name, self.epoch)
        self._beats = Beats(lease_s, random.random)
        self._clock = FleetClock(clock)
        self._outbox = Outbox()
        self._feed = EventFeed(kept, begin=BEGIN)
        self._stream = StreamReader(line, self._registry.key("ev"), self._feed)
        self._tell_facts: Callable[[], NodeFacts] = NodeFacts
        self._facts = NodeFacts()
        self._epochs: Mapping[str, str] = {}
        self._told: set[str] = set()
        self._desk: CommandDesk | None = None
        self._bus: CommandBus | None = None
        self._tasks = TaskNest("cluster")
        self._hurry, self._work, self._up = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._joined = self._left = False

    @property
    def stale(self) -> str:
        """Why the registry is away."""
        return f"cluster_down: {self._beats.why}" if self._beats.why else ""

    # ── membership ──────────────────────────────────────────────────────────────────────────────
    async def join(self, facts: Callable[[], NodeFacts], handle: Handle) -> None:
        """Take a place. Raises ConfigError; waits up to one lease when a silent node has the name."""
        self._tell_facts = facts
        self._desk = CommandDesk(handle, self._clock.latest)
        self._bus = CommandBus(self._line, self._registry, self.epoch, self._clock, self._desk)
        try:
            await self._bus.open()
            await self._register()
            await self._stream.load()
        except LineDown as down:
            await self._close()
            raise ConfigError("cluster.url", str(down)) from None
        except BaseException:
            await self._close()
            raise
        self._joined = True
        self._up.set()
        await self._beat()
        self._tasks.start("beats", self._beat_on())
        self._tasks.start("write", self._write_on())
        self._tasks.start("events", self._stream.run())

    async def _register(self) -> None:
        first: NameTaken | None = None
        while True:
            sent = self._local()
            got = await self._registry.register(self._asked_facts(), self._lease_s)
            if not isinstance(got, NameTaken):
                self._clock.learned(got.at_s, sent, self._local())
                return
            if first is not None and got.beat != first.beat:
                raise ConfigError(
                    "cluster.node",
                    f"a living node is called {self.name!r}, last heard of {got.silent_s:.1f} s ago; each "
                    "needs a name of its own",
                )
            first = first or got
            await asyncio.sleep(min(self._lease_s / LOOKS_PER_LEASE, got.left_s) + 0.001)

    async def leave(self) -> None:
        """Write what waits, give the place back, close."""
        if self._left:
            return
        self._left = True
        if self._joined:
            await self._tasks.close()
            try:
                async with asyncio.timeout(1.0):
                    while self._outbox and not self.stale and await self._write():
                        pass
                    await self._registry.leave()
            except (LineDown, TimeoutError):
                _log.info("the registry is away: it will take this node for dead when its lease is over")
        await self._close()

    async def _close(self) -> None:
        await self._tasks.close()
        if self._bus is not None:
            await self._bus.close()
        self._feed.close()
        await self._line.close()

    # ── beats ───────────────────────────────────────────────────────────────────────────────────
    async def _beat_on(self) -> None:
        while True:
            self._hurry.clear()
            try:
                async with asyncio.timeout(self._beats.wait(self._local())):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            await self._beat()

    async def _beat(self) -> None:
        sent = self._local()
        try:
            got = await self._registry.beat(
                self._asked_facts(), self._lease_s, bury=self._beats.may_bury(sent)
            )
            if got.gone:
                await self._register_again()
        except LineDown as down:
            self._is_away(str(down))
            return
        except Exception as error:  # an answer that is none of ours
            _log.exception("a beat failed")
            self._is_away(f"{type(error).__name__}: {error}")
            return
        received = self._local()
        self._clock.learned(got.at_s, sent, received)
        if self._beats.why:
            _log.warning("the registry is back")
        self._beats.succeeded(received, late=got.late or got.gone)
        self._up.set()
        if not got.gone:
            self._epochs = got.living
        self._guarded(self.stood, True, max(1, len(self._epochs)))
        if got.graves and self._beats.trusts(sent, received):
            await self._tell_losses(got)

    def _is_away(self, why: str) -> None:
        if not self._beats.why:
            _log.warning("the registry is away: %s", why)
        self._beats.failed(self._local(), why)
        self._up.clear()
        self._guarded(self.stood, False, 1)

    def _look_now(self) -> None:
        """Another task met with trouble: have the beat judge."""
        self._up.clear()
        self._beats.hurry(self._local())
        self._hurry.set()

    async def _register_again(self) -> None:
        got = await self._registry.register(self._asked_facts(), self._lease_s)
        if isinstance(got, NameTaken):
            raise LineDown(f"another node has taken the name {self.name!r}", sent=True)
        self._outbox.all_again()
        self._stream.doubt()
        self._work.set()
        calls = tuple(self._outbox.live)
        if got.buried:
            _log.warning("this node was taken for dead, with %d calls; it is not", len(calls))
            self._guarded(self.outlived, calls)

    async def _tell_losses(self, got: Beaten) -> None:
        for grave in got.graves:
            if grave.member not in self._told:
                self._told.add(grave.member)
                self._tell_loss(grave)
        try:
            await self._registry.told([grave.member for grave in got.graves])
        except LineDown:
            return  # told again with the next beat; what was told is remembered
        self._told.clear()

    def _tell_loss(self, grave: Grave) -> None:
        _log.warning("node %s has vanished, with %d calls", grave.node.name, len(grave.calls))
        self._guarded(self.lost, grave.node, grave.calls)

    def _asked_facts(self) -> NodeFacts:
        try:
            self._facts = self._tell_facts()
        except Exception:
            _log.exception("this node's facts could not be had; the last ones stand")
        return self._facts

    def _guarded(self, tell: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            tell(*args, **kwargs)
        except Exception:
            _log.exception("who was told of the fleet failed")

    # ── registry ────────────────────────────────────────────────────────────────────────────────
    def call_changed(self, call_id: str, data: Mapping[str, Any]) -> None:
        """Publish how a call stands."""
        if not self._left:
            self._outbox.call_changed(call_id, data)
            self._work.set()

    def call_ended(self, call_id: str) -> None:
        """Take it out."""
        if not self._left:
            self._outbox.call_ended(call_id)
            self._work.set()

    async def calls(self) -> Sequence[CallEntry]:
        """Return the others' calls."""
        self._ask_up()
        return tuple(await self._registry.calls())

    async def owner(self, call_id: str) -> CallEntry | None:
        """Return who has it; of our own calls we know without asking."""
        own = self._outbox.live.get(call_id)
        if own is not None:
            return CallEntry(call_id=call_id, node=self.name, epoch=self.epoch, data=own)
        self._ask_up()
        return await self._registry.owner(call_id)

    async def nodes(self) -> Sequence[NodeView]:
        """Return who lives, this node first."""
        here = NodeView(name=self.name, epoch=self.epoch, facts=self._asked_facts(), seen_at=self._wall())
        if self.stale or self._left:
            return (here,)
        try:
            found = await self._registry.nodes()
        except LineDown:
            self._look_now()
            return (here,)
        others = (node for node in found if node.epoch != self.epoch)
        return (here, *sorted(others, key=lambda node: node.name))

    def _ask_up(self) -> None:
        if self.stale:
            raise ClusterDown(self._beats.why)

    # ── commands ────────────────────────────────────────────────────────────────────────────────
    async def command(self, node: str, command: Command) -> Mapping[str, Any]:
        """Have it done by its node."""
        try:
            answer = await self._have_done(node, command)
        except (ClusterDown, NodeGone, CommandLate, AnswerLost) as error:
            self._guarded(self.commanded, command.op, error.code.rpartition("_")[2])
            raise
        self._guarded(self.commanded, command.op, "done")
        return answer

    async def _have_done(self, node: str, command: Command) -> Mapping[str, Any]:
        if self._bus is None or self._desk is None or self._left:
            raise NodeGone("this node is not in the fleet")
        if node == self.name:
            deadline = self._clock.latest() + command.within_s
            work = self._desk.take(Envelope(command, deadline))
            return answer_of(await reply_in(work, command, self._grace_s), command.op)
        self._ask_up()
        tried = self._epochs.get(node)
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
            self._look_now()
            if down.sent:
                raise AnswerLost(f"{command.op}: {down}") from None
            raise

    # ── events ──────────────────────────────────────────────────────────────────────────────────
    def publish(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        """Tell all nodes."""
        if not self._left:
            self._outbox.publish(kind, call_id, data)
            self._work.set()

    def events(self, *, after: str | None = None) -> FeedReader:
        """Return a reader."""
        return self._feed.subscribe(after)

    async def _write_on(self) -> None:
        while True:
            await self._work.wait()
            await asyncio.sleep(GATHER_S)
            await self._up.wait()
            self._work.clear()
            while self._outbox:
                if not await self._write():
                    self._work.set()
                    self._look_now()
                    await asyncio.sleep(AGAIN_S)
                    break

    async def _write(self) -> bool:
        batch = self._outbox.batch()
        written = False
        try:
            written = await self._registry.write(batch)
        except LineDown:
            pass
        finally:
            if not written:
                self._outbox.give_back(batch)
        return written

    # ── claims ──────────────────────────────────────────────────────────────────────────────────
    async def claim(self, key: str, for_s: float) -> bool:
        """Be the first of the fleet to ask."""
        self._ask_up()
        return await self._registry.claim(key, for_s)
