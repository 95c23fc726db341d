"""What we receive: every event the scripted provider can say, and everything that is no event at all."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.realtime import wire
from voiceagent.realtime import wire_events as we


def raw(**event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


DELTA = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": base64.b64encode(b"\x01\x02\x03").decode(),
}
EXPECTED = we.AudioDelta("resp_1", "item_1", 0, b"\x01\x02\x03")


def parsed_in_full(monkeypatch: pytest.MonkeyPatch, data: bytes) -> bool:
    seen: list[bytes] = []
    loads = json.loads
    monkeypatch.setattr(wire.json, "loads", lambda text: (seen.append(text), loads(text))[1])
    wire.decode(data)
    return bool(seen)


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(DELTA, separators=(",", ":")).encode(),
        json.dumps(DELTA).encode(),
        json.dumps({"event_id": "x", **DELTA}).encode(),
        json.dumps(
            {k: DELTA[k] for k in ("item_id", "response_id", "type", "content_index", "delta")}
        ).encode(),
    ],
    ids=["compact", "spaced", "id first", "another order"],
)
def test_plain_deltas_are_not_parsed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    assert wire.decode(data) == EXPECTED
    assert not parsed_in_full(monkeypatch, data)


@pytest.mark.parametrize(
    "event",
    [
        {"delta": DELTA["delta"], **{k: v for k, v in DELTA.items() if k != "delta"}},
        {**DELTA, "item_id": "item_1", "extra": {"nested": True}},
        {"usage": {"delta": "AAAA"}, **DELTA},
        {**DELTA, "obfuscation": "x"},
        {**DELTA, "type": "response.audio.delta"},
    ],
    ids=["delta first", "nested", "decoy", "unknown key", "preview name"],
)
def test_other_shapes_take_the_ordinary_road_to_the_same_end(event: dict[str, Any]) -> None:
    assert wire.decode(raw(**event)) == EXPECTED


def test_escapes_in_ids_are_decoded() -> None:
    decoded = wire.decode(raw(**{**DELTA, "item_id": 'it"em\\'}))
    assert isinstance(decoded, we.AudioDelta)
    assert decoded.item_id == 'it"em\\'


def test_text_that_looks_like_a_delta_is_text() -> None:
    text = '{"type":"response.output_audio.delta","delta":"AAAA"}'
    event = raw(
        type="response.output_audio_transcript.delta",
        response_id="r",
        item_id="i",
        content_index=0,
        delta=text,
    )
    assert wire.decode(event) == we.TextDelta("r", "i", 0, text, True, json.loads(event))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b"{", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[]", "not_object"),
        (b'"error"', "not_object"),
        (b"null", "not_object"),
        (b"{}", "no_type"),
        (b'{"type":7}', "no_type"),
        (b'{"type":"response.created"}', "malformed"),
        (b'{"type":"response.created","response":[]}', "malformed"),
        (b'{"type":"response.created","response":{"id":""}}', "malformed"),
        (b'{"type":"conversation.item.added","item":{"id":5}}', "malformed"),
        (b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i"}', "malformed"),
        (b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"A"}', "bad_audio"),
        (
            b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AA!="}',
            "bad_audio",
        ),
        (
            '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"ÄÄÄÄ"}'.encode(),
            "bad_audio",
        ),
        (
            b'{"type":"response.output_audio.delta","response_id":"r\xff","item_id":"i","delta":"AAAA"}',
            "not_json",
        ),
        (b'{"type":"input_audio_buffer.dtmf_event_received","event":"12"}', "malformed"),
        (b'{"type":"output_audio_buffer.started"}', "malformed"),
    ],
)
def test_what_is_no_event_is_told_and_never_raised(data: bytes, code: str) -> None:
    result = wire.decode(data)
    assert isinstance(result, we.BadFrame)
    assert result.code == code


def test_frames_past_the_limit_are_not_even_parsed() -> None:
    result = wire.decode(raw(**DELTA), max_bytes=100)
    assert isinstance(result, we.BadFrame)
    assert result.code == "too_large"
    assert wire.MAX_FRAME_BYTES == 2 * 1024 * 1024


def test_unknown_events_and_fields_are_data() -> None:
    event = wire.decode(b'{"type":"response.thought.delta","x":1}')
    assert event == we.UnknownEvent("response.thought.delta", {"type": "response.thought.delta", "x": 1})
    done = wire.decode(raw(type="response.done", response={"id": "r", "status": "dreaming", "new": {}}))
    assert isinstance(done, we.ResponseDoneEvent)
    assert done.status == "dreaming"


def test_both_shapes_of_an_error() -> None:
    nested = wire.decode(
        raw(type="error", error={"type": "t", "code": None, "message": "m", "event_id": "e"})
    )
    assert isinstance(nested, we.ErrorEvent)
    assert (nested.code, nested.message, nested.event_id, nested.kind) == (None, "m", "e", "t")
    flat = wire.decode(raw(type="error", code="c", message="m"))
    assert isinstance(flat, we.ErrorEvent)
    assert (flat.code, flat.message, flat.event_id) == ("c", "m", None)


def test_done_tells_status_reason_error_and_hint() -> None:
    event = wire.decode(
        raw(
            type="response.done",
            response={
                "id": "r",
                "status": "failed",
                "conversation_id": None,
                "status_details": {
                    "type": "failed",
                    "reason": "x",
                    "error": {"type": "server_error", "code": "rate_limit_exceeded", "retry_after": 1.5},
                },
                "metadata": {"a": "b", "n": 7},
                "output": [{"id": "i", "type": "message"}, 5],
                "usage": {"total_tokens": 3},
            },
        )
    )
    assert isinstance(event, we.ResponseDoneEvent)
    assert event.error_code == "rate_limit_exceeded"
    assert event.retry_after_s == 1.5
    assert event.out_of_band
    assert event.metadata == {"a": "b"}
    assert event.output == ({"id": "i", "type": "message"},)
    assert event.usage == {"total_tokens": 3}


def test_a_missing_conversation_id_means_the_default_conversation() -> None:
    event = wire.decode(raw(type="response.created", response={"id": "r"}))
    assert isinstance(event, we.ResponseCreatedEvent)
    assert not event.out_of_band


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"type": "input_audio_buffer.speech_started", "audio_start_ms": 12, "item_id": "i"},
            ("i", 12, True),
        ),
        ({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 99, "item_id": "i"}, ("i", 99, False)),
        ({"type": "input_audio_buffer.speech_started", "audio_start_ms": "soon"}, (None, 0, True)),
        ({"type": "input_audio_buffer.speech_started", "audio_start_ms": 1e400}, (None, 0, True)),
    ],
)
def test_caller_speech(event: dict[str, Any], expected: tuple[str | None, int, bool]) -> None:
    decoded = wire.decode(raw(**event))
    assert isinstance(decoded, we.InputSpeech)
    assert (decoded.item_id, decoded.audio_ms, decoded.started) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = sorted(wire._BUILDERS)  # pyright: ignore[reportPrivateUsage]
KEYS = st.sampled_from(
    [
        "response",
        "item",
        "session",
        "error",
        "delta",
        "item_id",
        "response_id",
        "id",
        "status",
        "output",
        "status_details",
        "metadata",
        "content_index",
        "audio_end_ms",
        "event",
        "usage",
        "transcript",
        "code",
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(KINDS), fields=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4))
)
def test_no_json_can_make_it_raise(kind: str, fields: dict[str, Any]) -> None:
    assert wire.decode(json.dumps({**fields, "type": kind})) is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_can_make_it_raise(data: bytes) -> None:
    assert wire.decode(data) is not None
    assert wire.decode(b'{"type":"response.output_audio.delta",' + data) is not None


@settings(max_examples=100, deadline=None)
@given(audio=st.binary(max_size=100), index=st.integers(0, 5), cut=st.integers(0, 400))
def test_both_roads_agree(audio: bytes, index: int, cut: int) -> None:
    event = {**DELTA, "content_index": index, "delta": base64.b64encode(audio).decode()}
    data = raw(**event)
    assert wire.decode(data) == wire.decode_object(event)
    broken = data[: min(cut, len(data) - 1)]
    assert isinstance(wire.decode(broken), we.BadFrame)
