"""A server that takes webhooks, badly or well."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


@asynccontextmanager
async def receiver(
    answer: bytes, seen: list[bytes], tls: ssl.SSLContext | None = None
) -> AsyncGenerator[int]:
    """A server that reads a request and gives ``answer``; with an empty one it says nothing."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length"))
            seen.append(head + await reader.readexactly(length))
            if not answer:
                await asyncio.Event().wait()
            writer.write(answer)
            await writer.drain()
            if b"endless" in answer:
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
