"""The thin file: Redis' own client, as plain requests and one channel. All its failures become LineDown.

Requests go over connections of a pool as they are, without the client's retries: what may be sent twice is
for the callers to decide. Nor with its time limits: those are by ``wait_for``, which in Python 3.11 loses a
cancellation that comes together with the result. Replies are RESP 2: bytes, int, None, and lists of them.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from voiceagent.cluster.ports import ClusterDown
from voiceagent.errors import ConfigError

CROWD = 12
"""Connections for what many may ask at once. What keeps the node in its fleet never queues behind it."""
CONNECTIONS = CROWD + 6
QUIET_S = 1.0
"""A channel without messages for so long is asked whether it is still there."""

_is_errno = re.compile(r"Error (\d+) ").match


class LineDown(ClusterDown):
    """Redis was not reached, did not answer in time, or refused. ``sent``: it may have obeyed."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class RedisLine:
    """Requests to one server. ``timeout_s`` bounds a connect, and the wait for an answer."""

    def __init__(self, url: str, *, timeout_s: float = 2.0) -> None:
        """Raise ConfigError naming ``cluster.url``: the URL cannot be read, or Redis' client is missing."""
        try:
            from redis import exceptions
            from redis.asyncio import BlockingConnectionPool
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise ConfigError(
                "cluster.url", "needs Redis' client: pip install 'voiceagent[cluster]'"
            ) from None
        self.timeout_s = timeout_s
        self._errors = (exceptions.RedisError, OSError)
        self._refusals, self._no_script = exceptions.ResponseError, exceptions.NoScriptError
        self._late = exceptions.TimeoutError
        self._read_only, self._auth = exceptions.ReadOnlyError, exceptions.AuthenticationError
        try:
            parts = urlsplit(url)
            self.where = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
            self._secret = parts.password or ""
            pool: Any = BlockingConnectionPool
            self._pool = pool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=timeout_s,
                socket_timeout=None,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except (ValueError, TypeError):
            # Not the client's words: they may quote the password.
            raise ConfigError("cluster.url", "not a URL of Redis, as redis://host:6379/0") from None
        self._shas: dict[str, str] = {}
        self._crowd = asyncio.Semaphore(CROWD)
        self._failures = 0
        self._moved = 0
        """How often the server turned out to have become a replica."""

    @asynccontextmanager
    async def queue(self) -> AsyncGenerator[None]:
        """Hold a place for requests of which there may be many. Waiting for one is not Redis' fault.

        Raises LineDown when a request failed meanwhile: nobody waits for one limit after the other.
        """
        before = self._failures
        async with self._crowd:
            if self._failures != before:
                raise LineDown(f"Redis at {self.where} is away", sent=False)
            yield

    async def ask(self, *words: str | int) -> Any:
        """Send a command, return the reply. Raises LineDown."""
        try:
            return await self._ask(*words)
        except self._errors as error:
            raise self._down(error, sent=True) from None

    async def run(self, script: str, *words: str | int) -> Any:
        """Run a Lua script with ``words`` as ARGV. Raises LineDown."""
        try:
            sha = self._shas.get(script)
            if sha is not None:
                try:
                    return await self._ask("EVALSHA", sha, 0, *words)
                except self._no_script:
                    pass
            self._shas[script] = text(await self._ask("SCRIPT", "LOAD", script))
            return await self._ask("EVALSHA", self._shas[script], 0, *words)
        except self._errors as error:
            raise self._down(error, sent=True) from None

    async def listen(self, *channels: str) -> AsyncIterator[tuple[str, bytes] | None]:
        """Subscribe; yield None once that stands, then channel and message of each. Raises LineDown.

        Silence is told from a dead connection by asking. Ends when the server has become a replica: its
        primary's publishers do not count who listens there.
        """
        moved = self._moved
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            async with asyncio.timeout(self.timeout_s):
                await connection.connect()
                await connection.send_command("SUBSCRIBE", *channels)
                for _ in channels:
                    await connection.read_response()
            yield None
            asked = False
            while self._moved == moved:
                message = await connection.read_response(timeout=self.timeout_s if asked else QUIET_S)
                if message is not None:
                    asked = False
                    if len(message) == 3 and message[0] == b"message":
                        yield text(message[1]), cast("bytes", message[2])
                elif asked:
                    raise TimeoutError
                else:
                    await connection.send_command("PING")
                    asked = True
        except self._errors as error:
            raise self._down(error, sent=True) from None
        finally:
            await connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Close all connections. Harmless when repeated."""
        await self._pool.disconnect()

    async def _ask(self, *words: str | int) -> Any:
        try:
            async with asyncio.timeout(self.timeout_s):
                connection = await self._pool.get_connection()
        except self._errors as error:
            raise self._down(error, sent=False) from None
        try:
            async with asyncio.timeout(self.timeout_s):
                await connection.send_command(*words)
                return await connection.read_response()
        except self._read_only:
            # After a fail-over the address may mean another server: do not stay with this one.
            self._moved += 1
            await connection.disconnect(nowait=True)
            await self._pool.disconnect(inuse_connections=False)
            raise
        finally:
            await self._pool.release(connection)

    def _down(self, error: Exception, *, sent: bool) -> LineDown:
        self._failures += 1
        return LineDown(f"Redis at {self.where} {self._said(error)}", sent=sent)

    def _said(self, error: Exception) -> str:
        cause = _system_error(error)
        if isinstance(error, self._auth):
            return "refuses user or password"
        if isinstance(error, self._read_only):
            return "is a read-only replica"
        if isinstance(error, self._refusals):
            return f"refuses: {self._line(error)}"
        if isinstance(cause, socket.gaierror):
            return "cannot be reached: unknown host"
        if isinstance(error, (self._late, TimeoutError)) or isinstance(cause, TimeoutError):
            return f"does not answer within {self.timeout_s:g} s"
        told = _is_errno(str(error))  # some ways lose what the system said, but for its number
        errno = (cause.errno if cause is not None else None) or (int(told[1]) if told else 0)
        if errno:
            return f"cannot be reached: {os.strerror(errno)}"
        return f"cannot be reached: {self._line(error)}"

    def _line(self, error: Exception) -> str:
        line = (str(error) or type(error).__name__).splitlines()[0][:200]
        return line.replace(self._secret, "…") if self._secret else line


def _system_error(error: BaseException | None) -> OSError | None:
    """Return what the system said, which the client may have wrapped several times."""
    for _ in range(8):
        if error is None or isinstance(error, OSError):
            return error
        error = error.__cause__ or error.__context__
    return None


def text(value: Any) -> str:
    """Return bytes as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def rows(value: Any) -> list[Any]:
    """Return a list as one; nothing is an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def pairs(value: Any) -> list[tuple[Any, Any]]:
    """Return a flat list of keys and values as pairs."""
    flat = rows(value)
    return list(zip(flat[::2], flat[1::2], strict=False))
