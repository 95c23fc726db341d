"""What a strict server refuses, with which code, and that the session goes on afterwards."""

from __future__ import annotations

import base64
import http
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.engine.protocol_client import WireClient, quiet, talking
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import FakeParts
from voiceagent.engine.run import start_engine

AUDIO = base64.b64encode(quiet(20)).decode()

# (event, code, param)
REFUSED = [
    ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
    ({"type": "session.update"}, "missing_required_parameter", "session"),
    ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value", "session.type"),
    ({"type": "session.update", "session": {"type": 4}}, "invalid_type", "session.type"),
    ({"type": "session.update", "session": "x"}, "invalid_type", "session"),
    (
        {"type": "session.update", "session": {"type": "realtime", "voice": "ash"}},
        "unknown_parameter",
        "session.voice",
    ),
    (
        {"type": "session.update", "session": {"type": "realtime", "model": "other"}},
        "cannot_update_model",
        "session.model",
    ),
    (
        {"type": "session.update", "session": {"type": "realtime", "instructions": 1}},
        "invalid_type",
        "session.instructions",
    ),
    (
        {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text", "audio"]}},
        "invalid_value",
        "session.output_modalities",
    ),
    (
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}},
            },
        },
        "invalid_value",
        "session.audio.input.format.rate",
    ),
    (
        {
            "type": "session.update",
            "session": {"type": "realtime", "audio": {"output": {"format": {"type": "pcm16"}}}},
        },
        "invalid_value",
        "session.audio.output.format.type",
    ),
    (
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}},
            },
        },
        "unknown_parameter",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.5}}},
            },
        },
        "decimal_above_max_value",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        {"type": "session.update", "session": {"type": "realtime", "max_output_tokens": 5000}},
        "integer_above_max_value",
        "session.max_output_tokens",
    ),
    (
        {"type": "session.update", "session": {"type": "realtime", "tools": [{"type": "function"}]}},
        "missing_required_parameter",
        "session.tools[0].name",
    ),
    ({"type": "response.create", "response": None}, "invalid_type", "response"),
    ({"type": "response.create", "response": {"metadata": {"a": 1}}}, "invalid_type", "response.metadata.a"),
    (
        {"type": "response.create", "response": {"metadata": {f"k{n}": "v" for n in range(17)}}},
        "object_above_max_properties",
        "response.metadata",
    ),
    (
        {"type": "response.create", "response": {"metadata": {"k" * 65: "v"}}},
        "property_name_above_max_length",
        "response.metadata",
    ),
    (
        {"type": "response.create", "response": {"metadata": {"k": "v" * 513}}},
        "string_above_max_length",
        "response.metadata.k",
    ),
    (
        {"type": "response.create", "response": {"modalities": ["text"]}},
        "unknown_parameter",
        "response.modalities",
    ),
    (
        {"type": "response.create", "response": {"conversation": "other"}},
        "invalid_value",
        "response.conversation",
    ),
    (
        {"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "item_x"}]}},
        "invalid_value",
        "response.input[0].id",
    ),
    ({"type": "response.cancel"}, "response_cancel_not_active", None),
    ({"type": "response.cancel", "response_id": "resp_x"}, "response_cancel_not_active", None),
    ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
    ({"type": "input_audio_buffer.append", "audio": "***"}, "invalid_value", "audio"),
    ({"type": "input_audio_buffer.append", "audio": 7}, "invalid_type", "audio"),
    ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
    ({"type": "input_audio_buffer.append", "audio": AUDIO, "more": 1}, "unknown_parameter", "more"),
    ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
    ({"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id", "item_id"),
    ({"type": "conversation.item.retrieve", "item_id": "x"}, "item_retrieve_invalid_item_id", "item_id"),
    (
        {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 0},
        "item_truncate_invalid_item_id",
        "item_id",
    ),
    (
        {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": -1},
        "integer_below_min_value",
        "audio_end_ms",
    ),
    (
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": "c", "output": ""},
        },
        "invalid_tool_call_id",
        "item.call_id",
    ),
    (
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "role": "user", "content": [{"type": "output_text", "text": "x"}]},
        },
        "invalid_value",
        "item.content[0].type",
    ),
    (
        {"type": "conversation.item.create", "item": {"type": "message", "role": "robot", "content": []}},
        "invalid_value",
        "item.role",
    ),
    (
        {
            "type": "conversation.item.create",
            "previous_item_id": "nobody",
            "item": {"type": "message", "role": "user", "content": []},
        },
        "invalid_value",
        "previous_item_id",
    ),
    ({"type": "response.update"}, "invalid_value", "type"),
    ({"type": 3}, "invalid_type", "type"),
    ({}, "missing_required_parameter", "type"),
]


async def test_every_refusal_names_code_param_and_event_and_changes_nothing() -> None:
    async with talking() as client:
        before = await client.session()
        for number, (event, code, param) in enumerate(REFUSED):
            await client.socket.send(json.dumps({**event, "event_id": f"evt_{number}"}))
            error = (await client.until("error"))["error"]
            assert (error["code"], error["param"]) == (code, param), event
            assert error["event_id"] == f"evt_{number}"
            assert error["message"]
        assert await client.session() == before
        assert client.kinds().count("error") == len(REFUSED)


@pytest.mark.parametrize("frame", ["{", "", "[]", "4", '"x"', "[" * 100_000])
async def test_frames_that_are_no_events(frame: str) -> None:
    async with talking() as client:
        await client.socket.send(frame)
        error = (await client.until("error"))["error"]
        assert error["code"] in ("invalid_json", "invalid_type")
        assert error["event_id"] is None
        await client.session()


async def test_the_event_id_can_be_withheld() -> None:
    async with talking(EngineConfig(seed=1, echo_event_id=False)) as client:
        error = await client.refused("response.cancel", event_id="mine")
        assert error["event_id"] is None


async def test_tolerant_mode_drops_unknown_fields() -> None:
    async with talking(EngineConfig(seed=1, strict=False)) as client:
        session = await client.session(voice="ash", model="other", instructions="Be brief.")
        assert "voice" not in session
        assert session["model"] == "test"
        assert session["instructions"] == "Be brief."


async def test_an_append_above_15_mib_is_refused_and_the_session_lives() -> None:
    async with talking() as client:
        audio = base64.b64encode(bytes(15 * 1024 * 1024 + 3)).decode()
        error = await client.refused("input_audio_buffer.append", audio=audio)
        assert error["code"] == "string_above_max_length"
        await client.session()


async def test_a_commit_needs_100_ms() -> None:
    async with talking() as client:
        await client.phone()
        await client.session(audio={"input": {"turn_detection": None}})
        await client.say(quiet(80))
        error = await client.refused("input_audio_buffer.commit")
        assert error["code"] == "input_audio_buffer_commit_empty"
        assert "80.00ms" in error["message"]
        await client.say(quiet(20))
        await client.ask("input_audio_buffer.commit", "input_audio_buffer.committed")


async def test_metadata_at_its_limits_is_taken_and_echoed() -> None:
    async with talking() as client:
        metadata = {f"{n:02}" + "k" * 62: "v" * 512 for n in range(16)}
        await client.send("response.create", response={"metadata": metadata, "instructions": '"Hi."'})
        created = await client.until("response.created")
        done = await client.until("response.done")
        assert created["response"]["metadata"] == done["response"]["metadata"] == metadata


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic c2VjcmV0", 401),
        ("Bearer sécret", 401),
        ("Bearer secret", 101),
    ],
)
async def test_the_key_is_checked_in_the_handshake(header: str | None, status: int) -> None:
    headers = {"Authorization": header} if header else {}
    async with await start_engine(EngineConfig(api_key="secret"), FakeParts()) as engine:
        if status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            async with connect(engine.url, additional_headers=headers, compression=None) as socket:
                await WireClient(socket).until("session.created")
        else:
            with pytest.raises(InvalidStatus) as refused:
                await connect(engine.url, additional_headers=headers, compression=None)
            assert refused.value.response.status_code == status


async def test_other_paths_are_not_found() -> None:
    async with await start_engine(EngineConfig(), FakeParts()) as engine:
        with pytest.raises(InvalidStatus) as refused:
            await connect(engine.url.replace("/v1/realtime", "/v2"))
        assert refused.value.response.status_code == http.HTTPStatus.NOT_FOUND
