"""What the process of every peer does: take orders as JSON lines, run the calls, tell what they cost.

    in   {"ws": "ws://…", "phones": [port, …]}  out  {"ports": [port, …], "peer": "pipecat 1.14.0", …}
    in   {"used": true}                         out  {"cpu_s": …, "resident_kb": …, "at": …, "machine_s": …}
End of input ends the process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Protocol

from voiceagent.bench.usage import used_now
from voiceagent.loops import loop_factory

AT_ONCE = 20


class PeerCall(Protocol):
    """One call in the peer's hands."""

    port: int
    """Where the phone sends."""


_RUNNING: list[PeerCall] = []
"""Kept alive until the process ends."""
Compose = Callable[[str, int, int], Awaitable[PeerCall]]
"""Opens one call: the provider's URL with ``{model}``, the call's number, the phone's port."""


async def serve(name: str, compose: Compose) -> None:
    """Take orders until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # Whatever the peer prints is no answer of ours.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    while line := await reader.readline():
        order = json.loads(line)
        answer = await _open(name, compose, order) if "ws" in order else asdict(used_now())
        out.write(json.dumps(answer) + "\n")
        out.flush()


async def _open(name: str, compose: Compose, order: dict[str, Any]) -> dict[str, Any]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, phone: int) -> PeerCall:
        async with gate:
            return await compose(order["ws"], number, phone)

    # The first call brings imports and caches, which are not the memory of the others.
    ports: list[int] = order["phones"]
    phones = list(enumerate(ports))
    running = [await one(*phones[0])]
    gc.collect()
    before = used_now()
    running += await asyncio.gather(*(one(*phone) for phone in phones[1:]))
    _RUNNING.extend(running)
    # What our service does after its start, done for the peer as well.
    gc.collect()
    gc.freeze()
    return {
        "ports": [call.port for call in running],
        "peer": name,
        "python": platform.python_version(),
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "before": asdict(before),
    }


def main(name: str, compose: Compose) -> None:
    """Serve, on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(name, compose))
        # Calls still run: nobody needs their ends.
        sys.stdout.flush()
        os._exit(0)
