"""A fleet in memory: any number of nodes, a registry that can go away, and nodes that can die or fall mute.

Whatever crosses goes through JSON, as it does on a wire.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from voiceagent.cluster.events import EventFeed, FeedReader
from voiceagent.cluster.ports import (
    AnswerLost,
    CallEntry,
    ClusterDown,
    Command,
    CommandLate,
    FleetEvent,
    Handle,
    NodeFacts,
    NodeGone,
    NodeView,
)


def crossed(value: Any) -> Any:
    """Return what arrives of ``value``."""
    return json.loads(json.dumps(value))


class FakeFleet:
    """What all nodes share."""

    def __init__(self, *, kept: int = 1000) -> None:
        self.members: dict[str, FakeNode] = {}
        self.entries: dict[str, CallEntry] = {}
        self.feed = EventFeed(kept, begin="0-0")
        self.count = 0
        self.down = False
        self.gone: set[str] = set()
        """Nodes that were here."""
        self.late: set[str] = set()
        """Nodes that take nothing in time."""
        self.mute: set[str] = set()
        """Nodes that do what they are told, and do not answer."""
        self.claims: dict[str, tuple[str, str]] = {}

    def node(self, name: str) -> FakeNode:
        """Return a node that has not joined."""
        return FakeNode(self, name)

    def go_down(self) -> None:
        """The registry is away."""
        self.down = True
        for one in self.members.values():
            one.stood(False, 1)

    def come_back(self) -> None:
        """It answers again, and has what was published meanwhile."""
        self.down = False
        for one in self.members.values():
            one.catch_up()
        for one in self.members.values():
            one.stood(True, len(self.members))

    def kill(self, name: str) -> None:
        """A node vanishes; one that is left is told."""
        gone = self.members.pop(name)
        self.gone.add(name)
        had = [entry for entry in self.entries.values() if entry.node == name]
        for entry in had:
            del self.entries[entry.call_id]
        next(iter(self.members.values())).lost(gone.view(), had)


class FakeNode:
    """Fulfils ``Cluster``."""

    shared = True

    def __init__(self, fleet: FakeFleet, name: str) -> None:
        self.fleet = fleet
        self.name = name
        self.epoch = f"run-of-{name}"
        self.lost: Callable[[NodeView, Sequence[CallEntry]], None] = lambda node, calls: None
        self.outlived: Callable[[Sequence[str]], None] = lambda ids: None
        self.stood: Callable[[bool, int], None] = lambda up, nodes: None
        self.commanded: Callable[[str, str], None] = lambda op, result: None
        self.sent: list[Command] = []
        self.readers = 0
        self._waiting: list[Callable[[], None]] = []
        self._handle: Handle | None = None
        self._facts: Callable[[], NodeFacts] = NodeFacts

    @property
    def stale(self) -> str:
        return "cluster_down: the registry does not answer" if self.fleet.down else ""

    async def join(self, facts: Callable[[], NodeFacts], handle: Handle) -> None:
        self._facts, self._handle = facts, handle
        self.fleet.gone.discard(self.name)
        self.fleet.members[self.name] = self

    def facts_changed(self) -> None:
        """There is nobody to tell."""

    async def leave(self) -> None:
        if self.fleet.members.pop(self.name, None) is not None:
            self.fleet.gone.add(self.name)

    def view(self) -> NodeView:
        return NodeView(name=self.name, epoch=self.epoch, facts=self._facts(), seen_at=1000.0)

    def catch_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one()

    def _do(self, what: Callable[[], None]) -> None:
        if self.fleet.down:
            self._waiting.append(what)
        else:
            what()

    def _up(self) -> FakeFleet:
        if self.fleet.down:
            raise ClusterDown("the registry does not answer")
        return self.fleet

    def call_changed(self, call_id: str, data: Mapping[str, Any]) -> None:
        entry = CallEntry(call_id=call_id, node=self.name, epoch=self.epoch, data=crossed(data))
        self._do(lambda: self.fleet.entries.update({call_id: entry}))

    def call_ended(self, call_id: str) -> None:
        self._do(lambda: self.fleet.entries.pop(call_id, None) and None)

    async def calls(self) -> Sequence[CallEntry]:
        return [entry for entry in self._up().entries.values() if entry.node != self.name]

    async def owner(self, call_id: str) -> CallEntry | None:
        return self._up().entries.get(call_id)

    async def nodes(self) -> Sequence[NodeView]:
        others = () if self.fleet.down else self.fleet.members.values()
        return [self.view(), *(one.view() for one in others if one is not self)]

    async def absent(self) -> Mapping[str, float]:
        return dict.fromkeys(self._up().gone, 900.0)

    async def command(self, node: str, command: Command) -> Mapping[str, Any]:
        self._up()
        there = self.fleet.members.get(node)
        if there is None:
            raise NodeGone(f"no node {node}")
        if node in self.fleet.late:
            raise CommandLate(f"{command.op}: too late")
        self.sent.append(command)
        assert there._handle is not None
        taken = Command(**crossed({name: getattr(command, name) for name in Command.__slots__}))
        answer = crossed(await there._handle(taken))
        if node in self.fleet.mute:
            raise AnswerLost(f"{command.op}: no answer")
        return answer

    def publish(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        taken = crossed(data)

        def add() -> None:
            self.fleet.count += 1
            cursor = f"{self.fleet.count}-0"
            self.fleet.feed.add(FleetEvent(cursor, self.name, kind, call_id, taken))

        self._do(add)

    def events(self, *, after: str | None = None) -> FeedReader:
        self.readers += 1
        return self.fleet.feed.subscribe(after)

    async def forget(self, calls: Collection[str]) -> int:
        return self._up().feed.ring.forget(calls)

    async def claim(self, key: str, for_s: float) -> bool:
        if key in self._up().claims:
            return False
        self.fleet.claims[key] = (self.name, self.epoch)
        return True

    async def holder(self, key: str) -> tuple[str, str] | None:
        return self._up().claims.get(key)

    async def release(self, key: str) -> None:
        if self._up().claims.get(key) == (self.name, self.epoch):
            del self.fleet.claims[key]
