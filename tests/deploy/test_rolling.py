"""Two nodes replaced in turn under load, with real Kamailio, Redis and processes: nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.front import CALLERS, NODES, Callers, Front, front
from tests.deploy.serving import TOKEN, Serving, serving
from tests.kit.ports import free_port
from tests.kit.redis_server import redis_server
from voiceagent.records.journal import read_journal

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="KAMAILIO MISSING: install kamailio"),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="REDIS MISSING: install redis-server"),
]

RUNNING = 20
HELD_S = 3.0
"""How long each of the calls that run lasts; another takes its place."""
NEW_EVERY_S = 0.5


class Node:
    """One node of the pair: where it lives, and its process, of which there are several in turn."""

    def __init__(self, name: str, folder: Path, redis: str, low: int) -> None:
        self.name = name
        self.port, self.console = free_port(), free_port()
        self.sip = f"{NODES}:{self.port}"
        self.folder = folder / name
        self.low = low
        self._redis = redis
        self.process: Serving | None = None
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start it; it has listened when this returns."""
        settings: dict[str, Any] = {
            "sip.host": NODES,
            "sip.port": self.port,
            "console.port": self.console,
            "media.port_low": self.low,
            "media.port_high": self.low + 999,
            "cluster.url": self._redis,
            "cluster.node": self.name,
        }
        self.process = await self._stack.enter_async_context(serving(self.folder, settings))
        await self.process.says("listening")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.process.send_signal(number)

    async def gone(self) -> int:
        """Wait for its end; return the status."""
        assert self.process is not None
        return await self.process.status()

    async def idle(self) -> None:
        """Wait until it has no calls."""
        async with asyncio.timeout(45):
            while (await self.ask("/v1/drain"))["calls"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def sees(self, names: set[str]) -> None:
        """Wait until these are the nodes of its fleet."""
        async with asyncio.timeout(45):
            while {one["name"] for one in (await self.ask("/v1/cluster"))["nodes"]} != names:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End whatever is left."""
        await self._stack.aclose()

    async def ask(self, path: str) -> Any:
        """Ask its console."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{self.console}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            return (await client.get(path)).json()


@asynccontextmanager
async def pair(folder: Path, redis: str) -> AsyncGenerator[tuple[Node, Node]]:
    """Two nodes that listen."""
    nodes = Node("a", folder, redis, 36000), Node("b", folder, redis, 37000)
    try:
        await asyncio.gather(*(one.start() for one in nodes))
        yield nodes
    finally:
        await asyncio.gather(*(one.close() for one in nodes))


class Load:
    """Calls that run, and new ones at a steady rate; what became of every one."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self.outcomes: Counter[str] = Counter()
        self.dropped = 0
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._runs(place)) for place in range(RUNNING)]
        self._tasks.append(loop.create_task(self._steadily()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def calls(self, more: int) -> None:
        """Wait until so many more calls have been answered, by whatever node."""
        wanted = self.outcomes["up"] + more
        async with asyncio.timeout(60):
            while self.outcomes["up"] < wanted:
                await self._callers.something()

    async def _runs(self, place: int) -> None:
        """Keep one call running; at the beginning they do not all end at once."""
        held_s = HELD_S * (place + 1) / RUNNING
        while not self._stopping.is_set():
            await self._call(held_s)
            held_s = HELD_S

    async def _steadily(self) -> None:
        short: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            short.add(asyncio.get_running_loop().create_task(self._call(0.0)))
            await self._pause(NEW_EVERY_S)
        await asyncio.gather(*short)

    async def _call(self, held_s: float) -> None:
        leg = self._callers.dial()
        (outcome,) = await self._callers.settled([leg], 45)
        self.outcomes[outcome] += 1
        if outcome == "up":
            await self._pause(held_s)
            self.dropped += leg in self._callers.ended
            self._callers.hang_up([leg])

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def replaced(node: Node, proxy: Front, callers: Callers, load: Load) -> None:
    """Drain one node while a call on it goes on, and have a fresh process take its place."""
    canary = await on_node(node, callers)
    node.signal(signal.SIGTERM)
    await proxy.until(node.sip, "I")
    await load.calls(5)
    assert await callers.probed(canary) == 200, "what belongs to its call still reaches a node that drains"
    assert canary in callers.up
    callers.hang_up([canary])
    assert await node.gone() == 0
    await node.start()
    await proxy.until(node.sip, "A")
    callers.hang_up([await on_node(node, callers)])


async def on_node(node: Node, callers: Callers) -> str:
    """Place a call that this node has."""
    while True:
        leg = callers.dial()
        assert await callers.settled([leg]) == {"up": 1}
        if node.low <= callers.media[leg] < node.low + 1000:
            return leg
        callers.hang_up([leg])


@pytest.mark.matrix("Kamailio", "rolling deploy", "two nodes under 20 calls and 2/s: no call lost")
async def test_two_nodes_are_replaced_in_turn_and_nobody_notices(tmp_path: Path) -> None:
    with redis_server() as redis:
        async with (
            pair(tmp_path, redis.url) as (one, two),
            # A process that starts on a busy machine may keep its neighbour from answering for seconds.
            front(tmp_path / "k", [one.sip, two.sip], [CALLERS], silence_ms=5000) as proxy,
            Callers(proxy.address) as callers,
        ):
            for node in (one, two):
                await proxy.until(node.sip, "A")
                await node.sees({"a", "b"})
            async with Load(callers) as load:
                await load.calls(RUNNING)
                await replaced(one, proxy, callers, load)
                await replaced(two, proxy, callers, load)
            assert set(load.outcomes) == {"up"}, proxy.log()[-4000:]
            assert load.dropped == 0
            print(f"{load.outcomes['up']} calls, none refused, none dropped")

            # One dies without a word: the other goes on, and nobody who calls then is refused.
            await two.idle()
            two.signal(signal.SIGKILL)
            died = asyncio.get_running_loop().time()
            legs = [callers.dial() for _ in range(10)]
            await one.sees({"a"})
            print(f"its death was seen after {asyncio.get_running_loop().time() - died:.1f} s")
            assert await callers.settled(legs) == {"up": 10}
            callers.hang_up(legs)
            await proxy.until(two.sip, "I")
            one.signal(signal.SIGTERM)
            assert await one.gone() == 0
    ended = last_entries(tmp_path)
    assert set(ended) == {("call.ended", "caller_hung_up")}
    assert ended.total() >= load.outcomes.total()


def last_entries(folder: Path) -> Counter[tuple[str, str]]:
    """How the journals of all nodes end: type and reason."""
    ends = [list(read_journal(path))[-1] for path in folder.glob("*/journals/*.jsonl")]
    return Counter((entry["type"], entry.get("reason", "")) for entry in ends)
