"""However much comes at once, the parser's own buffer becomes no larger than its largest frame needs."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from picows import WSTransport, ws_connect

from tests.kit.provider_links import serve
from tests.kit.scripted_provider import ScriptedProvider
from voiceagent.realtime import transport_picows
from voiceagent.realtime.read_portions import READ_BYTES, ReadPortions


class DoublingParser(asyncio.BufferedProtocol):
    """Frames of two bytes of length and so many bytes; its buffer grows as that of picows does."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(size)
        self.filled = 0
        self.frames: list[bytes] = []
        self.told: list[object] = []

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.memory)[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self.filled += nbytes
        size = len(self.memory)
        if 100 * self.filled // size > 90 or size - self.filled <= 256:
            self.memory = bytearray(self.memory + bytes(size))
        at = 0
        while self.filled - at >= 2:
            end = at + 2 + int.from_bytes(self.memory[at : at + 2])
            if end > self.filled:
                break
            self.frames.append(bytes(self.memory[at + 2 : end]))
            at = end
        self.memory[: self.filled - at] = self.memory[at : self.filled]
        self.filled -= at

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return False

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


def pour(protocol: asyncio.BufferedProtocol, data: bytes, dice: random.Random) -> None:
    """Let a socket read ``data``, as much at once as it likes."""
    at = 0
    while at < len(data):
        room = memoryview(protocol.get_buffer(-1))
        size = min(len(room), len(data) - at, dice.choice((1, 100, 5000, READ_BYTES)))
        room[:size] = data[at : at + size]
        at += size
        protocol.buffer_updated(size)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("largest", "buffer"), [(3000, 4096), (3680, 4096), (3690, 8192), (20_000, 32_768)])
def test_the_buffer_grows_with_a_frame_and_not_with_a_burst(seed: int, largest: int, buffer: int) -> None:
    dice = random.Random(seed)
    frames = [dice.randbytes(dice.choice((0, 20, largest // 2, largest))) for _ in range(200)]
    data = b"".join(len(frame).to_bytes(2) + frame for frame in frames)
    parser = DoublingParser(4096)
    pour(ReadPortions(parser), data, dice)
    assert parser.frames == frames
    assert len(parser.memory) <= buffer

    alone = DoublingParser(4096)
    pour(alone, data, dice)
    assert len(alone.memory) > buffer, "a burst is no burst"


def test_all_else_is_handed_on() -> None:
    parser, lost = DoublingParser(4096), OSError()
    portions = ReadPortions(parser)
    portions.pause_writing()
    portions.resume_writing()
    assert portions.eof_received() is False
    portions.connection_lost(lost)
    assert parser.told == ["pause", "resume", "eof", lost]


@pytest.mark.loopback
async def test_a_burst_over_a_real_socket_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    parsers: list[asyncio.BufferedProtocol] = []
    sockets: list[WSTransport] = []
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def portions(parser: asyncio.BufferedProtocol) -> ReadPortions:
        parsers.append(parser)
        return ReadPortions(parser)

    def connected(self: transport_picows.PicowsTransport, transport: WSTransport) -> None:
        sockets.append(transport)
        on_ws_connected(self, transport)

    class Ear:
        def frame_received(self, data: bytes | str) -> None:
            heard.put_nowait(data if isinstance(data, bytes) else data.encode())

        def transport_closed(self, code: int | None, reason: str) -> None:
            heard.put_nowait(reason.encode())

    async def connecting(*given: Any, extra_headers: dict[str, str], **more: Any) -> Any:
        headers.append(extra_headers)
        return await ws_connect(*given, extra_headers=extra_headers, **more)

    headers: list[dict[str, str]] = []
    monkeypatch.setattr(transport_picows, "ws_connect", connecting)
    on_ws_connected = transport_picows.PicowsTransport.on_ws_connected
    monkeypatch.setattr(transport_picows.PicowsTransport, "on_ws_connected", connected)
    monkeypatch.setattr(transport_picows, "ReadPortions", portions)
    sent = [b"%d " % number + b"x" * 2000 for number in range(300)]
    server = ScriptedProvider()
    async with asyncio.timeout(30), serve(server) as url:
        key = {"authorization": "Bearer sk-test"}
        transport = await transport_picows.open_picows(url, key, timeout_s=10, max_bytes=2**20)
        transport.listen(Ear())
        await heard.get()  # the session is created: the other side listens
        for frame in sent:
            server.emit_text(frame.decode())
        assert [await heard.get() for _ in sent] == sent
        (parser,) = parsers
        assert len(memoryview(parser.get_buffer(-1))) <= transport_picows.READ_BUFFER_BYTES
        (handshake,) = sockets
        assert not handshake.request.headers
        assert not handshake.response.headers
        assert headers == [{}], "the parser keeps it as long as the socket"
        transport.close()
        await transport.wait_closed()
