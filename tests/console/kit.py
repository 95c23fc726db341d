"""Ways into the console for tests: a client without sockets, and a reader of the live stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from voiceagent.app.fleet import FleetDirectory
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.ports import WebhookTaken
from voiceagent.realtime.webhook_signature import WebhookRefused

from .fake_directory import FakeDirectory, seen_by_the_console

TOKEN = "operator-token-for-tests"
VIEWER = "viewer-token-for-tests"
BASE = "http://localhost:8080"
PATIENCE_S = 45.0
"""How long anything may take that takes no time of its own; only a failure waits for it."""
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def an_app(directory: FakeDirectory | FleetDirectory, **settings: Any) -> FastAPI:
    """Return the console over ``directory``."""
    metrics = settings.pop("metrics", None)
    webhooks = settings.pop("webhooks", None)
    database = settings.pop("database", None)
    outgoing = settings.pop("outgoing", None)
    phones = settings.pop("phones", None)
    tickets = settings.pop("tickets", None)
    store = settings.pop("store", None)
    erasures = settings.pop("erasures", None)
    drainer = settings.pop("drainer", None)
    settings.setdefault("stream_tick_s", 0.0)
    config = ConsoleConfig(token=TOKEN, viewer_token=VIEWER, **settings)
    return create_app(
        seen_by_the_console(directory) if isinstance(directory, FakeDirectory) else directory,
        config,
        metrics=metrics,
        webhooks=webhooks,
        phones=phones,
        database=database,
        outgoing=outgoing,
        tickets=tickets,
        store=store,
        erasures=erasures,
        drainer=drainer,
    )


def hold_back_for_good(app: FastAPI) -> None:
    """Let nothing of what was used up of sign-ins and of triggers come back while a slow test runs."""
    parts = app.state.parts
    for limit in (parts.sign_ins, parts.triggers):
        limit.per_s = 1e-3


@dataclass
class FakeDrain:
    """Keeps who wished what; ``late``: the goodbyes have begun."""

    wishes: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    state: str = "serving"
    late: bool = False

    def begin(self, by: str, limit_s: float | None = None) -> None:
        self.wishes.append(("begin", by, limit_s))
        self.state = "draining"

    def resume(self, by: str) -> bool:
        self.wishes.append(("resume", by))
        if not self.late:
            self.state = "serving"
        return not self.late

    def view(self) -> dict[str, Any]:
        limit = 600.0 if self.state == "draining" else None
        return {"state": self.state, "calls": 2, "limit_in_s": limit, "epoch": "run1"}


@dataclass
class FakeWebhooks:
    """Keeps what it is given; says ``answer``, or raises it."""

    answer: WebhookTaken | WebhookRefused = field(default_factory=lambda: WebhookTaken("taken"))
    given: list[tuple[str, str, str, bytes]] = field(default_factory=list[tuple[str, str, str, bytes]])

    def take(self, webhook_id: str, timestamp: str, signature: str, body: bytes) -> WebhookTaken:
        self.given.append((webhook_id, timestamp, signature, body))
        if isinstance(self.answer, WebhookRefused):
            raise self.answer
        return self.answer


def a_client(app: FastAPI, *, peer: str = "127.0.0.1", **options: Any) -> httpx.AsyncClient:
    """Return a client that calls ``app`` in this process."""
    transport = httpx.ASGITransport(app, client=(peer, 40000))
    return httpx.AsyncClient(transport=transport, base_url=BASE, **options)


@dataclass
class Heard:
    """One event of the stream as a browser would see it."""

    type: str
    data: Any
    id: str | None


@dataclass
class StreamReader:
    """Reads ``/v1/events`` chunk by chunk; ``hold`` makes it the slow reader."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _blocks: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.flowing.set()

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.flowing.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        elif message["body"]:
            self._chunks.put_nowait(message["body"])
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._chunks.put_nowait(None)

    def leave(self) -> None:
        """Close the connection, as a reader does."""
        self._gone.set()

    async def raw(self) -> bytes | None:
        """Return the next piece as it was sent; None at the end."""
        return await asyncio.wait_for(self._chunks.get(), PATIENCE_S)

    async def next(self) -> Heard | None:
        """Return the next event; comments and hints are skipped."""
        while True:
            while self._blocks:
                block = self._blocks.pop(0)
                fields = dict(
                    line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":")
                )
                if "event" in fields:
                    return Heard(fields["event"], json.loads(fields["data"]), fields.get("id"))
            chunk = await self.raw()
            if chunk is None:
                return None
            self._blocks = chunk.decode().split("\n\n")


@asynccontextmanager
async def streaming(app: FastAPI, *, headers: dict[str, str] | None = None) -> AsyncIterator[StreamReader]:
    """Open ``/v1/events`` and read it while the test goes on."""
    reader = StreamReader()
    given = {"host": "localhost:8080", **BEARER, **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/events",
        "raw_path": b"/v1/events",
        "query_string": b"",
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in given.items() if v],
        "client": ("127.0.0.1", 40000),
        "server": ("localhost", 8080),
    }
    async with asyncio.TaskGroup() as group:
        group.create_task(app(scope, reader.receive, reader.send))
        try:
            yield reader
        finally:
            reader.flowing.set()
            reader.leave()
