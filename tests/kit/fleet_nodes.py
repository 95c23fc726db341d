"""Nodes of a fleet in memory, each with its calls and its console."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI

from tests.console.fake_directory import FakeDirectory, a_call
from tests.console.kit import an_app
from tests.kit.fleet import FakeFleet, FakeNode
from voiceagent.app.fleet import FleetDirectory
from voiceagent.app.fleet_news import FleetNews
from voiceagent.cluster.ports import NodeFacts
from voiceagent.cluster.tickets import TicketDesk
from voiceagent.console.ports import CallView
from voiceagent.ids import counted_tokens


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Any, *args: Any) -> Any:
        entry = (self.now + delay, callback)
        self.due.append(entry)

        class Cancel:
            def cancel(_) -> None:
                if entry in self.due:
                    self.due.remove(entry)

        return Cancel()

    def run_to(self, now: float) -> None:
        for at, callback in sorted(self.due, key=lambda one: one[0]):
            if at <= now:
                self.now = at
                self.due.remove((at, callback))
                callback()
        self.now = now


class Member:
    """One node: its own calls are ``local``, what its console asks is ``directory``."""

    def __init__(self, fleet: FakeFleet, name: str, *, secret: str | None = None, **settings: Any) -> None:
        self.name = name
        self.console = f"http://{name}:1"
        self.local = FakeDirectory()
        self.cluster: FakeNode = fleet.node(name)
        local = cast("Any", self.local)
        self.directory = FleetDirectory(
            local, self.cluster, tokens=counted_tokens(name), wall=lambda: 1_700_000_100.0, secret=secret
        )
        self.cluster.stood = lambda up, nodes: self.directory.stood(up)
        self.app: FastAPI = an_app(
            self.directory, tickets=None if secret is None else TicketDesk(secret, name), **settings
        )
        self.clock = Clock()
        self._news = FleetNews(self.cluster, self.clock)

    async def join(self) -> None:
        await self.cluster.join(self.facts, self.directory.obey)
        self.local.listeners.append(self._news.on_event)

    def facts(self) -> NodeFacts:
        return NodeFacts(calls=len(self.local.calls()), max_calls=10, console=self.console)

    def call(self, call_id: str, **fields: Any) -> CallView:
        """Have a call."""
        return self.local.put_call(a_call(call_id, node=self.name, **fields))


async def members(fleet: FakeFleet, *names: str, **settings: Any) -> list[Member]:
    """Return nodes that have joined."""
    made = [Member(fleet, name, **settings) for name in names]
    for one in made:
        await one.join()
    return made
