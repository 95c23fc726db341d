"""The two ways to reach a scripted provider: in memory, on any clock, or through a real socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from voiceagent.realtime.frames import FrameListener

if TYPE_CHECKING:
    from tests.kit.scripted_provider import ScriptedProvider


class MemoryTransport:
    """A frame transport without a socket: each direction keeps its order and takes the provider's latency."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.frames: list[bytes] = []
        """Control frames as they left."""
        self.audio: list[bytes] = []
        self.close_code: int | None = None
        self.buffered = 0
        self.dropped = 0
        self._listener: FrameListener | None = None
        self._down: deque[str] = deque()
        self._up: deque[str] = deque()
        self._closed = False
        self._told = False
        self._muted = False
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()

    def listen(self, listener: FrameListener) -> None:
        self._listener = listener
        self.provider.connected(self._deliver, self._lost)

    def _deliver(self, text: str) -> None:
        self._down.append(text)
        self._loop.call_later(self.provider.latency_s, self._arrive)

    def _arrive(self) -> None:
        text = self._down.popleft()
        if self._listener is not None and not self._closed:
            self._listener.frame_received(text.encode())

    def send(self, data: bytes) -> None:
        if self._closed:
            return
        self.frames.append(data)
        self._forward(data)

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        if self._closed:
            return
        self.audio.append(data)
        self._forward(data)

    def mute(self) -> None:
        """Let whatever is sent from now on vanish (for measurements)."""
        self._muted = True

    def _forward(self, data: bytes) -> None:
        if self._muted:
            return
        self._up.append(data.decode())
        self._loop.call_later(self.provider.latency_s, self._take)

    def _take(self) -> None:
        text = self._up.popleft()
        if not self._told:
            self.provider.take(text)

    def _lost(self, code: int, reason: str) -> None:
        self._loop.call_soon(self._tell, code, reason)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            self.close_code = code
            self.provider.gone(self._deliver)
            self._loop.call_soon(self._tell, code, reason)

    def _tell(self, code: int | None, reason: str) -> None:
        self._closed = True
        if not self._told:
            self._told = True
            self._gone.set()
            if self._listener is not None:
                self._listener.transport_closed(code, reason)

    async def wait_closed(self) -> None:
        await self._gone.wait()


@asynccontextmanager
async def serve(provider: ScriptedProvider, *, reject: int | None = None) -> AsyncIterator[str]:
    """Serve on a real socket of 127.0.0.1; yields the URL. ``reject`` answers with that HTTP status."""
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as ws_serve
    from websockets.exceptions import ConnectionClosed
    from websockets.http11 import Request, Response

    def check(connection: ServerConnection, request: Request) -> Response | None:
        provider.requests.append({":path": request.path, **dict(request.headers.raw_items())})
        if reject is not None:
            return connection.respond(reject, "no\n")  # type: ignore[arg-type]
        return None

    async def talk(connection: ServerConnection) -> None:
        outbox: asyncio.Queue[str | tuple[int, str]] = asyncio.Queue()
        provider.connected(outbox.put_nowait, lambda code, reason: outbox.put_nowait((code, reason)))

        async def write() -> None:
            while True:
                item = await outbox.get()
                if isinstance(item, tuple):
                    code, reason = item
                    if code == 1006:
                        connection.transport.abort()
                    else:
                        await connection.close(code, reason)
                    return
                try:
                    await connection.send(item)
                except ConnectionClosed:  # the client is gone first: what is still to be said has no ear
                    return

        async with asyncio.TaskGroup() as group:
            writer = group.create_task(write())
            try:
                async for message in connection:
                    provider.take(message if isinstance(message, str) else message.decode())
            except ConnectionClosed:
                pass
            finally:
                provider.gone()
                writer.cancel()

    async with ws_serve(talk, "127.0.0.1", 0, process_request=check, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"
