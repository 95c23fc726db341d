"""What a broken or hostile provider may send: mutations of a real conversation, and bombs."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.kit.scripted_provider import Reply, ScriptedProvider

BOMBS = [
    "",
    "null",
    "[]",
    "NaN",
    '"text"',
    "[" * 50_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    '{"type":"response.created","response":' + '{"a":' * 900 + "1" + "}" * 900 + "}",
    '{"type":NaN}',
    '{"type":"response.done","response":{"id":"resp_1","status":NaN,"usage":Infinity}}',
    '{"type":"conversation.item.truncated","item_id":"x","audio_end_ms":-Infinity,"content_index":1e400}',
    '{"type":"conversation.item.truncated","item_id":"x","audio_end_ms":' + "9" * 4000 + "}",
    '{"type":"session.updated","session":{"expires_at":NaN}}',
    '{"type":"session.created","session":{"expires_at":1e308,"audio":{"input":[],"output":"x"}}}',
    '{"type":"session.updated","session":{"expires_at":true,"audio":null,"turn_detection":7}}',
    '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"%%%"}',
    '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"QQ"}',
    '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"QQ=="}',
    '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":""}',
    '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":["QUJD"]}',
    '{"type":"response.output_audio.delta","response_id":"\\ud800","item_id":"\\udfff","delta":"QUJD"}',
    '{"type":"error","error":[]}',
    '{"type":"error"}',
    '{"type":"error","error":{"code":{"a":1},"message":null,"event_id":7,"param":[]}}',
    '{"type":"response.done"}',
    '{"type":"response.done","response":{"id":null,"output":[1,null,{"type":"function_call"}]}}',
    '{"type":"response.done","response":{"output":{"a":1},"metadata":[1],"status_details":"x"}}',
    '{"type":"conversation.item.added","item":{"id":"i"},"previous_item_id":"i"}',
    '{"type":"conversation.item.added","item":{"id":"j","content":"x"},"previous_item_id":"gone"}',
    '{"type":"conversation.item.deleted","item_id":"i"}',
    '{"type":"input_audio_buffer.dtmf_event_received","event":"\\u0665"}',
    '{"type":"input_audio_buffer.speech_started","audio_start_ms":1e300}',
    '{"type":"response.created","response":{"id":"resp_1","metadata":{"va.req":[],"va.try":"x"}}}',
    '{"type":"response.output_item.done","response_id":"r","item":{"id":"f","type":"function_call"}}',
]


def genuine() -> list[dict[str, Any]]:
    """Every event of a plain conversation, in order, as the scripted provider sends it."""
    provider = ScriptedProvider()
    provider.connected(lambda text: None, lambda code, reason: None)
    provider.take('{"type":"session.update","session":{"type":"realtime"}}')
    item = provider.speech_started()
    provider.speech_stopped(item)
    provider.transcribed(item, "hello")
    for calls in ((), (("c1", "look", "{}"),)):
        running = provider.respond(
            reply=Reply(audio_ms=400, first_after_s=0, gap_s=0, calls=calls, hang=True)
        )
        assert provider.active is not None
        provider.cancel(provider.active, "client_cancelled")
        provider.emit("conversation.item.truncated", item_id=running, content_index=0, audio_end_ms=10)
    provider.error("invalid_value", "no", event_id="e1")
    return provider.sent


def junk(dice: random.Random) -> Any:
    return dice.choice(
        [None, True, -1, 10**30, 0.5, "", "x", "\ud800", [], {}, [[]], {"id": {}}, "A" * 5000, float("nan")]
    )


def broken(event: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Change, drop or transplant one value anywhere in the event."""
    copy: dict[str, Any] = json.loads(json.dumps(event))
    place: Any = copy
    while True:
        key = dice.choice(list(place)) if isinstance(place, dict) and place else None
        if key is None:
            break
        if isinstance(place[key], dict) and place[key] and dice.random() < 0.7:
            place = place[key]
            continue
        if dice.random() < 0.3:
            del place[key]
        else:
            place[key] = junk(dice)
        break
    return copy


def storm(seed: int, count: int) -> Iterator[str]:
    """Yield ``count`` frames: genuine, reordered, repeated, broken, cut, flipped, unknown, and bombs."""
    dice = random.Random(seed)
    events = genuine()
    audio = base64.b64encode(dice.randbytes(321)).decode()
    for _ in range(count):
        event = dice.choice(events)
        match dice.randrange(8):
            case 0 | 1:
                yield json.dumps(event)
            case 2 | 3:
                yield json.dumps(broken(event, dice))
            case 4:
                text = json.dumps(event)
                yield text[: dice.randrange(len(text))]
            case 5:
                text = bytearray(json.dumps(event).encode())
                text[dice.randrange(len(text))] ^= 1 << dice.randrange(7)
                yield text.decode("utf-8", "replace")
            case 6:
                yield json.dumps({"type": f"brand.new.{dice.randrange(10_000)}", "delta": audio})
            case _:
                yield dice.choice(BOMBS)
