"""Hosted calls: the provider hears and plays, we steer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.kit.provider_links import MemoryTransport
from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.virtual_loop import virtual
from tests.realtime.kit import Room
from voiceagent.errors import ConfigError
from voiceagent.realtime import model_events as me
from voiceagent.realtime.requests import InterruptedBy, OutcomeKind
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.sip_attach import OpenAIRealtimeSIPModel


@asynccontextmanager
async def attached(call_id: str = "rtc_1") -> AsyncIterator[tuple[Room, list[str]]]:
    server = ScriptedProvider(audio_format={"type": "audio/pcmu"})
    urls: list[str] = []
    transports: list[MemoryTransport] = []

    async def opener(url: str, headers: Mapping[str, str], **_: Any) -> MemoryTransport:
        urls.append(url)
        transports.append(server.transport())
        return transports[-1]

    model = OpenAIRealtimeSIPModel(call_id=call_id, api_key="k", transport=opener)
    session = RealtimeSession(model=model)
    room = Room(session, model, server, transports=transports)
    session.add_listener(room.events.append)
    async with session:
        yield room, urls


@virtual
async def test_attaching_changes_nothing() -> None:
    async with attached("rtc a/b&c") as (room, urls):
        await asyncio.sleep(1)
        assert urls == ["wss://api.openai.com/v1/realtime?call_id=rtc%20a%2Fb%26c"]
        assert room.provider.received == []


@virtual
async def test_completed_when_the_providers_buffer_is_empty() -> None:
    async with attached() as (room, _):
        room.provider.plans.append(Reply(audio_ms=3000, gap_s=0.01))
        handle = await room.session.create_response()
        await asyncio.sleep(0.1)
        assert handle.response_id is not None
        room.provider.buffer_started(handle.response_id)
        await asyncio.sleep(2.9)
        assert not handle.done
        room.provider.buffer_stopped()
        outcome = await handle.outcome()
        assert outcome.completed
        assert outcome.heard_text == "Hello there, how can I help you?"
        assert 2800 <= outcome.heard_ms <= 3000


@virtual
async def test_interrupt_cancels_by_id_and_then_clears_the_buffer() -> None:
    async with attached() as (room, _):
        room.provider.plans.append(Reply(audio_ms=9000, gap_s=0.1))
        handle = await room.session.create_response()
        await asyncio.sleep(0.2)
        assert handle.response_id is not None
        room.provider.buffer_started(handle.response_id)
        await asyncio.sleep(1.0)
        assert await room.session.interrupt() == handle.response_id
        outcome = await handle.outcome()
        assert (outcome.kind, outcome.by) == (OutcomeKind.INTERRUPTED, InterruptedBy.OPERATOR)
        assert 900 < outcome.heard_ms < 1100
        assert room.provider.types() == ["response.create", "response.cancel", "output_audio_buffer.clear"]
        assert room.provider.received[1]["response_id"] == handle.response_id


@virtual
async def test_interrupt_after_generation_only_clears() -> None:
    async with attached() as (room, _):
        room.provider.plans.append(Reply(audio_ms=4000, gap_s=0.0))
        handle = await room.session.create_response()
        await asyncio.sleep(0.1)
        assert handle.response_id is not None
        room.provider.buffer_started(handle.response_id)
        await asyncio.sleep(1)
        await room.session.interrupt()
        assert (await handle.outcome()).interrupted
        assert room.provider.types() == ["response.create", "output_audio_buffer.clear"]


@virtual
async def test_the_provider_truncates_and_tells_what_was_heard() -> None:
    async with attached() as (room, _):
        room.provider.session["audio"]["input"]["turn_detection"] = {
            "type": "server_vad",
            "create_response": False,
        }
        room.provider.plans.append(Reply(text="one two three four", audio_ms=4000, gap_s=0.0))
        handle = await room.session.create_response()
        await asyncio.sleep(0.1)
        assert handle.response_id is not None
        room.provider.buffer_started(handle.response_id)
        await asyncio.sleep(1.5)
        item_id = room.model.link.conversation.response(handle.response_id).items[0]
        room.provider.speech_started()
        room.provider.emit("conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=2000)
        room.provider.emit("output_audio_buffer.cleared", response_id=handle.response_id)
        outcome = await handle.outcome()
        assert outcome.by is InterruptedBy.CALLER
        assert (outcome.heard_ms, outcome.heard_text) == (2000, "one two")
        await asyncio.sleep(1)
        assert "conversation.item.truncate" not in room.provider.types()


@virtual
async def test_no_audio_can_be_sent() -> None:
    async with attached() as (room, _):
        with pytest.raises(ConfigError):
            room.session.send_audio(b"\xff" * 320)
        assert room.provider.appends == []


@virtual
async def test_digits_come_from_the_provider() -> None:
    async with attached() as (room, _):
        for digit in "12#":
            room.provider.emit("input_audio_buffer.dtmf_event_received", event=digit, received_at=1)
        await asyncio.sleep(0.1)
        assert "".join(event.digit for event in room.heard(me.RealtimeModelDtmfEvent)) == "12#"


def test_a_call_id_is_needed() -> None:
    with pytest.raises(ConfigError):
        OpenAIRealtimeSIPModel(call_id="", api_key="k")


def test_an_own_address_keeps_its_path() -> None:
    model = OpenAIRealtimeSIPModel(
        call_id="c", url="ws://127.0.0.1:1/v1/realtime?model=x", provider="embedded"
    )
    assert model.address() == "ws://127.0.0.1:1/v1/realtime?call_id=c"
