"""A whole hosted side for tests: engine with fakes, webhook receiver, phone, REST, control sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx
from openai import OpenAI
from websockets.asyncio.client import connect

from tests.engine.protocol_client import GUARD_S, WireClient
from voiceagent.engine.config import EngineConfig, HostedConfig
from voiceagent.engine.fakes import FakeParts, ToneVoice
from voiceagent.engine.hosted_webhook import new_webhook_secret
from voiceagent.engine.parts_pool import Parts
from voiceagent.engine.run import RunningEngine, start_engine
from voiceagent.phone.phone import Phone, PhoneCall

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "test-model",
    "instructions": "Be brief.",
    "audio": {
        "input": {
            "transcription": {"model": "embedded"},
            "turn_detection": {
                "type": "server_vad",
                "silence_duration_ms": 300,
                "create_response": False,
                "interrupt_response": True,
            },
        },
        "output": {"voice": "cedar"},
    },
}


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def call_id(self) -> str:
        return self.event["data"]["call_id"]


@dataclass
class Receiver:
    """Takes webhooks over HTTP. ``answers`` are the statuses of the first ones, then 200."""

    answers: list[int] = field(default_factory=list)
    hooks: asyncio.Queue[Hook] = field(default_factory=asyncio.Queue)
    url: str = ""
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hooks"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
            headers = {name.lower(): value for name, value in lines}
            body = await reader.readexactly(int(headers["content-length"]))
            status = self.answers.pop(0) if self.answers else 200
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: {self.url}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            await writer.drain()
            self.hooks.put_nowait(Hook(headers, body))
        finally:
            writer.close()

    async def next(self) -> Hook:
        async with asyncio.timeout(GUARD_S):
            return await self.hooks.get()


@dataclass
class Host:
    """The engine, what surrounds it, and shortcuts."""

    engine: RunningEngine
    receiver: Receiver
    phone: Phone
    rest: httpx.AsyncClient
    secret: str

    @property
    def sip(self) -> str:
        return f"sip:100@{self.engine.sip}"

    def verified(self, hook: Hook) -> Any:
        """Verify and parse a webhook with the vendor's own client."""
        return OpenAI(api_key="x", webhook_secret=self.secret).webhooks.unwrap(hook.body, dict(hook.headers))

    async def offered(self, **options: Any) -> tuple[PhoneCall, str]:
        """Dial; return the ringing call and its id as the webhook told it."""
        call = self.phone.dial(self.sip, **options)
        hook = await self.receiver.next()
        return call, hook.call_id

    async def post(self, call_id: str, verb: str, body: Any = None) -> httpx.Response:
        path = f"/v1/realtime/calls/{call_id}/{verb}"
        return await self.rest.post(path) if body is None else await self.rest.post(path, json=body)

    async def accept(self, call_id: str, **changes: Any) -> None:
        answer = await self.post(call_id, "accept", {**SESSION, **changes})
        assert (answer.status_code, answer.content) == (200, b""), answer.text

    def control_url(self, call_id: str) -> str:
        return f"{self.engine.url}?call_id={call_id}"

    @asynccontextmanager
    async def control(self, call_id: str, *, ordered: bool = True) -> AsyncIterator[WireClient]:
        """Attach; ``ordered=False`` where the attachment falls into a response."""
        async with connect(self.control_url(call_id), compression=None, max_queue=None) as socket:
            client = WireClient(socket, ordered=ordered)
            assert (await client.read())["type"] == "session.created"
            yield client

    @asynccontextmanager
    async def talking(self, **changes: Any) -> AsyncIterator[tuple[PhoneCall, WireClient, str]]:
        """An answered call with its control socket."""
        call, call_id = await self.offered()
        await self.accept(call_id, **changes)
        await call.answered()
        async with self.control(call_id) as client:
            yield call, client, call_id


@asynccontextmanager
async def hosting(
    *,
    config: EngineConfig | None = None,
    parts: Parts | None = None,
    answers: list[int] | None = None,
    phone: Phone | None = None,
    **hosted: Any,
) -> AsyncIterator[Host]:
    """Start everything on loopback; the voice is a tone of 30 ms per character."""
    secret = new_webhook_secret()
    parts = parts or FakeParts(voice=ToneVoice(ms_per_character=30.0))
    base = config or EngineConfig(seed=1)
    headers = {"Authorization": f"Bearer {base.api_key}"} if base.api_key else {}
    async with Receiver(list(answers or ())) as receiver, phone or Phone() as handset:
        settings = HostedConfig(webhook_secret=secret, webhook_url=receiver.url, retry_first_s=0.01, **hosted)
        fields = {name: getattr(base, name) for name in EngineConfig.__slots__}
        async with await start_engine(EngineConfig(**{**fields, "hosted": settings}), parts) as engine:
            await engine.ready()
            address = engine.url.replace("ws://", "http://").removesuffix("/v1/realtime")
            async with httpx.AsyncClient(
                base_url=address, headers=headers, trust_env=False, timeout=60
            ) as rest:
                yield Host(engine, receiver, handset, rest, secret)
