"""A world in which nodes join: one for each fulfilment of the port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pytest

from voiceagent.cluster.local import LocalCluster
from voiceagent.cluster.ports import Cluster, Command, Handle, NodeFacts
from voiceagent.cluster.redis_cluster import RedisCluster
from voiceagent.cluster.redis_line import LineDown, RedisLine
from voiceagent.ids import random_token

T = TypeVar("T")

WORLDS = ("local", pytest.param("redis", marks=pytest.mark.fleet))


class Owner:
    """Does commands as a node would, and remembers which."""

    def __init__(self, *, answer: Mapping[str, Any] | None = None, wait: bool = False) -> None:
        self.taken: list[Command] = []
        self.begun, self.go_on, self.finished = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._answer = answer or {}
        if not wait:
            self.go_on.set()

    async def __call__(self, command: Command) -> Mapping[str, Any]:
        self.taken.append(command)
        self.begun.set()
        await self.go_on.wait()
        self.finished.set()
        return self._answer


class CutLine(RedisLine):
    """A line that can be cut, before its requests arrive or before their answers do."""

    cut = False
    deaf = False
    """Requests still arrive, and are obeyed."""

    async def _ask(self, *words: str | int) -> Any:
        if self.cut:
            raise LineDown("Redis cannot be reached: cut", sent=False)
        answer = await super()._ask(*words)
        if self.deaf:
            raise LineDown("Redis does not answer: deaf", sent=True)
        return answer


class Fleet:
    """Nodes of one test; all leave at its end."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self.prefix = f"t{random_token()}"
        self._nodes: list[Cluster] = []

    def make(self, name: str, **how: Any) -> Any:
        """Return a node that has not joined."""
        if self.url is None:
            return LocalCluster(name, **how)
        line = CutLine(how.pop("url", self.url), timeout_s=how.pop("timeout_s", 2.0))
        return RedisCluster(line, name, prefix=self.prefix, **how)

    async def join(
        self,
        name: str,
        *,
        facts: Callable[[], NodeFacts] = NodeFacts,
        handle: Handle | None = None,
        before: Callable[[Any], None] = lambda node: None,
        **how: Any,
    ) -> Any:
        """Return a node that has; ``before`` is given it before it does."""
        node = self.make(name, **how)
        before(node)
        self._nodes.append(node)
        await node.join(facts, handle or Owner())
        return node

    async def pair(self, *, handle: Handle | None = None, **how: Any) -> tuple[Any, Any]:
        """Return a node and another one that asks it: where there is but one, the same."""
        owner = await self.join("a", handle=handle, **how)
        return owner, (await self.join("b", **how) if owner.shared else owner)

    async def eventually(self, ask: Callable[[], Awaitable[T]], fits: Callable[[T], bool]) -> T:
        """Ask until the answer fits."""
        async with asyncio.timeout(45):
            while True:
                found = await ask()
                if fits(found):
                    return found
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Everybody leaves."""
        for node in self._nodes:
            await node.leave()


async def crash(node: Any) -> None:
    """End a node as kill -9 does: nobody is told, its connections close."""
    node._left = True
    await node._tasks.close()
    await node._bus.close()
    await node._line.close()


class Watched:
    """What a node was told of its fleet."""

    def __init__(self, node: Any) -> None:
        self.lost: list[tuple[str, list[str]]] = []
        self.outlived: list[list[str]] = []
        self.stood: list[tuple[bool, int]] = []
        node.lost = lambda view, calls: self.lost.append((view.name, sorted(call.call_id for call in calls)))
        node.outlived = lambda ids: self.outlived.append(sorted(ids))
        node.stood = lambda up, nodes: self.stood.append((up, nodes))


async def until(fits: Callable[[], bool], limit_s: float = 45.0) -> None:
    """Wait for a condition of this process."""
    async with asyncio.timeout(limit_s):
        while True:
            if fits():
                return
            await asyncio.sleep(0.005)
