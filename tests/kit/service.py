"""A whole service on free loopback ports, with a tone for a voice and a recogniser that hears nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from voiceagent.app.service import Service
from voiceagent.settings import bare_settings

PATIENT: dict[str, Any] = {
    "call.overload_lag_ms": 0,
    "call.connect_timeout_s": 30,
    "call.filler_s": 0,
    "call.patience_s": 0,
    "call.give_up_s": 60,
    "cluster.command_timeout_s": 30,
    "sip.stream.handshake_s": 30,
    "sip.stream.connect_s": 30,
    "sip.stream.first_message_s": 30,
    "sip.stream.message_s": 30,
}
"""What a busy test machine must not be taken for: an overload, a provider or a node that is away."""


@asynccontextmanager
async def service(folder: Path, **settings: Any) -> AsyncIterator[Service]:
    """Start a service; ``settings`` are dotted names with ``__`` for the dot."""
    flags: dict[str, Any] = {
        "journal_dir": str(folder / "journals"),
        "sip.port": 0,
        "console.port": 0,
        "media.port_low": 30000,
        "media.port_high": 31999,
        "realtime.provider": "embedded",
        "engine.voice": "tone",
        "engine.recogniser": "canned",
        "engine.vad": "energy",
        "call.no_input_s": 1.0,
        "recording.format": "wav",
        **PATIENT,
    }
    flags.update({name.replace("__", "."): value for name, value in settings.items()})
    async with Service(bare_settings(flags)) as running:
        await running.ready()
        yield running


@asynccontextmanager
async def operator(running: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the console with the operator's token."""
    assert running.addresses is not None
    headers = {"Authorization": f"Bearer {running.addresses.console_token}"}
    async with httpx.AsyncClient(
        base_url=running.addresses.console or "", headers=headers, timeout=60
    ) as client:
        yield client


async def events(client: httpx.AsyncClient, after: str = "") -> AsyncGenerator[tuple[str, str, Any]]:
    """Yield type, id and data of what a node streams."""
    headers = {"Last-Event-ID": after} if after else {}
    async with client.stream("GET", "/v1/events", headers=headers) as answer:
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                fields = {}


async def until(condition: Callable[[], object], *, within_s: float = 45.0) -> None:
    """Wait for something that happens on real sockets; fails loudly after ``within_s``."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what happens is on the far side of a socket
            await asyncio.sleep(0.01)
