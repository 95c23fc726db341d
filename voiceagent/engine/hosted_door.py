"""HTTP beside the WebSocket on one listener: a request that is not a GET goes to the REST side.

The WebSocket library reads GET alone. :class:`Door` looks at the first bytes of a connection and hands it to
one of the two; what follows is theirs, without a layer in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from voiceagent.tasks import TaskNest

HEAD_BYTES = 16 * 1024
BODY_BYTES = 1024 * 1024
HEADERS = 64
IDLE_S = 30.0
"""A connection that sends no whole request for so long is closed."""
_SINGLE = frozenset({"content-length", "authorization", "transfer-encoding", "host"})
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_log = logging.getLogger("voiceagent.engine")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer; ``body`` None is an empty one, anything else JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_bytes(self, *, last: bool) -> bytes:
        """Return the answer as it goes out; ``last`` announces that the connection is closed."""
        content = b"" if self.body is None else json.dumps(self.body).encode()
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Length: {len(content)}",
        ]
        if content:
            lines.append("Content-Type: application/json")
        if last:
            lines.append("Connection: close")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join((*lines, "", "")).encode("latin-1") + content


class BadRequest(Exception):
    """The bytes are no request that we take; the connection is closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_body(message: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    """Return an error as the vendor's REST has it."""
    return {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code},
    }


def read_head(head: bytes) -> HttpRequest:
    """Read request line and headers (with the empty line). Raises :class:`BadRequest`."""
    lines = head.decode("latin-1").split("\r\n")[:-2]
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or not words[0].isalpha():
        raise BadRequest(400, "The request line cannot be read.")
    if len(lines) > HEADERS + 1:
        raise BadRequest(431, f"More than {HEADERS} header lines.")
    headers: dict[str, str] = {"connection": "close"} if words[2] == "HTTP/1.0" else {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if not colon or not name or not _TOKEN.issuperset(name) or any(ord(letter) < 32 for letter in value):
            raise BadRequest(400, "A header line cannot be read.")
        if name in headers and name in _SINGLE:
            raise BadRequest(400, f"The header {name} came twice.")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return HttpRequest(words[0], words[1], headers)


def body_length(request: HttpRequest) -> int:
    """Return how many bytes of body follow. Raises :class:`BadRequest`."""
    if "transfer-encoding" in request.headers:
        raise BadRequest(411, "A body needs Content-Length.")
    text = request.headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        raise BadRequest(400, "Content-Length is not a number.")
    if int(text) > BODY_BYTES:
        raise BadRequest(413, f"The body is longer than {BODY_BYTES} bytes.")
    return int(text)


class Door:
    """Makes the protocol of each new connection of the listener."""

    def __init__(self, handle: Callable[[HttpRequest], HttpAnswer], nest: TaskNest) -> None:
        self._handle = handle
        self._nest = nest
        self._transports: set[asyncio.Transport] = set()

    def protocol(self, websocket: asyncio.Protocol) -> asyncio.Protocol:
        """Return the protocol that chooses between ``websocket`` and REST."""
        return _Chooser(self, websocket)

    def close(self) -> None:
        """Drop all connections that are not WebSockets."""
        for transport in tuple(self._transports):
            transport.abort()
        self._transports.clear()

    def entered(self, transport: asyncio.Transport) -> None:
        """A connection came."""
        self._transports.add(transport)

    def left(self, transport: asyncio.Transport) -> None:
        """A connection is gone, or the WebSocket's."""
        self._transports.discard(transport)

    def rest(self) -> asyncio.Protocol:
        """Return the protocol that reads requests."""
        reader = asyncio.StreamReader(limit=HEAD_BYTES)
        return asyncio.StreamReaderProtocol(reader, self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._nest.start("rest", self._talk(reader, writer))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            pass
        finally:
            self.left(cast("asyncio.Transport", writer.transport))
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when it was the last."""
        try:
            async with asyncio.timeout(IDLE_S):
                request = await _read(reader)
        except BadRequest as bad:
            writer.write(HttpAnswer(bad.status, error_body(str(bad), None)).to_bytes(last=True))
            await writer.drain()
            return False
        last = request.headers.get("connection", "").lower() == "close"
        try:
            answer = self._handle(request)
        except Exception:
            _log.exception("a request could not be handled")
            answer = HttpAnswer(500, error_body("The server had an error.", "server_error"))
        writer.write(answer.to_bytes(last=last))
        await writer.drain()
        return not last


async def _read(reader: asyncio.StreamReader) -> HttpRequest:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest(431, f"The head is longer than {HEAD_BYTES} bytes.") from None
    request = read_head(head)
    body = await reader.readexactly(body_length(request))
    return HttpRequest(request.method, request.target, request.headers, body)


class _Chooser(asyncio.Protocol):
    """Reads four bytes, then steps aside."""

    def __init__(self, door: Door, websocket: asyncio.Protocol) -> None:
        self._door = door
        self._websocket = websocket
        self._begun = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes, though not for ever."""
        self._transport = cast("asyncio.Transport", transport)
        self._door.entered(self._transport)
        self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Hand the connection over as soon as its method shows."""
        self._begun += data
        transport = self._transport
        if len(self._begun) < 4 or transport is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._begun.startswith(b"GET "):
            protocol = self._websocket
            self._door.left(transport)
        else:
            protocol = self._door.rest()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._begun)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone before it said anything."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._door.left(self._transport)
