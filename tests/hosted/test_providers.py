"""What each provider wants of a hosted call, frame by frame: differences are values, never branches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.provider_links import MemoryTransport
from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.virtual_loop import virtual
from tests.realtime.oracle import check_client_event
from voiceagent.errors import ConfigError
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.sip_attach import OpenAIRealtimeSIPModel

AZURE = "wss://res.openai.azure.com/openai/v1/realtime"
SOCKETS = {
    "openai": (None, "wss://api.openai.com/v1/realtime?call_id=rtc%201", {"Authorization": "Bearer key"}),
    "azure": (AZURE, AZURE + "?call_id=rtc%201", {"api-key": "key"}),
    "xai": (None, "wss://api.x.ai/v1/realtime?call_id=rtc%201", {"Authorization": "Bearer key"}),
    "embedded": (
        "ws://127.0.0.1:9/v1/realtime",
        "ws://127.0.0.1:9/v1/realtime?call_id=rtc%201",
        {"Authorization": "Bearer key"},
    ),
}
CONFIG = RealtimeSessionConfig(instructions="Be brief.", voice="ara", transcription={"model": "x"})


class Attached:
    """A control socket of one provider, in memory."""

    def __init__(self, name: str) -> None:
        self.server = ScriptedProvider(audio_format={"type": "audio/pcmu"})
        self.asked: list[tuple[str, Mapping[str, str]]] = []

        async def opener(url: str, headers: Mapping[str, str], **_: Any) -> MemoryTransport:
            self.asked.append((url, headers))
            return self.server.transport()

        url, *_ = SOCKETS[name]
        self.model = OpenAIRealtimeSIPModel(
            call_id="rtc 1", url=url, api_key="key", provider=name, transport=opener
        )
        self.session = RealtimeSession(model=self.model, config=CONFIG)


@pytest.mark.parametrize("name", SOCKETS)
def test_attach_speak_and_interrupt(name: str) -> None:
    @virtual
    async def story() -> None:
        attached = Attached(name)
        server = attached.server
        async with attached.session as session:
            _, address, headers = SOCKETS[name]
            assert attached.asked == [(address, headers)]
            before = list(server.received)
            server.plans.append(Reply(audio_ms=5000, gap_s=0.1))
            handle = await session.create_response(instructions="Greet.", metadata={"purpose": "greeting"})
            await asyncio.sleep(0.3)
            assert handle.response_id is not None
            server.buffer_started(handle.response_id)
            server.emit("ping", timestamp=1)
            await asyncio.sleep(0.5)
            await session.interrupt()
            outcome = await handle.outcome()
            assert outcome.interrupted
            frames = server.received[len(before) :]
            assert [frame["type"] for frame in frames] == [
                "response.create",
                "response.cancel",
                "output_audio_buffer.clear",
            ]
            assert frames[0]["response"] == {"instructions": "Greet.", "metadata": {"purpose": "greeting"}}
            assert frames[1]["response_id"] == handle.response_id
            for frame in frames:
                check_client_event(frame)
            assert attached.model.snapshot()["unknown_events"]["ping"] == 1
            with pytest.raises(ConfigError):
                session.send_audio(b"\xff" * 320)

    story()


@pytest.mark.parametrize("name", [name for name in SOCKETS if name != "xai"])
def test_what_was_accepted_over_rest_is_never_overwritten(name: str) -> None:
    @virtual
    async def story() -> None:
        attached = Attached(name)
        async with attached.session:
            await asyncio.sleep(1)
            assert attached.server.received == []

    story()


@virtual
async def test_where_attaching_is_the_acceptance_the_session_is_sent_once_in_its_own_layout() -> None:
    attached = Attached("xai")
    server = attached.server
    async with attached.session:
        assert server.types() == ["session.update"]
        sent = server.received[0]["session"]
        assert sent["voice"] == "ara"
        assert sent["turn_detection"]["type"] == "server_vad"
        assert "voice" not in sent["audio"].get("output", {})
        assert "format" not in sent["audio"].get("input", {})
        server.drop(1006)
        await asyncio.sleep(2)
        assert len(attached.asked) == 2
        assert server.types() == ["session.update"], "coming back does not configure again"


HOSTILE = (
    "",
    "null",
    "[]",
    "{",
    "[" * 100_000,
    '{"type": 5}',
    '{"type": "response.output_audio.delta", "delta": "%%%", "response_id": "r", "item_id": "i"}',
    '{"type": "response.done"}',
    '{"type": "response.done", "response": {"id": "r", "usage": NaN}}',
    '{"type": "output_audio_buffer.stopped"}',
    '{"type": "output_audio_buffer.stopped", "response_id": 7}',
    '{"type": "output_audio_buffer.cleared", "response_id": "never"}',
    '{"type": "input_audio_buffer.dtmf_event_received", "event": "99", "received_at": "x"}',
    '{"type": "input_audio_buffer.dtmf_event_received"}',
    '{"type": "response.created", "response": {"id": "x", "metadata": {"va.req": 5}}}',
)


@virtual
async def test_hostile_bytes_on_the_control_socket_harm_nothing() -> None:
    attached = Attached("openai")
    async with attached.session as session:
        for text in HOSTILE:
            attached.server.emit_text(text)
        await asyncio.sleep(20)
        attached.server.plans.append(Reply(text="Hello", audio_ms=500))
        handle = await session.create_response()
        await asyncio.sleep(0.2)
        assert handle.response_id is not None
        attached.server.buffer_started(handle.response_id)
        await asyncio.sleep(0.5)
        attached.server.buffer_stopped()
        assert (await handle.outcome()).completed
