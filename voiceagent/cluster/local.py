"""A fleet of one: no network, nothing to install, and the same port as a real fleet."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from voiceagent.cluster.desk import GRACE_S, CommandDesk, answer_of, reply_in
from voiceagent.cluster.envelope import Envelope
from voiceagent.cluster.events import KEPT, EventFeed, FeedReader
from voiceagent.cluster.ports import (
    AnswerLost,
    CallEntry,
    Command,
    CommandLate,
    FleetEvent,
    Handle,
    NodeFacts,
    NodeGone,
    NodeView,
)
from voiceagent.ids import random_token

FEW = 1000
"""Claims are looked through for old ones when they have doubled, but not below so many."""


class LocalCluster:
    """Fulfils ``Cluster`` for a node that is alone."""

    shared = False
    stale = ""

    def __init__(
        self,
        name: str,
        *,
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
        self._grace_s = grace_s
        self._clock = clock
        self._wall = wall
        self._feed = EventFeed(kept, begin=f"{self.epoch}-0")
        self._published = 0
        self._calls: dict[str, CallEntry] = {}
        self._claims: dict[str, float] = {}
        self._look_at = FEW
        self._facts: Callable[[], NodeFacts] = NodeFacts
        self._desk: CommandDesk | None = None
        self._left = False

    async def join(self, facts: Callable[[], NodeFacts], handle: Handle) -> None:
        """Take the only place."""
        self._facts = facts
        self._desk = CommandDesk(handle, self._clock)
        self.stood(True, 1)

    def facts_changed(self) -> None:
        """There is nobody to tell."""

    async def leave(self) -> None:
        """End readers and commands."""
        self._left = True
        self._feed.close()
        if self._desk is not None:
            desk, self._desk = self._desk, None
            await desk.close()

    # ── registry ────────────────────────────────────────────────────────────────────────────────
    def call_changed(self, call_id: str, data: Mapping[str, Any]) -> None:
        """Note how a call stands."""
        self._calls[call_id] = CallEntry(call_id=call_id, node=self.name, epoch=self.epoch, data=data)

    def call_ended(self, call_id: str) -> None:
        """Forget it."""
        self._calls.pop(call_id, None)

    async def calls(self) -> Sequence[CallEntry]:
        """Return nothing: there are no others."""
        return ()

    async def owner(self, call_id: str) -> CallEntry | None:
        """Return this node's entry."""
        return self._calls.get(call_id)

    async def nodes(self) -> Sequence[NodeView]:
        """Return this node."""
        return (NodeView(name=self.name, epoch=self.epoch, facts=self._facts(), seen_at=self._wall()),)

    async def absent(self) -> Mapping[str, float]:
        """Return nothing: there never was another one."""
        return {}

    # ── commands ────────────────────────────────────────────────────────────────────────────────
    async def command(self, node: str, command: Command) -> Mapping[str, Any]:
        """Do it here."""
        try:
            answer = await self._have_done(node, command)
        except (NodeGone, CommandLate, AnswerLost) as error:
            self.commanded(command.op, error.code.rpartition("_")[2])
            raise
        self.commanded(command.op, "done")
        return answer

    async def _have_done(self, node: str, command: Command) -> Mapping[str, Any]:
        if node != self.name or self._desk is None:
            raise NodeGone(f"no node {node}")
        work = self._desk.take(Envelope(command, self._clock() + command.within_s))
        return answer_of(await reply_in(work, command, self._grace_s), command.op)

    # ── events ──────────────────────────────────────────────────────────────────────────────────
    def publish(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        """Tell this node's readers."""
        if self._left:
            return
        self._published += 1
        self._feed.add(FleetEvent(f"{self.epoch}-{self._published}", self.name, kind, call_id, data))

    def events(self, *, after: str | None = None) -> FeedReader:
        """Return a reader; cursors of another run are unknown."""
        return self._feed.subscribe(after)

    async def forget(self, calls: Collection[str]) -> int:
        """Empty the events of these calls."""
        return self._feed.ring.forget(calls)

    # ── claims ──────────────────────────────────────────────────────────────────────────────────
    async def claim(self, key: str, for_s: float) -> bool:
        """Return True to the first asker."""
        now = self._clock()
        if self._claims.get(key, now) > now:
            return False
        if len(self._claims) >= self._look_at:
            self._claims = {held: until for held, until in self._claims.items() if until > now}
            self._look_at = 2 * len(self._claims) + FEW
        self._claims[key] = now + for_s
        return True

    async def holder(self, key: str) -> tuple[str, str] | None:
        """Return this node, while the claim stands."""
        return (self.name, self.epoch) if self._claims.get(key, 0.0) > self._clock() else None

    async def release(self, key: str) -> None:
        """Forget the claim."""
        self._claims.pop(key, None)
