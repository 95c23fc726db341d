"""The listener: WebSocket handshake, one :class:`~.protocol_session.WireSession` for each connection.

One session's failure never touches another: each has its own tasks, outbox, fault plan and turn detector.
"""

from __future__ import annotations

import hmac
import http
import logging
import random
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from voiceagent.ids import Tokens, counted_tokens, random_token
from voiceagent.tasks import TaskNest

from .brain import build_brain
from .config import EngineConfig
from .faults import FaultPlan, parse_faults
from .outbox import Outbox
from .parts_pool import Parts, PartsPool
from .protocol_errors import Refusal
from .protocol_session import WireSession
from .session_state import SessionState

PATH = "/v1/realtime"
LARGEST_FRAME = 24 * 1024 * 1024
"""Bytes: an append of 15 MiB of audio in base64, and room to spare."""
DEFAULT_VOICE = "marin"
EXPIRED_CLOSE = 1001
_log = logging.getLogger("voiceagent.engine")


class EngineServer:
    """Serves the Realtime wire on one port."""

    def __init__(self, config: EngineConfig, parts: Parts | None = None) -> None:
        parse_faults(config.faults)
        self.config = config
        self._pool = PartsPool(config, build_brain(config), parts)
        self._tokens: Tokens = random_token if config.seed is None else counted_tokens("")
        self._dice = random.Random(config.seed)
        self._server: Server | None = None
        self.sessions = 0
        """Sessions now open."""

    async def start(self) -> None:
        """Open the port at once; the parts warm up meanwhile."""
        self._server = await serve(
            self._serve,
            self.config.host,
            self.config.port,
            process_request=self._admit,
            compression=None,
            max_size=LARGEST_FRAME,
            max_queue=64,
            ping_interval=20,
            ping_timeout=60,
            server_header=None,
        )
        self._pool.start()

    @property
    def port(self) -> int:
        """The TCP port in use."""
        assert self._server is not None
        return next(iter(self._server.sockets)).getsockname()[1]

    async def ready(self) -> None:
        """Wait until voice and recogniser are warm; raises why they are not."""
        await self._pool.ready()

    async def close(self) -> None:
        """Close the port, all sessions (code 1001) and the parts."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await self._pool.close()

    # -- handshake -------------------------------------------------------------------------------------

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Check path and key; None lets the handshake go on."""
        if urlsplit(request.path).path.rstrip("/") != PATH:
            return connection.respond(http.HTTPStatus.NOT_FOUND, f"The realtime endpoint is {PATH}\n")
        wanted = self.config.api_key
        if wanted is None:
            return None
        given = request.headers.get_all("Authorization")
        offered = given[0] if len(given) == 1 else ""
        if not hmac.compare_digest(offered.encode(), f"Bearer {wanted}".encode()):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "Incorrect API key provided.\n")
        return None

    def _model(self, connection: ServerConnection) -> str:
        request = connection.request
        query = parse_qs(urlsplit(request.path).query) if request is not None else {}
        return query.get("model", [self.config.model])[0][:256]

    # -- sessions --------------------------------------------------------------------------------------

    def _plan(self) -> FaultPlan:
        return parse_faults(self.config.faults, self._dice.random)

    async def _serve(self, connection: ServerConnection) -> None:
        nest = TaskNest(f"engine-{connection.id.hex[:8]}")
        plan = self._plan()
        outbox = Outbox(self._tokens, plan, lambda: expire())
        seconds = self.config.session_minutes * 60
        state = SessionState(
            outbox.new_id("sess"),
            self._model(connection),
            DEFAULT_VOICE,
            int(time.time() + seconds),
            strict=self.config.strict,
        )
        session = WireSession(self.config, self._pool, state, outbox, plan, nest)
        expire = _expiry(outbox, self.config.session_minutes)
        timer = connection.loop.call_later(seconds, expire)
        self.sessions += 1
        try:
            session.open()
            nest.start("writer", _write(outbox, connection))
            async for frame in connection:
                await session.receive(frame)
        except ConnectionClosed:
            pass
        finally:
            self.sessions -= 1
            timer.cancel()
            await session.close()
            await nest.close()


def _expiry(outbox: Outbox, minutes: float) -> Callable[[], None]:
    def expire() -> None:
        message = f"Your session hit the maximum duration of {minutes:g} minutes."
        outbox.emit("error", error=Refusal("session_expired", message).error(None))
        outbox.close(EXPIRED_CLOSE, message)

    return expire


async def _write(outbox: Outbox, connection: ServerConnection) -> None:
    try:
        await outbox.run(connection, connection.transport.abort)
    except ConnectionClosed:
        return
