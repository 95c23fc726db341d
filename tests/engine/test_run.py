"""Starting and stopping: the port is open before the parts are warm; failures are told, not hidden."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.engine.protocol_client import WireClient
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import FakeParts, ToneVoice
from voiceagent.engine.run import serve_forever, start_engine
from voiceagent.errors import ConfigError, VoiceAgentError


class SlowVoice(ToneVoice):
    def __init__(self, warm: asyncio.Event) -> None:
        super().__init__()
        self._warm = warm
        self.closed = False

    async def warm_up(self) -> None:
        await self._warm.wait()

    async def close(self) -> None:
        self.closed = True


async def test_the_port_is_open_while_the_parts_warm_up() -> None:
    warm = asyncio.Event()
    speaker = SlowVoice(warm)
    async with (
        await start_engine(EngineConfig(pace=0), FakeParts(voice=speaker)) as engine,
        connect(engine.url, compression=None, max_queue=None) as link,
    ):
        client = WireClient(link)
        await client.until("session.created")
        await client.session(instructions="Be brief.")
        await client.send("response.create")
        await client.until("response.created")
        assert await client.settle() == [], "the first words wait for the warm voice"
        warm.set()
        assert (await client.until("response.done"))["response"]["status"] == "completed"
    assert speaker.closed


class MuteVoice(ToneVoice):
    async def warm_up(self) -> None:
        raise VoiceAgentError("the voice's worker died")


@pytest.mark.parametrize("setting", ["voice", "recogniser", "vad"])
async def test_an_unknown_part_is_named_before_the_port_is_opened(setting: str) -> None:
    chosen = {"voice": "tone", "recogniser": "canned", "vad": "energy"} | {setting: "no-such-part"}
    with taken_port() as port, pytest.raises(ConfigError, match=rf"engine\.{setting}.*no-such-part"):
        await start_engine(EngineConfig(port=port, **chosen))


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that somebody else holds: whoever tries to listen there gets an OSError."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


async def test_parts_that_cannot_warm_up_fail_each_response(caplog: pytest.LogCaptureFixture) -> None:
    async with await start_engine(EngineConfig(), FakeParts(voice=MuteVoice())) as engine:
        async with connect(engine.url, compression=None) as link:
            client = WireClient(link)
            await client.until("session.created")
            await client.send("response.create")
            done = (await client.until("response.done"))["response"]
            assert done["status"] == "failed"
            assert "worker died" in done["status_details"]["error"]["message"]
            await client.session()
        with pytest.raises(Exception, match="worker died"):
            await engine.ready()
    assert "warm-up failed" in caplog.text


async def test_closing_ends_the_sessions_and_frees_the_port() -> None:
    engine = await start_engine(EngineConfig(), FakeParts())
    async with connect(engine.url, compression=None) as link:
        client = WireClient(link)
        await client.until("session.created")
        assert engine.server.sessions == 1
        port = engine.server.port
        await engine.close()
        with pytest.raises(ConnectionClosed):
            await client.read()
    assert engine.server.sessions == 0
    again = await start_engine(EngineConfig(port=port), FakeParts())
    with pytest.raises(OSError, match="address"):
        await start_engine(EngineConfig(port=port), FakeParts())
    await again.close()


async def test_serving_until_told_to_stop() -> None:
    stop = asyncio.Event()
    config = EngineConfig(voice="tone", recogniser="canned", vad="energy")
    serving = asyncio.ensure_future(serve_forever(config, stop))
    await asyncio.sleep(0)
    stop.set()
    await serving


def test_settings_are_checked() -> None:
    for wrong in ({"pace": -1.0}, {"chunk_ms": 5}, {"session_minutes": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            EngineConfig(**wrong)  # type: ignore[arg-type]
