"""A world in which nodes join: one for each fulfilment of the port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pytest

from voiceagent.cluster.local import LocalCluster
from voiceagent.cluster.ports import Cluster, Command, Handle, NodeFacts
from voiceagent.cluster.redis_cluster import RedisCluster
from voiceagent.cluster.redis_line import RedisLine
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
        timeout_s = how.pop("timeout_s", 2.0)
        return RedisCluster(RedisLine(self.url, timeout_s=timeout_s), name, prefix=self.prefix, **how)

    async def join(
        self,
        name: str,
        *,
        facts: Callable[[], NodeFacts] = NodeFacts,
        handle: Handle | None = None,
        **how: Any,
    ) -> Any:
        """Return a node that has."""
        node = self.make(name, **how)
        self._nodes.append(node)
        await node.join(facts, handle or Owner())
        return node

    async def pair(self, *, handle: Handle | None = None, **how: Any) -> tuple[Any, Any]:
        """Return a node and another one that asks it: where there is but one, the same."""
        owner = await self.join("a", handle=handle, **how)
        return owner, (await self.join("b", **how) if owner.shared else owner)

    async def eventually(self, ask: Callable[[], Awaitable[T]], fits: Callable[[T], bool]) -> T:
        """Ask until the answer fits."""
        async with asyncio.timeout(10):
            while True:
                found = await ask()
                if fits(found):
                    return found
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Everybody leaves."""
        for node in self._nodes:
            await node.leave()
