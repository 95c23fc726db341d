"""The WebSocket server under the scripted provider: ``picows`` where it is installed, else ``websockets``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from voiceagent.bench.load_phones import Phone
from voiceagent.bench.load_provider import PERIOD_S, ProviderFigures, ScriptedSession


def call_number(path: str) -> int:
    """Return the call that a request path names: ``/v1/realtime?model=call-17``."""
    model = parse_qs(urlsplit(path).query).get("model", ["call-0"])[0]
    return int(model.rpartition("-")[2])


class LoadProvider:
    """Listens, and gives every connection its script."""

    def __init__(self, phones: list[Phone], figures: ProviderFigures) -> None:
        self._phones = phones
        self._figures = figures
        self.sessions: set[ScriptedSession] = set()
        self.port = 0
        self.kind = ""
        self._measuring = False
        self._server: Any = None

    def measure(self) -> None:
        """Open the window."""
        self._measuring = True
        for session in self.sessions:
            session.measuring = True

    def _begin(self, path: str, send: Callable[[bytes], None]) -> ScriptedSession:
        number = call_number(path)
        # Spread the script, so that not all answers begin at once.
        offset = 0.2 + (number * 0.6180339887 % 1.0) * PERIOD_S
        session = ScriptedSession(self._phones[number], self._figures, send, offset)
        session.measuring = self._measuring
        self.sessions.add(session)
        return session

    def _end(self, session: ScriptedSession | None) -> None:
        if session is not None:
            session.close()
            self.sessions.discard(session)

    async def start(self) -> None:
        """Listen on a port of the loopback."""
        try:
            import picows
        except ImportError:
            await self._start_websockets()
            return
        provider = self

        class Listener(picows.WSListener):
            def __init__(self, path: str) -> None:
                self._path = path
                self._session: ScriptedSession | None = None

            def on_ws_connected(self, transport: picows.WSTransport) -> None:
                def send(data: bytes) -> None:
                    transport.send(picows.WSMsgType.TEXT, data)

                self._session = provider._begin(self._path, send)

            def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
                if frame.msg_type == picows.WSMsgType.CLOSE:
                    transport.send_close(picows.WSCloseCode.OK)
                    transport.disconnect()
                elif frame.msg_type == picows.WSMsgType.TEXT and self._session is not None:
                    self._session.receive(frame.get_payload_as_bytes())

            def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
                provider._end(self._session)

        def route(request: picows.WSUpgradeRequest) -> picows.WSListener:
            return Listener(request.path.decode())

        create: Any = picows.ws_create_server  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        self._server = await create(route, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.kind = "picows"

    async def _start_websockets(self) -> None:
        from websockets.asyncio.server import ServerConnection, serve

        async def handle(connection: ServerConnection) -> None:
            outgoing: asyncio.Queue[bytes] = asyncio.Queue()
            assert connection.request is not None
            session = self._begin(connection.request.path, outgoing.put_nowait)

            async def write() -> None:
                while True:
                    await connection.send(await outgoing.get(), text=True)

            async with asyncio.TaskGroup() as group:
                writer = group.create_task(write())
                async for message in connection:
                    session.receive(message if isinstance(message, bytes) else message.encode())
                writer.cancel()
            self._end(session)

        self._server = await serve(handle, "127.0.0.1", 0, compression=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self.kind = "websockets"

    async def stop(self) -> None:
        """Stop listening; open sessions end with their sockets."""
        self._server.close()
        for session in list(self.sessions):
            session.close()
