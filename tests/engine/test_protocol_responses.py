"""Responses: order of events, endings, metadata, formats, parallel ones, truncation."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.engine.protocol_client import Gate, WireClient, talking
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import FakeParts, ToneVoice
from voiceagent.engine.wire_audio import wire_ms

AUDIO_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
    "rate_limits.updated",
]
TEXT_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
    "rate_limits.updated",
]
CALL_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
    "rate_limits.updated",
]
BALANCE = {"type": "function", "name": "get_balance", "parameters": {"type": "object", "properties": {}}}


def first_seen(kinds: list[str]) -> list[str]:
    return list(dict.fromkeys(kinds))


async def respond(client: WireClient, **response: Any) -> dict[str, Any]:
    """Create a response and return it as it ended."""
    await client.send("response.create", **({"response": response} if response else {}))
    done = await client.until("response.done")
    await client.until("rate_limits.updated")
    return done["response"]


def gated() -> tuple[FakeParts, Gate]:
    gate = Gate()
    return FakeParts(voice=ToneVoice(gate=gate.stream)), gate


async def test_an_audio_response_in_order() -> None:
    async with talking() as client:
        start = len(client.log)
        done = await respond(
            client, instructions='Say "Hello there. We are open." now.', metadata={"turn": "1"}
        )
        kinds = client.kinds(start)
        assert first_seen(kinds) == AUDIO_ORDER
        assert kinds.count("response.output_audio_transcript.delta") == 2
        second = len(kinds) - 1 - kinds[::-1].index("response.output_audio_transcript.delta")
        assert kinds[second - 1] == "response.output_audio.delta", (
            "the first sentence sounds before the second"
        )
        assert done["status"] == "completed"
        assert done["status_details"] is None
        assert done["metadata"] == {"turn": "1"}
        assert done["output"][0]["content"] == [
            {"type": "output_audio", "transcript": "Hello there. We are open."}
        ]
        assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + done["usage"]["output_tokens"]
        assert done["usage"]["output_token_details"]["audio_tokens"] > 0


@pytest.mark.parametrize(("form", "rate"), [("audio/pcm", 24000), ("audio/pcmu", 8000), ("audio/pcma", 8000)])
async def test_audio_lasts_as_long_as_the_voice_spoke(form: Any, rate: int) -> None:
    voice = ToneVoice()
    async with talking(parts=FakeParts(voice=voice)) as client:
        output = {"format": {"type": form} | ({"rate": rate} if form == "audio/pcm" else {})}
        done = await respond(
            client, instructions='"Opening hours are nine to five."', audio={"output": output}
        )
        deltas = [
            base64.b64decode(e["delta"]) for e in client.log if e["type"] == "response.output_audio.delta"
        ]
        length = wire_ms(sum(map(len, deltas)), form)
        assert length == pytest.approx(voice.length_ms("Opening hours are nine to five."), abs=10)
        assert all(wire_ms(len(delta), form) <= 200 for delta in deltas)
        assert done["audio"]["output"]["format"]["type"] == form


async def test_text_only() -> None:
    async with talking() as client:
        start = len(client.log)
        done = await respond(client, instructions='"Hello."', output_modalities=["text"])
        assert first_seen(client.kinds(start)) == TEXT_ORDER
        assert done["output"][0]["content"] == [{"type": "output_text", "text": "Hello."}]
        await client.session(audio={"output": {"voice": "cedar"}})  # no audio yet, so it may change


async def test_a_function_call_in_order_and_its_result_spoken() -> None:
    async with talking() as client:
        start = len(client.log)
        done = await respond(client, tools=[BALANCE], tool_choice="required")
        assert client.kinds(start) == CALL_ORDER
        call = done["output"][0]
        assert (call["type"], call["name"], json.loads(call["arguments"])) == (
            "function_call",
            "get_balance",
            {},
        )
        item = {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": '{"balance": "12 pounds"}',
        }
        await client.ask("conversation.item.create", "conversation.item.done", item=item)
        done = await respond(client)
        assert done["output"][0]["content"][0]["transcript"] == "The balance is 12 pounds."


async def test_a_second_response_is_refused_and_names_the_running_one() -> None:
    parts, gate = gated()
    async with talking(parts=parts) as client:
        await client.send("response.create", response={"instructions": '"One two three."'})
        running = (await client.until("response.created"))["response"]["id"]
        error = await client.refused("response.create", event_id="second")
        assert error["code"] == "conversation_already_has_active_response"
        assert running in error["message"]
        assert error["event_id"] == "second"
        gate.open(100)
        assert (await client.until("response.done"))["response"]["id"] == running
        assert (await respond(client))["status"] == "completed"


async def test_out_of_band_responses_run_beside_it() -> None:
    parts, gate = gated()
    async with talking(parts=parts) as client:
        await client.send("response.create", response={"instructions": '"One two three."'})
        default = (await client.until("response.created"))["response"]
        aside = await respond(
            client,
            conversation="none",
            output_modalities=["text"],
            instructions='"Yes."',
            metadata={"kind": "classify"},
            input=[],
        )
        assert aside["conversation_id"] is None
        assert default["conversation_id"]
        assert aside["metadata"] == {"kind": "classify"}
        item_id = aside["output"][0]["id"]
        error = await client.refused("conversation.item.retrieve", item_id=item_id)
        assert error["code"] == "item_retrieve_invalid_item_id", "an aside adds nothing to the conversation"
        gate.open(100)
        assert (await client.until("response.done"))["response"]["id"] == default["id"]


async def test_cancel_ends_it_once_with_nothing_after() -> None:
    parts, gate = gated()
    async with talking(parts=parts) as client:
        await client.send(
            "response.create", response={"instructions": '"One two three."', "metadata": {"a": "b"}}
        )
        gate.open(2)
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert done["metadata"] == {"a": "b"}
        assert done["output"][0]["status"] == "incomplete"
        assert first_seen(client.kinds(1)) == AUDIO_ORDER[:-1]
        gate.open(100)
        assert [event["type"] for event in await client.settle()] == ["rate_limits.updated"]
        assert (await client.refused("response.cancel"))["code"] == "response_cancel_not_active"


async def test_cancel_before_the_first_word_and_by_id() -> None:
    parts, gate = gated()
    async with talking(parts=parts) as client:
        await client.send("response.create", response={"instructions": '"One."'})
        running = (await client.until("response.created"))["response"]["id"]
        assert (await client.refused("response.cancel", response_id="resp_other"))["code"] == (
            "response_cancel_not_active"
        )
        await client.send("response.cancel", response_id=running)
        done = (await client.until("response.done"))["response"]
        assert (done["id"], done["status"]) == (running, "cancelled")
        gate.open(100)
        assert (await respond(client, instructions='"Two."'))["status"] == "completed"


async def test_max_output_tokens_makes_it_incomplete() -> None:
    async with talking() as client:
        text = "One two three four five six seven eight nine ten."
        done = await respond(client, instructions=f'"{text}"', max_output_tokens=40)
        assert done["status"] == "incomplete"
        assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        assert done["usage"]["output_tokens"] <= 40
        assert done["output"][0]["status"] == "incomplete"


async def test_a_failing_voice_fails_the_response_not_the_session() -> None:
    class Broken(ToneVoice):
        async def speak(self, text: str) -> AsyncIterator[bytes]:
            if "now" in text:
                raise RuntimeError("the voice broke")
            async for chunk in super().speak(text):
                yield chunk

    async with talking(parts=FakeParts(voice=Broken())) as client:
        done = await respond(client, instructions='"Speak now."')
        assert done["status"] == "failed"
        assert done["status_details"]["error"]["type"] == "server_error"
        assert "the voice broke" in done["status_details"]["error"]["message"]
        assert (await respond(client, instructions='"Again."'))["status"] == "completed"


async def test_the_voice_is_frozen_once_heard() -> None:
    async with talking() as client:
        await client.session(audio={"output": {"voice": "cedar"}})
        await respond(client, instructions='"Hello."')
        await client.session(audio={"output": {"voice": "cedar"}})
        frozen = {"type": "realtime", "audio": {"output": {"voice": "ash"}}}
        error = await client.refused("session.update", session=frozen)
        assert (error["code"], error["param"]) == ("cannot_update_voice", "session.audio.output.voice")
        error = await client.refused("response.create", response={"audio": {"output": {"voice": "ash"}}})
        assert error["code"] == "cannot_update_voice"


async def test_truncation() -> None:
    async with talking() as client:
        await client.phone()
        done = await respond(client, instructions='"Hello caller."')
        item_id = done["output"][0]["id"]
        spoken = len("Hello caller.") * 60
        where = {"item_id": item_id, "content_index": 0}
        error = await client.refused("conversation.item.truncate", **where, audio_end_ms=spoken + 50)
        assert error["code"] == "invalid_value"
        assert f"{spoken}ms is already shorter than {spoken + 50}ms" in error["message"]
        error = await client.refused(
            "conversation.item.truncate", item_id=item_id, content_index=1, audio_end_ms=0
        )
        assert error["param"] == "content_index"
        cut = await client.ask(
            "conversation.item.truncate", "conversation.item.truncated", **where, audio_end_ms=200
        )
        assert cut["audio_end_ms"] == 200
        error = await client.refused("conversation.item.truncate", **where, audio_end_ms=300)
        assert "200ms is already shorter" in error["message"]
        item = (
            await client.ask("conversation.item.retrieve", "conversation.item.retrieved", item_id=item_id)
        )["item"]
        assert item["content"] == [{"type": "output_audio"}], "the transcript of cut audio is gone"
        user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
        mine = (await client.ask("conversation.item.create", "conversation.item.done", item=user))["item"]
        error = await client.refused(
            "conversation.item.truncate", item_id=mine["id"], content_index=0, audio_end_ms=0
        )
        assert "Only model output audio" in error["message"]


async def test_items_keep_their_order() -> None:
    def message(text: str, item_id: str) -> dict[str, Any]:
        return {
            "id": item_id,
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }

    async with talking() as client:
        for name, after, previous in (
            ("b", None, None),
            ("c", None, "b"),
            ("a", "root", None),
            ("bb", "b", "b"),
        ):
            fields = {"previous_item_id": after} if after else {}
            await client.send("conversation.item.create", item=message(name, name), **fields)
            added = await client.until("conversation.item.added")
            assert (added["item"]["id"], added["previous_item_id"]) == (name, previous)
        error = await client.refused("conversation.item.create", item=message("again", "b"))
        assert "already exists" in error["message"]
        deleted = await client.ask("conversation.item.delete", "conversation.item.deleted", item_id="c")
        assert deleted["item_id"] == "c"
        done = await respond(client, output_modalities=["text"])
        assert "Bb." in done["output"][0]["content"][0]["text"], "the newest item left is answered"
        done = await respond(
            client,
            output_modalities=["text"],
            input=[{"type": "item_reference", "id": "a"}, message("new", "x")],
        )
        assert "New." in done["output"][0]["content"][0]["text"]


async def test_runs_with_a_seed_repeat_to_the_byte() -> None:
    async def run() -> list[dict[str, Any]]:
        async with talking(EngineConfig(seed=7, pace=0)) as client:
            await respond(client, instructions='"Hello. How are you?"', metadata={"a": "b"})
            await respond(client)
            for event in client.log:
                event.get("session", {}).pop("expires_at", None)
            return client.log

    assert await run() == await run()


async def test_a_session_ends_at_its_cap() -> None:
    from websockets.exceptions import ConnectionClosed

    async with talking(EngineConfig(seed=1, session_minutes=1e-4)) as client:
        error = (await client.until("error"))["error"]
        assert error["code"] == "session_expired"
        with pytest.raises(ConnectionClosed) as closed:
            await client.read()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
