"""The console's listener: uvicorn inside our process and our signal order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from voiceagent.console.app import close_streams
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.connections import BoundedSocket, Connections, end_when_stuck, peer_of
from voiceagent.console.parts import Parts
from voiceagent.errors import ConfigError
from voiceagent.tasks import TaskNest

_log = logging.getLogger("voiceagent.console")

WS_MESSAGE = 4096
"""Largest message taken from a WebSocket; frames of sound have 160 bytes."""
BACKLOG = 128
"""Connections that wait to be taken; so many are taken at once before any of them is looked at."""
UNSENT = 64 << 10
"""Bytes that the system may hold beyond what is on its way (TCP_NOTSENT_LOWAT): otherwise a reader who does
not read costs megabytes, and what a slow one gets is minutes old."""
GRACE_S = 3
"""How long answers under way may take to finish when the console closes."""


class ConsoleServer:
    """Listens on ``host:port`` (0: any free port) and serves ``app`` until :meth:`close`."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self.app = app
        self._host = host
        self._port = port
        self._nest = TaskNest("console")
        config = cast("Parts", app.state.parts).config
        self.connections = Connections(
            config.max_connections, config.max_connections_of_one, proxies=config.trusted_proxies
        )
        self._server: _Server | None = None
        self._running: asyncio.Task[Any] | None = None

    async def start(self) -> str:
        """Listen and return the URL, ``http://127.0.0.1:8080``.

        Raises :class:`~voiceagent.errors.ConfigError` naming ``console.host`` or ``console.port``.
        """
        parts: Parts = self.app.state.parts
        listener = await self._bind()
        config = uvicorn.Config(
            self.app,
            http=_protocol(parts.config, self.connections),
            ws=_socket(self.connections),
            ws_max_size=WS_MESSAGE,
            ws_per_message_deflate=False,
            backlog=BACKLOG,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=parts.config.max_connections,
            h11_max_incomplete_event_size=parts.config.header_limit,
            timeout_graceful_shutdown=GRACE_S,
        )
        await parts.identity.refresh()
        if parts.database is not None:
            self._nest.start("identity", parts.identity.keep_fresh())
            self._nest.start("audit", parts.audit.run())
        server = _Server(config)
        self._server = server
        self._running = self._nest.start("http", server.serve(sockets=[listener]))
        standing = self._nest.start("standing", server.standing.wait())
        await asyncio.wait((self._running, standing), return_when=asyncio.FIRST_COMPLETED)
        if not standing.done():
            await self.close()
            raise ConfigError("console.port", "the console could not start")
        host, port = listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Say goodbye to live streams, let answers finish, stop listening. Harmless when repeated."""
        close_streams(self.app)
        if self._server is not None and self._running is not None:
            self._server.should_exit = True
            await asyncio.wait((self._running,), timeout=GRACE_S + 2)
        parts: Parts = self.app.state.parts
        await parts.audit.flush(GRACE_S)
        await self._nest.close()

    async def _bind(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except OSError as error:
            raise ConfigError(
                "console.host", f"{self._host!r} is no address of ours: {error.strerror}"
            ) from error
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # connections have it from their listener
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
            listener.bind(address)
            listener.listen(128)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            setting = "console.host" if error.errno == 99 else "console.port"
            raise ConfigError(
                setting, f"cannot listen on {self._host}:{self._port}: {error.strerror}; choose another"
            ) from error
        return listener


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the app decides when and in which order to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.standing = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.standing.set()


def _socket(connections: Connections) -> type[asyncio.Protocol]:
    """Return uvicorn's WebSocket within bounds. It was counted when it was still HTTP."""

    class CountedSocket(BoundedSocket):
        def connection_lost(self, exc: Exception | None) -> None:
            connections.leave(peer_of(self.transport))
            super().connection_lost(exc)

    return CountedSocket


def _protocol(config: ConsoleConfig, connections: Connections) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP/1.1 protocol within bounds, with an absolute deadline for every request's head.

    uvicorn's own keep-alive timer stops at the first byte, so a head that drips would hold a connection for
    ever.
    """

    class DeadlineProtocol(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None

        _counted = False

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            plain = cast("asyncio.Transport", transport)
            if not connections.enter(peer_of(plain)):
                plain.abort()
                return
            self._counted = True
            end_when_stuck(plain.get_extra_info("socket"), config.write_deadline_s)
            super().connection_made(plain)
            self._await_head()

        def data_received(self, data: bytes) -> None:
            if self._head_timer is None and self._between_requests():
                self._await_head()
            super().data_received(data)
            if not self._between_requests():
                self._head_has_come()

        def connection_lost(self, exc: Exception | None) -> None:
            if not self._counted:
                return
            connections.leave(peer_of(self.transport))
            self._head_has_come()
            super().connection_lost(exc)

        def _between_requests(self) -> bool:
            return self.conn.their_state is h11.IDLE

        def _await_head(self) -> None:
            self._head_timer = self.loop.call_later(config.header_deadline_s, self._too_slow)

        def _head_has_come(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _too_slow(self) -> None:
            self._head_timer = None
            if self._between_requests() and not self.transport.is_closing():
                _log.debug("console: closed a connection whose request head did not come in time")
                self.transport.abort()

    return DeadlineProtocol
