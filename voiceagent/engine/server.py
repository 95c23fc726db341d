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
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from voiceagent.ids import Tokens, counted_tokens, random_token
from voiceagent.tasks import TaskNest

from .brain import build_brain
from .config import EngineConfig
from .faults import FaultPlan, parse_faults
from .hosted_call import DEFAULT_VOICE, EXPIRED_CLOSE
from .hosted_desk import HostedDesk
from .hosted_door import Door
from .outbox import Outbox
from .parts_pool import Parts, PartsPool
from .protocol_errors import Refusal
from .protocol_session import WireSession
from .session_state import SessionState
from .step_times import StepTimes

PATH = "/v1/realtime"
LARGEST_FRAME = 24 * 1024 * 1024
"""Bytes: an append of 15 MiB of audio in base64, and room to spare."""
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
        """Sessions now open over WebSockets of their own."""
        self._nest = TaskNest("engine-door")
        self.hosted: HostedDesk | None = None
        """The side that takes calls itself, where the settings ask for it."""
        self._door: Door | None = None
        if config.hosted is not None:
            self.hosted = HostedDesk(config, config.hosted, self._pool, self._tokens, self._plan)
            self._door = Door(self.hosted.handle, self._nest)

    @property
    def times(self) -> StepTimes:
        """How long the parts take."""
        return self._pool.times

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
            create_connection=cast("type[ServerConnection] | None", self._connection),
        )
        if self.hosted is not None:
            try:
                await self.hosted.start()
            except BaseException:
                await self.close()
                raise
        self._pool.start()

    def _connection(self, *given: Any, **settings: Any) -> Any:
        """Make the protocol of a new connection: a WebSocket's, behind the door where there is one."""
        websocket = ServerConnection(*given, **settings)
        return websocket if self._door is None else self._door.protocol(websocket)

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
        if self.hosted is not None:
            await self.hosted.close()
        if self._server is not None:
            self._server.close()
            if self._door is not None:
                self._door.close()
            await self._nest.close()
            await self._server.wait_closed()
        await self._pool.close()

    # -- handshake -------------------------------------------------------------------------------------

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Check path and key; None lets the handshake go on."""
        if urlsplit(request.path).path.rstrip("/") != PATH:
            return connection.respond(http.HTTPStatus.NOT_FOUND, f"The realtime endpoint is {PATH}\n")
        wanted = self.config.api_key
        if wanted is not None:
            given = request.headers.get_all("Authorization")
            offered = given[0] if len(given) == 1 else ""
            if not hmac.compare_digest(
                offered.encode("utf-8", "surrogateescape"), f"Bearer {wanted}".encode()
            ):
                return connection.respond(http.HTTPStatus.UNAUTHORIZED, "Incorrect API key provided.\n")
        call_id = _asked(request, "call_id")
        return None if call_id is None else self._admit_control(connection, call_id)

    def _admit_control(self, connection: ServerConnection, call_id: str) -> Response | None:
        """Check the call of a control socket: it must have been accepted, and live."""
        call = self.hosted.find(call_id) if self.hosted is not None else None
        if call is None:
            over = self.hosted is not None and self.hosted.has_ended(call_id)
            status = http.HTTPStatus.GONE if over else http.HTTPStatus.NOT_FOUND
            return connection.respond(status, "The call has ended.\n" if over else "No active call.\n")
        if call.outlet is not None and call.outlet.full:
            return connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "Too many control sockets.\n")
        return None

    # -- sessions --------------------------------------------------------------------------------------

    def _plan(self) -> FaultPlan:
        return parse_faults(self.config.faults, self._dice.random)

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        call_id = _asked(connection.request, "call_id")
        if call_id is not None:
            await self._serve_control(connection, call_id)
            return
        model = _asked(connection.request, "model") or self.config.model
        nest = TaskNest(f"engine-{connection.id.hex[:8]}")
        plan = self._plan()
        outbox = Outbox(self._tokens, plan, lambda: expire())
        seconds = self.config.session_minutes * 60
        state = SessionState(
            outbox.new_id("sess"),
            model[:256],
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
            session.let_go()
            outbox.stop()

    async def _serve_control(self, connection: ServerConnection, call_id: str) -> None:
        """Serve one control socket; its end is not the call's."""
        call = self.hosted.find(call_id) if self.hosted is not None else None
        if call is None or call.outlet is None or call.session is None:
            await connection.close(1000, "The call has ended.")
            return
        nest = TaskNest(f"engine-{connection.id.hex[:8]}")
        outbox = call.outlet.attach(call.session.state.view())
        try:
            nest.start("writer", _write(outbox, connection))
            async for frame in connection:
                await call.session.receive(frame)
        except ConnectionClosed:
            pass
        finally:
            call.outlet.detach(outbox)
            await nest.close()


def _asked(request: Request, name: str) -> str | None:
    """Return one value of the request's query."""
    return parse_qs(urlsplit(request.path).query).get(name, [None])[0]


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
