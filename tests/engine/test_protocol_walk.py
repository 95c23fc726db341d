"""Random walks: any mix of client events leaves a session in order and never makes the server stumble."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from tests.engine.protocol_client import WireClient, quiet, talking, voice
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import CannedRecogniser, FakeParts, ToneVoice

STEPS = 200
TOOL = {
    "type": "function",
    "name": "route_call",
    "parameters": {
        "type": "object",
        "properties": {"to": {"type": "string", "enum": ["billing", "support"]}},
    },
}
DETECTION = [
    None,
    {"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 0},
    {"type": "server_vad", "silence_duration_ms": 0, "create_response": False},
    {"type": "server_vad", "interrupt_response": False, "idle_timeout_ms": 500},
    {"type": "semantic_vad", "eagerness": "high"},
]
LINES = ['Say "Hello there. I am here."', "Greet the caller.", "Route to billing.", "Explain everything.", ""]


class Walk:
    """One client that does what the dice say."""

    def __init__(self, client: WireClient, dice: random.Random) -> None:
        self.client = client
        self.dice = dice

    def known(self, field: str) -> str:
        """Return an id that the server has used, or one it never has."""
        seen = [event[field] for event in self.client.log if isinstance(event.get(field), str)]
        return self.dice.choice([*seen[-6:], "unknown"])

    def step(self) -> tuple[str, dict[str, Any]]:
        dice = self.dice
        audio = dice.choice([quiet(300), voice(300), quiet(100), voice(60), b""])
        options: list[tuple[str, dict[str, Any]]] = [
            ("input_audio_buffer.append", {"audio": base64.b64encode(audio).decode()}),
            ("input_audio_buffer.append", {"audio": base64.b64encode(audio).decode()}),
            ("input_audio_buffer.commit", {}),
            ("input_audio_buffer.clear", {}),
            ("response.create", {"response": self.response()}),
            ("response.create", {}),
            ("response.cancel", dice.choice([{}, {"response_id": self.known("response_id")}])),
            ("conversation.item.create", self.item()),
            ("conversation.item.delete", {"item_id": self.known("item_id")}),
            ("conversation.item.retrieve", {"item_id": self.known("item_id")}),
            (
                "conversation.item.truncate",
                {"item_id": self.known("item_id"), "content_index": 0, "audio_end_ms": dice.randrange(900)},
            ),
            ("session.update", {"session": self.session()}),
        ]
        return dice.choice(options)

    def response(self) -> dict[str, Any]:
        dice = self.dice
        wanted: dict[str, Any] = {
            "instructions": dice.choice(LINES),
            "conversation": dice.choice(["auto", "none"]),
            "metadata": {"step": str(dice.random())},
            "output_modalities": dice.choice([["audio"], ["text"]]),
            "tools": dice.choice([[], [TOOL]]),
            "tool_choice": dice.choice(["auto", "none", "required"]),
            "max_output_tokens": dice.choice(["inf", 8, 100]),
            "input": dice.choice([[], [{"type": "item_reference", "id": self.known("item_id")}]]),
        }
        return {name: value for name, value in wanted.items() if dice.random() < 0.4}

    def item(self) -> dict[str, Any]:
        content = [{"type": "input_text", "text": self.dice.choice(["billing", "hello", ""])}]
        items: list[dict[str, Any]] = [
            {"type": "message", "role": "user", "content": content},
            {"type": "message", "role": "system", "content": content},
            {"type": "function_call_output", "call_id": self.known("call_id"), "output": '{"ok": true}'},
        ]
        place = self.dice.choice(
            [{}, {"previous_item_id": self.known("item_id")}, {"previous_item_id": "root"}]
        )
        return {"item": self.dice.choice(items), **place}

    def session(self) -> dict[str, Any]:
        dice = self.dice
        form = {"type": dice.choice(["audio/pcmu", "audio/pcma"])}
        audio_in = {
            "format": form,
            "turn_detection": dice.choice(DETECTION),
            "transcription": dice.choice([None, {"model": "m"}]),
        }
        return {"type": "realtime", "audio": {"input": audio_in, "output": {"format": form}}, "tools": [TOOL]}


@pytest.mark.parametrize("seed", range(6))
async def test_a_random_walk(seed: int) -> None:
    dice = random.Random(seed)
    recogniser = CannedRecogniser(["billing", "", "hello", "one two three"])
    parts = FakeParts(recogniser=recogniser, voice=ToneVoice(ms_per_character=15))
    async with talking(EngineConfig(seed=seed, pace=0), parts) as client:
        walk = Walk(client, dice)
        await client.phone()
        for number in range(STEPS):
            kind, fields = walk.step()
            await client.send(kind, event_id=f"step_{number}", **fields)
            if dice.random() < 0.3:
                await client.settle()
        await client.send("input_audio_buffer.clear")
        await client.settle()
        created = [e["response"]["id"] for e in client.log if e["type"] == "response.created"]
        while client.kinds().count("response.done") < len(created):
            await client.until("response.done")
        ended = [e["response"]["id"] for e in client.log if e["type"] == "response.done"]
        assert sorted(created) == sorted(ended)
        assert len(created) > 10
        errors = [e["error"] for e in client.log if e["type"] == "error"]
        assert {error["type"] for error in errors} == {"invalid_request_error"}
        assert not [
            e for e in client.log if e["type"] == "response.done" and e["response"]["status"] == "failed"
        ]
