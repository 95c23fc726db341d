"""What we send: exact shapes, and the vendor's own types as judges."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.realtime.oracle import check_client_event
from voiceagent.errors import ConfigError, RequestRefused
from voiceagent.realtime import wire_frames as wf
from voiceagent.realtime.config import RealtimeSessionConfig, session_changes
from voiceagent.realtime.requests import Origin, ResponseRequest


def load(data: bytes) -> dict[str, Any]:
    return json.loads(data)


def test_bare_create_has_no_response_key_and_no_null() -> None:
    data = wf.create_frame(ResponseRequest(id="a", correlate=False), "e1")
    assert data == b'{"type":"response.create","event_id":"e1"}'
    assert b"null" not in data


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (ResponseRequest(id="a", instructions="Hi", correlate=False), {"instructions": "Hi"}),
        (ResponseRequest(id="a", metadata={"k": "v"}, correlate=False), {"metadata": {"k": "v"}}),
        (
            ResponseRequest(id="a", instructions="Hi", metadata={"k": "v"}, correlate=False),
            {"instructions": "Hi", "metadata": {"k": "v"}},
        ),
        (ResponseRequest(id="a", instructions="", correlate=False), {"instructions": ""}),
        (ResponseRequest(id="a", metadata={}, correlate=False), {"metadata": {}}),
        (ResponseRequest(id="a"), {"metadata": {"va.req": "a", "va.try": "3"}}),
        (
            ResponseRequest(id="a", metadata={"k": "v"}),
            {"metadata": {"k": "v", "va.req": "a", "va.try": "3"}},
        ),
        (
            ResponseRequest(id="a", out_of_band=True, correlate=False, extra={"output_modalities": ["text"]}),
            {"conversation": "none", "output_modalities": ["text"]},
        ),
        (
            ResponseRequest(
                id="a", instructions="ours", correlate=False, extra={"instructions": "theirs", "tools": []}
            ),
            {"instructions": "ours", "tools": []},
        ),
    ],
)
def test_create_carries_exactly_what_was_given(request_: ResponseRequest, response: dict[str, Any]) -> None:
    event = load(wf.create_frame(request_, "e1", 3))
    assert event == {"type": "response.create", "event_id": "e1", "response": response}
    check_client_event(event)


def test_a_request_and_its_metadata_are_left_alone() -> None:
    metadata = {"k": "v"}
    wf.create_frame(ResponseRequest(id="a", metadata=metadata), "e1")
    assert metadata == {"k": "v"}


@pytest.mark.parametrize(
    "data",
    [
        wf.create_frame(ResponseRequest(id="a", correlate=False), "e1"),
        wf.create_frame(
            ResponseRequest(
                id="a",
                origin=Origin.IVR,
                instructions="Grüße ✓",
                metadata={"call": "1"},
                extra={"tools": [{"type": "function", "name": "f", "parameters": {}}], "tool_choice": "auto"},
            ),
            "e1",
        ),
        wf.cancel_frame("resp_1", "e2"),
        wf.cancel_frame(None, "e2"),
        wf.truncate_frame("item_1", 0, 0, "e3"),
        wf.append_frame(b"\xff" * 320),
        wf.commit_frame("e4"),
        wf.input_clear_frame("e5"),
        wf.output_clear_frame("e6"),
        wf.item_create_frame(wf.message_item("hello", "user", "item_1"), "e7"),
        wf.item_create_frame(wf.message_item("hello", "system"), "e7", "item_0"),
        wf.item_create_frame(wf.message_item("hello", "assistant"), "e7"),
        wf.item_create_frame(wf.tool_output_item("call_1", "42", "item_2"), "e8"),
        wf.item_delete_frame("item_1", "e9"),
        wf.item_retrieve_frame("item_1", "e10"),
        wf.session_update_frame({"instructions": "Be brief."}, "e11"),
    ],
    ids=lambda data: json.loads(data)["type"],
)
def test_the_vendors_types_take_every_frame(data: bytes) -> None:
    check_client_event(load(data))


def test_the_oracle_can_say_no() -> None:
    with pytest.raises(AssertionError):
        check_client_event({"type": "response.cancel", "respnose_id": "x"})
    with pytest.raises(AssertionError):
        check_client_event({"type": "response.create", "response": None})


def test_append_is_what_json_would_have_made() -> None:
    audio = bytes(range(256))
    assert load(wf.append_frame(audio)) == {
        "type": "input_audio_buffer.append",
        "audio": base64.b64encode(audio).decode(),
    }


def test_lone_surrogates_do_not_break_a_frame() -> None:
    data = wf.create_frame(ResponseRequest(id="a", instructions="broken \ud800", correlate=False), "e1")
    assert load(data)["response"]["instructions"].startswith("broken")


@settings(max_examples=60, deadline=None)
@given(
    instructions=st.none() | st.text(max_size=40),
    metadata=st.none()
    | st.dictionaries(st.text(min_size=1, max_size=64), st.text(max_size=512), max_size=13),
    correlate=st.booleans(),
    oob=st.booleans(),
)
def test_any_create_survives_json(
    instructions: str | None, metadata: dict[str, str] | None, correlate: bool, oob: bool
) -> None:
    request = ResponseRequest(
        id="r", instructions=instructions, metadata=metadata, correlate=correlate, out_of_band=oob
    )
    event = load(wf.create_frame(request, "e"))
    response = event.get("response")
    assert ("response" not in event) == request.bare
    if response is not None:
        assert ("instructions" in response) == (instructions is not None)
        assert ("metadata" in response) == (metadata is not None or correlate)
        assert ("conversation" in response) == oob
        assert None not in response.values()
        assert len(response.get("metadata", {})) <= 16


# ── the session ─────────────────────────────────────────────────────────────────────────────────
def test_default_session_lets_flows_own_the_turns() -> None:
    session = RealtimeSessionConfig().to_session_update()
    assert session == {
        "type": "realtime",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "turn_detection": {
                    "type": "server_vad",
                    "create_response": False,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcmu"}},
        },
    }
    check_client_event(load(wf.session_update_frame(session, "e")))


def test_a_full_session_is_the_vendors() -> None:
    config = RealtimeSessionConfig(
        instructions="Be brief.",
        voice="marin",
        input_audio_format="audio/pcm",
        output_audio_format="audio/pcma",
        turn_detection={"type": "semantic_vad", "eagerness": "high"},
        transcription={"model": "gpt-4o-mini-transcribe", "language": "en"},
        noise_reduction={"type": "far_field"},
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        tool_choice="auto",
        output_modalities=["audio"],
        max_output_tokens="inf",
        speed=1.1,
        extra={"truncation": "auto", "audio": {"output": {"voice": "cedar"}}},
    )
    session = config.to_session_update()
    assert session["audio"]["output"]["voice"] == "cedar"
    assert session["audio"]["output"]["speed"] == 1.1
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    check_client_event(load(wf.session_update_frame(session, "e")))


def test_no_turn_detection_is_null() -> None:
    session = RealtimeSessionConfig(turn_detection=None).to_session_update()
    assert session["audio"]["input"]["turn_detection"] is None


def test_flat_layout_has_voice_and_turns_on_top() -> None:
    session = RealtimeSessionConfig(voice="ara").to_session_update(layout="flat")
    assert session["voice"] == "ara"
    assert session["turn_detection"]["type"] == "server_vad"
    assert "turn_detection" not in session["audio"]["input"]
    assert session_changes({"voice": "ara"}, layout="flat") == {"type": "realtime", "voice": "ara"}


def test_changes_name_only_what_changes() -> None:
    assert session_changes({"instructions": "x"}) == {"type": "realtime", "instructions": "x"}
    assert session_changes({"extra": {"tracing": "auto"}}) == {"type": "realtime", "tracing": "auto"}
    with pytest.raises(RequestRefused):
        session_changes({"playout": True})


def test_unknown_audio_formats_are_refused() -> None:
    with pytest.raises(ConfigError):
        RealtimeSessionConfig(input_audio_format="audio/opus")  # type: ignore[arg-type]
