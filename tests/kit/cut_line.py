"""A TCP line between a client and a server on loopback that a test cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536


class CutLine:
    """Passes bytes on as they come; :meth:`cut` breaks every connection at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.taken = 0
        """Connections so far."""

    def cut(self) -> int:
        """Break all connections, with whatever is under way in them; return how many there were."""
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers) // 2

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        self.taken += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ends = {writer, far_writer}
        self._writers |= ends
        ways = {
            asyncio.create_task(_pass_on(reader, far_writer)),
            asyncio.create_task(_pass_on(far_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in ends:
                end.transport.abort()
            self._writers -= ends


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def cut_line(port: int) -> AsyncIterator[tuple[CutLine, int]]:
    """Lay a line to ``port`` of this machine; yield it and the port of its near end."""
    line = CutLine(port)
    async with await asyncio.start_server(line.take, "127.0.0.1", 0) as server:
        yield line, server.sockets[0].getsockname()[1]
        server.close()
        line.cut()
