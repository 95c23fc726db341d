"""The listener: ports, closing, slow heads, on real loopback sockets."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.kit.ports import free_port
from voiceagent.console.server import ConsoleServer
from voiceagent.errors import ConfigError

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, an_app

pytestmark = pytest.mark.loopback


@pytest.fixture
async def served() -> AsyncIterator[Any]:
    servers: list[ConsoleServer] = []

    async def serve(directory: FakeDirectory, **settings: Any) -> tuple[str, ConsoleServer]:
        server = ConsoleServer(an_app(directory, **settings), "127.0.0.1", 0)
        servers.append(server)
        return await server.start(), server

    yield serve
    for server in servers:
        await server.close()


async def test_serves_on_any_free_port_and_leaves_signals_alone(served: Any) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    url, _ = await served(FakeDirectory())
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        answer = await client.get("/livez")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert "server" not in answer.headers


async def test_a_port_in_use_is_named(served: Any) -> None:
    url, _ = await served(FakeDirectory())
    port = int(url.rpartition(":")[2])
    second = ConsoleServer(an_app(FakeDirectory()), "127.0.0.1", port)
    with pytest.raises(ConfigError) as found:
        await second.start()
    assert found.value.setting == "console.port"
    await second.close()


async def test_an_address_that_is_not_ours_is_named() -> None:
    server = ConsoleServer(an_app(FakeDirectory()), "192.0.2.1", 0)
    with pytest.raises(ConfigError) as found:
        await server.start()
    assert found.value.setting == "console.host"


async def test_closing_says_goodbye_to_live_streams(served: Any) -> None:
    directory = FakeDirectory()
    url, server = await served(directory)
    async with (
        httpx.AsyncClient(base_url=url, headers=BEARER, timeout=60) as client,
        client.stream("GET", "/v1/events") as answer,
    ):
        lines = answer.aiter_lines()
        async for line in lines:
            if line == "event: snapshot":
                break
        directory.put_call(a_call("c1"))
        closing = asyncio.create_task(server.close())
        rest = [line async for line in lines]
        await closing
    assert "event: call.started" in rest
    assert "event: bye" in rest
    assert directory.readers == 0


async def test_a_head_that_drips_is_cut_off(served: Any) -> None:
    url, _ = await served(FakeDirectory(), header_deadline_s=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_a_silent_connection_is_cut_off_and_a_second_slow_head_too(served: Any) -> None:
    url, _ = await served(FakeDirectory(), header_deadline_s=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    # Long enough that the first, whole head is not late itself, however busy the machine is.
    url, _ = await served(FakeDirectory(), header_deadline_s=2.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
    writer.write(b"GET /li")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_an_oversized_head_is_refused(served: Any) -> None:
    url, _ = await served(FakeDirectory())
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        answer = await client.get("/livez", headers={"X-Long": "x" * 40_000})
    assert answer.status_code == 431


async def test_a_websocket_meets_the_same_door(served: Any) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    url, _ = await served(directory)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for path in ("/v1/events", "/v1/calls/c1/listen"):
            assert (await client.get(path, headers=upgrade)).status_code == 401
        refused = await client.get("/v1/calls/none/listen", headers={**upgrade, **BEARER})
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_call")


async def test_a_websocket_is_closed_with_the_console(served: Any) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    url, server = await served(directory)
    where = f"{url.replace('http', 'ws', 1)}/v1/calls/c1/listen"
    async with connect(where, additional_headers=BEARER) as ws:
        directory.listened[0].put(b"\x00" * 165)
        assert await ws.recv() == b"\x00" * 165
        closing = asyncio.create_task(server.close())
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1012
        await closing
    assert directory.listened[0].ended == "left"


async def test_a_message_too_large_for_sound_is_refused(served: Any) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    url, _ = await served(directory)
    where = f"{url.replace('http', 'ws', 1)}/v1/calls/c1/listen"
    async with connect(where, additional_headers=BEARER) as ws:
        await ws.send(b"\x00" * 5000)
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1009


async def test_it_closes_twice_and_frees_its_port() -> None:
    port = free_port()
    server = ConsoleServer(an_app(FakeDirectory()), "127.0.0.1", port)
    await server.start()
    await server.close()
    await server.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system does not have it")
async def test_little_waits_in_the_system_for_a_reader_who_does_not_read(served: Any) -> None:
    """1.5 MB go into the buffers of loopback without this: what comes out of them later is long untrue."""
    directory = FakeDirectory()
    directory.put_call(a_call("c1"))
    url, server = await served(directory, stream_tick_s=0.0)
    streams = server.app.state.parts.streams
    loop = asyncio.get_running_loop()
    head = "".join(f"{name}: {value}\r\n" for name, value in BEARER.items())
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.setblocking(False)
        await loop.sock_connect(reader, ("127.0.0.1", int(url.rpartition(":")[2])))
        await loop.sock_sendall(reader, f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        await loop.sock_recv(reader, 1)
        for number in range(1500):
            directory.change("c1", step="x" * 200 + str(number))
            for _ in range(5):
                await asyncio.sleep(0)
    assert streams.dropped > 0
