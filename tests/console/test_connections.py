"""Floods of connections, readers who stand still, and WebSockets that break the bounds: on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import islice
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from voiceagent.console import connections as bounds
from voiceagent.console.connections import POLITE, BoundedSocket, Connections
from voiceagent.console.server import BACKLOG, ConsoleServer

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, PATIENCE_S, an_app


@pytest.fixture
async def served() -> AsyncIterator[Any]:
    servers: list[ConsoleServer] = []

    async def serve(**settings: Any) -> tuple[str, ConsoleServer]:
        directory = FakeDirectory()
        directory.put_call(a_call("c1"))
        server = ConsoleServer(an_app(directory, **settings), "127.0.0.1", 0)
        servers.append(server)
        return await server.start(), server

    yield serve
    for server in servers:
        await server.close()


def test_one_address_has_its_share_but_who_speaks_for_many_has_all() -> None:
    open_now = Connections(100, 3, proxies=["198.51.100.1"])
    assert [open_now.enter("192.0.2.1") for _ in range(4)] == [True, True, True, False]
    assert [open_now.enter(f"2001:db8::{n}") for n in range(4)] == [True, True, True, False]
    assert all(open_now.enter(peer) for peer in ["127.0.0.1", "::1", "198.51.100.1"] * 5)
    open_now.leave("192.0.2.1")
    assert open_now.enter("192.0.2.1")
    assert not open_now.enter("192.0.2.1")
    assert (len(open_now), open_now.refused) == (21, 3)


def test_all_together_have_a_bound_and_nothing_of_who_left_is_kept() -> None:
    open_now = Connections(100, 64)
    entered = [peer for n in range(300) if open_now.enter(peer := f"192.0.2.{n % 250}")]
    assert len(entered) == 100 + POLITE
    for peer in entered:
        open_now.leave(peer)
    assert len(open_now) == 0
    assert not open_now._open


@pytest.mark.loopback
async def test_a_flood_of_connections_takes_few_descriptors_and_passes(served: Any) -> None:
    url, server = await served(max_connections=20, header_deadline_s=60)
    watch = Watch(server)
    port = int(url.rpartition(":")[2])
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    for _ in range(400):
        held.append(await asyncio.open_connection("127.0.0.1", port))
        assert len(server.connections) <= 20 + POLITE
    ends = [asyncio.create_task(reader.read(1)) for reader, _ in held]
    for early in islice(asyncio.as_completed(ends), 400 - 20 - POLITE):
        with suppress(ConnectionError):
            assert await asyncio.wait_for(early, PATIENCE_S) == b""  # closed, or reset
    assert server.connections.refused == 400 - 20 - POLITE
    for _, writer in held:
        writer.close()
    await asyncio.gather(*ends, return_exceptions=True)
    await watch.come_and_gone()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert (await client.get("/livez")).status_code == 200


def test_few_are_taken_at_once_before_they_can_be_turned_away() -> None:
    assert BACKLOG <= 128


@pytest.mark.loopback
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel must know how to end them")
async def test_a_reader_who_takes_nothing_is_ended(served: Any) -> None:
    url, server = await served(write_deadline_s=0.2)
    watch = Watch(server)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", int(url.rpartition(":")[2])))
    one = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    try:
        asking = asyncio.create_task(loop.sock_sendall(client, one * 200))
        await watch.come_and_gone()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    finally:
        client.close()


@pytest.mark.loopback
async def test_a_message_in_many_pieces_ends_the_socket(served: Any) -> None:
    url, server = await served()
    watch = Watch(server)
    where = f"{url.replace('http', 'ws', 1)}/v1/calls/c1/listen"
    async with connect(where, additional_headers=BEARER) as ws:
        ws.transport.write(Frame(Opcode.BINARY, b"", fin=False).serialize(mask=True))
        ws.transport.write(Frame(Opcode.CONT, b"", fin=False).serialize(mask=True) * 1000)
        with pytest.raises(ConnectionClosed):
            while True:
                await asyncio.wait_for(ws.recv(), PATIENCE_S)
    await watch.come_and_gone()


@pytest.mark.loopback
async def test_pings_whose_answers_nobody_reads_end_the_socket(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "BACKLOG_BYTES", 20_000)
    url, server = await served()
    where = f"{url.replace('http', 'ws', 1)}/v1/calls/c1/listen"
    async with connect(where, additional_headers=BEARER) as ws:
        ws.transport.pause_reading()
        ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 500
        async with asyncio.timeout(PATIENCE_S):
            while len(server.connections):
                ws.transport.write(ping)
                await asyncio.sleep(0)
        ws.transport.abort()


def test_what_is_bounded_of_uvicorn_is_still_there() -> None:
    assert "frames" in BoundedSocket.__init__.__code__.co_names
    assert hasattr(BoundedSocket, "handle_ping")


class Watch:
    """Says when somebody has come, and when nobody is left."""

    def __init__(self, server: ConsoleServer) -> None:
        self._come, self._empty = asyncio.Event(), asyncio.Event()
        open_now = server.connections
        enter, leave = open_now.enter, open_now.leave

        def entered(peer: str) -> bool:
            self._come.set()
            return enter(peer)

        def left(peer: str) -> None:
            leave(peer)
            if not len(open_now):
                self._empty.set()

        open_now.enter, open_now.leave = entered, left  # type: ignore[method-assign]

    async def come_and_gone(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._come.wait()
            await self._empty.wait()
