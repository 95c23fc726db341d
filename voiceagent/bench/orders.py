"""How a bench's second process is spoken to: orders in lines of JSON on its input, answers on its output."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Protocol


class TakesOrders(Protocol):
    """Does what it is told, one order after the other."""

    async def order(self, order: dict[str, Any]) -> dict[str, Any]: ...


async def serve_orders(load: TakesOrders) -> None:
    """Take orders until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        answer = await load.order(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
