"""A caller who hangs up while the provider is still shaking hands leaves no open socket behind."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voiceagent.realtime.transport_picows import open_picows
from voiceagent.realtime.transport_websockets import open_websockets

pytestmark = pytest.mark.loopback
OPENERS = [open_picows, open_websockets]
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class HesitantProvider:
    """Answers the handshake when it is told to, and notes when the client is gone."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.set()
        await self.answer.wait()
        found = re.search(r"(?im)^sec-websocket-key: *(\S+)", request)
        assert found is not None
        accept = base64.b64encode(hashlib.sha1((found[1] + MAGIC).encode()).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)  # until the client ends its side
        self.left.set()
        writer.close()


@asynccontextmanager
async def hesitant() -> AsyncIterator[HesitantProvider]:
    provider = HesitantProvider()
    async with await asyncio.start_server(provider.serve, "127.0.0.1", 0) as server:
        provider.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield provider
        provider.answer.set()


@pytest.mark.parametrize("opener", OPENERS)
async def test_a_socket_that_nobody_waits_for_any_more_is_closed(opener) -> None:
    async with hesitant() as provider, asyncio.timeout(60):
        opening = asyncio.create_task(opener(provider.url, {}, timeout_s=50, max_bytes=65536))
        await provider.asked.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        provider.answer.set()
        await provider.left.wait()


def test_an_opening_that_nobody_waits_for_any_more_ends_without_a_word() -> None:
    """On uvloop, cancelled for each of the first turns of the loop: one of them meets half a connection."""
    uvloop = pytest.importorskip("uvloop")
    told: list[dict[str, Any]] = []

    async def cancelled_early() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
        async with hesitant() as provider:
            for turns in range(12):
                opening = asyncio.create_task(open_picows(provider.url, {}, timeout_s=0.05, max_bytes=65536))
                for _ in range(turns):
                    await asyncio.sleep(0)
                opening.cancel()
                await asyncio.wait({opening})
            await asyncio.sleep(0.1)  # begun after the last time-out of those, so it ends after it
            gc.collect()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(cancelled_early())
    assert told == []


@pytest.mark.parametrize("opener", OPENERS)
async def test_a_socket_whose_opening_is_cancelled_in_the_moment_it_succeeds_is_closed(opener) -> None:
    """Cancelled for each of the first turns of the loop after the answer: one of them meets the success."""
    for turns in range(12):
        async with hesitant() as provider, asyncio.timeout(60):
            opening = asyncio.create_task(opener(provider.url, {}, timeout_s=50, max_bytes=65536))
            await provider.asked.wait()
            provider.answer.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            try:
                link = await opening
            except asyncio.CancelledError:
                pass
            else:
                link.close()
            await provider.left.wait()
