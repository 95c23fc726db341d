"""A client we did not write: the vendor's own SDK holds a conversation with the embedded provider."""

from __future__ import annotations

import base64

import pytest
from openai import AsyncOpenAI

from tests.engine.protocol_client import quiet, voice
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import CannedRecogniser, FakeParts
from voiceagent.engine.run import start_engine

pytestmark = pytest.mark.loopback
TOOL = {
    "type": "function",
    "name": "route_call",
    "description": "Route the call",
    "parameters": {
        "type": "object",
        "properties": {"to": {"type": "string", "enum": ["billing", "support"]}},
    },
}


async def test_the_vendors_sdk_holds_a_conversation() -> None:
    parts = FakeParts(recogniser=CannedRecogniser(["billing please"]))
    async with await start_engine(EngineConfig(pace=0, api_key="secret"), parts) as engine:
        client = AsyncOpenAI(api_key="secret", websocket_base_url=engine.url.removesuffix("/realtime"))
        async with client, client.realtime.connect(model="gpt-realtime") as link:
            first = await link.recv()
            assert first.type == "session.created"
            await link.session.update(
                session={
                    "type": "realtime",
                    "instructions": "Be brief.",
                    "tools": [TOOL],  # type: ignore[list-item]
                    "audio": {
                        "input": {
                            "format": {"type": "audio/pcmu"},
                            "transcription": {"model": "gpt-4o-transcribe"},
                            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
                        },
                        "output": {"format": {"type": "audio/pcmu"}},
                    },
                }
            )
            audio = quiet(300) + voice(500) + quiet(600)
            await link.input_audio_buffer.append(audio=base64.b64encode(audio).decode())
            seen: list[str] = []
            async for event in link:
                seen.append(event.type)
                if event.type == "response.done":
                    break
            output = event.response.output or []
            call = output[0]
            assert call.type == "function_call"
            assert (call.name, call.arguments) == ("route_call", '{"to": "billing"}')
            await link.conversation.item.create(
                item={"type": "function_call_output", "call_id": call.call_id or "", "output": '{"queue": 2}'}
            )
            await link.response.create()
            async for event in link:
                assert event.type != "error", event
                if event.type == "response.output_audio_transcript.done":
                    assert event.transcript == "The queue is 2."
                if event.type == "response.done":
                    break
            assert "conversation.item.input_audio_transcription.completed" in seen
