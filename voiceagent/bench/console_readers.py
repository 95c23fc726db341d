"""Readers of the console for its bench: one who reads the live stream, many who do not, one who asks.

All by hand on sockets: a reader who does not read is a socket with a small receive buffer, and the clock of
one who does must not hold the work of a library.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import time
from typing import Any, cast
from urllib.parse import urlsplit

from voiceagent.bench.console_provider import MARK

SMALL = 4096
"""Receive buffer of a reader who does not read."""
OPENED_S = 300.0
FRESH_S = 1.0
"""A connection on which nothing was asked for longer may be closed by the console at any time."""


class Place:
    """Where the console is, and who asks."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"

    def request(self, method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
        """Return one request in wire form."""
        lines = "".join(f"{line}\r\n" for line in headers)
        size = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if body else ""
        return f"{method} {path} HTTP/1.1\r\n{self._head}{lines}{size}\r\n".encode() + body

    def upgrade(self, path: str) -> bytes:
        """Return the handshake of a WebSocket (RFC 6455 §4.1)."""
        key = base64.b64encode(os.urandom(16)).decode()
        return self.request(
            "GET",
            path,
            "Connection: Upgrade",
            "Upgrade: websocket",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )


class Asker:
    """One connection that is kept open for question after question."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._used = 0.0

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: tuple[str, ...] = ()
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (lower case) and body as it came."""
        now = time.monotonic()
        if self._writer is not None and now - self._used > FRESH_S:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._place.host, self._place.port)
        assert self._reader is not None
        data = b"" if body is None else json.dumps(body).encode()
        self._writer.write(self._place.request(method, path, *headers, body=data))
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        told = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        content = await self._reader.readexactly(int(told.get("content-length", "0")))
        self._used = time.monotonic()
        return int(head[0].split(" ")[1]), told, content

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()


class Watcher(asyncio.Protocol):
    """Reads the live stream and notes how old every mark in it is, in ms, when its last byte has come."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rest = b""
        self.ages: list[float] = []
        self.octets = 0
        self._transport: asyncio.Transport | None = None

    async def open(self) -> None:
        """Connect and ask for the stream."""
        await asyncio.get_running_loop().create_connection(lambda: self, self._place.host, self._place.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none of asyncio's classes
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._place.request("GET", "/v1/events", "Accept: text/event-stream"))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self.octets += len(data)
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if b"event: transcript.line" in event:
                found = MARK.search(event.decode("ascii", "replace"))
                if found is not None:
                    self.ages.append((now - int(found[1])) / 1e6)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


class Stalled:
    """Readers who have asked and then never read again."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    async def open(self, place: Place, requests: list[bytes]) -> None:
        """Open one for each request; every answer's status line is read, and nothing after it.

        Raises RuntimeError where one is refused.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(OPENED_S):
            for request in requests:
                one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self._sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
                one.setblocking(False)
                await loop.sock_connect(one, (place.host, place.port))
                await loop.sock_sendall(one, request)
                answer = await loop.sock_recv(one, 12)
                if answer[9:12] not in (b"200", b"101"):
                    answer += await loop.sock_recv(one, 1000)
                    raise RuntimeError(f"a reader was refused: {answer.decode('latin-1')}")

    def close(self) -> None:
        """Hang all of them up."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.close()
        self._sockets.clear()
