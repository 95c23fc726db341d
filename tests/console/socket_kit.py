"""A WebSocket to the console without a network: ASGI by hand, so that a test says when its reader is slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from .kit import PATIENCE_S


@dataclass
class Socket:
    """What came of a handshake (``status`` 101 or the refusal's), and what is sent on it since."""

    status: int = 0
    code: int | None = None
    """With which it was closed by the console."""
    reason: str = ""
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: the reader takes nothing."""
    _body: bytes = b""
    _opened: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: asyncio.Event = field(default_factory=asyncio.Event)
    _up: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    _down: asyncio.Queue[bytes | str] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.flowing.set()
        self._up.put_nowait({"type": "websocket.connect"})

    async def receive(self) -> dict[str, Any]:
        return await self._up.get()

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.flowing.wait()
        match message["type"]:
            case "websocket.accept":
                self.status = 101
                self._opened.set()
            case "websocket.http.response.start":
                self.status = message["status"]
            case "websocket.http.response.body":
                self._body += message["body"]
                self._opened.set()
            case "websocket.close":
                self.code, self.reason = message.get("code", 1000), message.get("reason") or ""
                self._opened.set()
                self._closed.set()
            case _:
                self._down.put_nowait(message.get("bytes") or message["text"])

    @property
    def problem(self) -> Any:
        return json.loads(self._body)

    async def opened(self) -> None:
        await asyncio.wait_for(self._opened.wait(), PATIENCE_S)

    async def closed(self) -> tuple[int | None, str]:
        """Wait until the console closes it; return code and reason."""
        await asyncio.wait_for(self._closed.wait(), PATIENCE_S)
        return self.code, self.reason

    async def next(self) -> bytes | Any:
        """Return the next frame, or the JSON of a text."""
        item = await asyncio.wait_for(self._down.get(), PATIENCE_S)
        return item if isinstance(item, bytes) else json.loads(item)

    def say(self, item: bytes | str) -> None:
        """Send something up."""
        key = "bytes" if isinstance(item, bytes) else "text"
        self._up.put_nowait({"type": "websocket.receive", key: item})

    def leave(self) -> None:
        """Close it, as a reader does."""
        self._up.put_nowait({"type": "websocket.disconnect", "code": 1001})


@asynccontextmanager
async def socket(
    app: FastAPI, path: str, *, headers: Mapping[str, str], peer: str = "127.0.0.1"
) -> AsyncIterator[Socket]:
    """Open ``path`` as a WebSocket and use it while the test goes on."""
    one = Socket()
    given = {"host": "localhost:8080", **headers}
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items() if value],
        "client": (peer, 40000),
        "server": ("localhost", 8080),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    async with asyncio.TaskGroup() as group:
        group.create_task(app(scope, one.receive, one.send))
        await one.opened()
        try:
            yield one
        finally:
            one.flowing.set()
            one.leave()
