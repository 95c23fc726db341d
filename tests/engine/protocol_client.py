"""A wire client for tests: each server frame is held against the vendor's published types and order."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, get_args

from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect

from tests.engine.protocol_order import OrderOracle
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import FakeParts
from voiceagent.engine.parts_pool import Parts
from voiceagent.engine.run import start_engine
from voiceagent.engine.wire_audio import encode

GUARD_S = 45.0
"""A frame that does not come ends the test; never a measure of speed."""
SESSION_EXTRAS = {"id", "object", "expires_at"}
"""Fields which the service sends and the published request type leaves out."""


@lru_cache(maxsize=1)
def server_events() -> dict[str, type[BaseModel]]:
    """Return the vendor's model of every server event by its ``type``."""
    union = get_args(RealtimeServerEvent)[0]
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(union)}


def check_frame(event: dict[str, Any]) -> None:
    """Assert that one server event is of the published shape: required fields, values, no unknown fields."""
    kind = event["type"]
    model = server_events()[kind].model_validate(event)
    extras = {path for path in _extras(model, "") if not _allowed(path)}
    assert not extras, f"{kind} has unpublished fields {extras}"


def _allowed(path: str) -> bool:
    return path.startswith("session.") and path.removeprefix("session.") in SESSION_EXTRAS


def _extras(value: Any, path: str) -> set[str]:
    found: set[str] = set()
    if isinstance(value, BaseModel):
        found |= {f"{path}{name}" for name in value.model_extra or {}}
        for name in type(value).model_fields:
            found |= _extras(getattr(value, name), f"{path}{name}.")
    elif isinstance(value, list):
        for member in value:
            found |= _extras(member, path)
    return found


class WireClient:
    """Sends client events, reads server events; keeps all it read in ``log``."""

    def __init__(self, socket: ClientConnection, *, ordered: bool = True) -> None:
        self.socket = socket
        self._order = OrderOracle() if ordered else None
        self.log: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(GUARD_S):
            event: dict[str, Any] = json.loads(await self.socket.recv())
        check_frame(event)
        if self._order is not None:
            self._order.take(event)
        self.log.append(event)
        return event

    async def until(self, kind: str, match: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
        """Read on to the next event of this type (that matches)."""
        while True:
            event = await self.read()
            if event["type"] == kind and (match is None or match(event)):
                return event

    async def ask(self, kind: str, answer: str, **fields: Any) -> dict[str, Any]:
        await self.send(kind, **fields)
        return await self.until(answer)

    async def refused(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send an event that must be refused; return the error object."""
        event = await self.ask(kind, "error", **fields)
        return event["error"]

    async def session(self, **fields: Any) -> dict[str, Any]:
        """Update the session; return the session object."""
        event = await self.ask("session.update", "session.updated", session={"type": "realtime", **fields})
        return event["session"]

    async def phone(
        self, *, create: bool = True, interrupt: bool = True, prompt: str | None = None, **vad: Any
    ) -> None:
        """Set the session up as a telephone call: µ-law both ways, transcription, server VAD."""
        detection = {
            "type": "server_vad",
            "create_response": create,
            "interrupt_response": interrupt,
            "silence_duration_ms": 300,
            **vad,
        }
        transcription = {"model": "embedded"} | ({"prompt": prompt} if prompt else {})
        line = {"type": "audio/pcmu"}
        audio_in = {"format": line, "transcription": transcription, "turn_detection": detection}
        await self.session(audio={"input": audio_in, "output": {"format": line}})

    async def say(self, *pieces: bytes) -> None:
        """Append audio in 20 ms events, as a phone bridge does."""
        for piece in pieces:
            for at in range(0, len(piece), 160):
                audio = base64.b64encode(piece[at : at + 160]).decode()
                await self.send("input_audio_buffer.append", audio=audio)

    async def settle(self) -> list[dict[str, Any]]:
        """Return everything sent up to now: an unknown item is asked for, and its refusal waited for."""
        start = len(self.log)
        await self.send("conversation.item.retrieve", item_id="nowhere", event_id="settle")
        await self.until("error", lambda event: event["error"]["event_id"] == "settle")
        return self.log[start:-1]

    def kinds(self, start: int = 0) -> list[str]:
        return [event["type"] for event in self.log[start:]]


def quiet(ms: int) -> bytes:
    """Return silence as µ-law."""
    return b"\xff" * (ms * 8)


def voice(ms: int, hertz: float = 300.0, level: int = 9000) -> bytes:
    """Return a tone as µ-law, which the energy detector takes for speech."""
    step = 2 * math.pi * hertz / 8000
    pcm = array("h", (round(level * math.sin(step * n)) for n in range(ms * 8))).tobytes()
    return encode(pcm, "audio/pcmu")


def keypad(ms: int, low: float = 770.0, high: float = 1336.0) -> bytes:
    """Return the keypad tone 5 as µ-law."""
    steps = 2 * math.pi * low / 8000, 2 * math.pi * high / 8000
    pcm = array("h", (round(sum(6000 * math.sin(step * n) for step in steps)) for n in range(ms * 8)))
    return encode(pcm.tobytes(), "audio/pcmu")


@asynccontextmanager
async def talking(
    config: EngineConfig | None = None, parts: Parts | None = None, query: str = "?model=test"
) -> AsyncIterator[WireClient]:
    """Start an engine (with fakes, unless other parts are given), connect, read ``session.created``."""
    config = config or EngineConfig(seed=1, pace=0)
    async with await start_engine(config, parts or FakeParts()) as engine:
        await engine.ready()
        async with connect(engine.url + query, compression=None, max_queue=None) as socket:
            client = WireClient(socket, ordered=not config.faults)
            await client.until("session.created")
            yield client


class Gate:
    """Lets a voice speak one chunk for each :meth:`open`."""

    def __init__(self) -> None:
        self._permits = asyncio.Semaphore(0)

    def open(self, chunks: int = 1) -> None:
        for _ in range(chunks):
            self._permits.release()

    async def stream(self) -> AsyncIterator[None]:
        while True:
            await self._permits.acquire()
            yield None
