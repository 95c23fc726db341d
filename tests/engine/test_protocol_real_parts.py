"""The whole engine with its own ears and voice: a synthetic caller is heard, answered and may interrupt."""

from __future__ import annotations

import base64
import importlib.util

import pytest

from tests.engine.protocol_client import WireClient, quiet, talking
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.wire_audio import encode, wire_ms

MISSING = [
    name for name in ("numpy", "pocketsphinx", "espeakng_loader") if importlib.util.find_spec(name) is None
]
pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(bool(MISSING), reason=f"needs voiceagent[embedded]: {MISSING}"),
]


async def spoken(text: str) -> bytes:
    from voiceagent.engine.tts.caller import synthesize

    return encode(await synthesize(text, "rms"), "audio/pcmu")


async def turn(client: WireClient, text: str) -> str:
    """Say something; return what was heard."""
    await client.say(quiet(600), await spoken(text), quiet(1200))
    heard = await client.until("conversation.item.input_audio_transcription.completed")
    return heard["transcript"]


async def test_a_conversation_with_real_ears_and_a_real_voice() -> None:
    from voiceagent.engine.parts import build_parts

    async with talking(EngineConfig(pace=0), build_parts()) as client:
        await client.phone(create=False, prompt="Expect one of: billing; opening hours; goodbye.")
        await client.send(
            "response.create", response={"instructions": 'Say "Hello. How can I help you today?"'}
        )
        done = await client.until("response.done")
        assert done["response"]["status"] == "completed"
        sound = b"".join(
            base64.b64decode(event["delta"])
            for event in client.log
            if event["type"] == "response.output_audio.delta"
        )
        assert 1000 < wire_ms(len(sound), "audio/pcmu") < 6000
        await client.say(quiet(4000))  # the greeting's playback ends
        assert await turn(client, "opening hours") == "opening hours"
        await client.phone(create=False, prompt="Expect yes or no.")
        assert await turn(client, "yes please") in ("yes", "yes please")
