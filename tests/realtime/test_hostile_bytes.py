"""Whatever a provider sends, it harms its own link at most: nothing raises, nothing grows, nothing hangs."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.kit.hostile_provider import BOMBS, storm
from tests.kit.provider_links import serve
from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.virtual_loop import virtual, virtual_run
from tests.realtime.kit import Ear, open_room
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.frames import AUDIO_LANE_BYTES, WRITE_LIMIT_BYTES
from voiceagent.realtime.model_events import RealtimeModelResponseOutcomeEvent
from voiceagent.realtime.requests import ResponseRequest
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel


async def weather(seed: int, frames: int) -> None:
    """A storm over one session with requests of its own; another one beside it lives on."""
    async with open_room(close=False) as stricken, open_room() as calm:
        Ear(stricken)
        handles = []
        for number, text in enumerate(storm(seed, frames)):
            stricken.provider.emit_text(text)
            if number % 25 == 0:
                handles.append(stricken.session.submit(ResponseRequest(id=f"r{number}", instructions="x")))
            if number % 50 == 0:
                await asyncio.sleep(0.3)
        await asyncio.sleep(90)
        assert (await (await calm.session.create_response()).outcome()).completed
        assert len(stricken.model.link.inbound.unknown) <= 64
        assert not stricken.session.closed, "nothing of this is a reason to hang up"
        await stricken.session.close()
        assert all(handle.done for handle in handles)
        told = [event.request_id for event in stricken.heard(RealtimeModelResponseOutcomeEvent)]
        assert len(told) == len(set(told)), "an outcome was told twice"


@pytest.mark.parametrize("seed", range(10))
def test_a_storm(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        virtual_run(weather(seed, 2500))
    assert not caplog.records, caplog.text


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb[:40] or "empty")
def test_a_bomb(bomb: str, caplog: pytest.LogCaptureFixture) -> None:
    @virtual
    async def story() -> None:
        async with open_room() as room:
            room.provider.emit_text(bomb)
            await asyncio.sleep(0.1)
            assert (await (await room.session.create_response()).outcome()).completed

    with caplog.at_level(logging.ERROR):
        story()
    assert not caplog.records, caplog.text


@virtual
async def test_a_flood_of_unknown_events_keeps_no_memory_of_each() -> None:
    async with open_room() as room:
        room.quiet()
        for number in range(5000):
            room.provider.emit_text(f'{{"type":"flood.{number}"}}')
        await asyncio.sleep(0.1)
        assert len(room.model.link.inbound.unknown) == 64
        assert (await (await room.session.create_response()).outcome()).completed


@pytest.mark.loopback
@pytest.mark.parametrize("transport", ["websockets", "picows"])
async def test_a_reader_that_stalls_gets_the_newest_two_seconds(transport: str) -> None:
    """The provider reads nothing for a while: what waits for it is bounded, the oldest audio is lost."""
    server = ScriptedProvider()
    server.default = Reply(audio_ms=200, first_after_s=0.0, gap_s=0.0)
    async with serve(server) as url:
        config = RealtimeSessionConfig(input_audio_format="audio/pcmu", output_audio_format="audio/pcmu")
        model = OpenAIRealtimeWebSocketModel(url=url, provider="embedded", transport=transport)
        async with RealtimeSession(model=model, config=config) as session:
            most = sent = 0
            link = model.link
            # Without giving the loop a turn: nobody can read meanwhile, and the system's buffers fill up.
            while link.snapshot()["dropped"] < 500:
                for _ in range(500):
                    session.send_audio(b"\x55" * 160)
                sent += 500
                most = max(most, link.snapshot()["buffered"])
                assert sent < 400_000, "nothing is ever dropped"
            figures = link.snapshot()
            handle = await session.create_response(instructions="Still there?")
            assert (await asyncio.wait_for(handle.outcome(), 45)).completed
        # Our lanes and the socket's own buffer, with the frame that tipped it over.
        assert most <= AUDIO_LANE_BYTES + WRITE_LIMIT_BYTES + 2048
        assert figures["dropped"] >= 500
        assert sum(server.appends) <= sent * 160 - figures["dropped"] * 320, "two frames make an append"
