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
    parse = wire._json  # pyright: ignore[reportPrivateUsage]

    def watched(frame: bytes) -> object:
        seen.append(frame)
        return parse(frame)

    monkeypatch.setattr(wire, "_json", watched)
    wire.decode(data)
    return bool(seen)


WORDS = {**DELTA, "type": "response.output_audio_transcript.delta", "delta": " schöne Grüße 👋 "}


def spoken(text: str) -> we.TextDelta:
    return we.TextDelta("resp_1", "item_1", 0, text, True)


@pytest.mark.parametrize(
    ("event", "expected"), [(DELTA, EXPECTED), (WORDS, spoken(str(WORDS["delta"])))], ids=["audio", "text"]
)
@pytest.mark.parametrize("spaced", [False, True], ids=["compact", "spaced"])
@pytest.mark.parametrize(
    "order",
    [
        list(DELTA),
        ["event_id", *(key for key in DELTA if key != "event_id")],
        ["item_id", "response_id", "type", "content_index", "delta"],
    ],
    ids=["usual", "id first", "another order"],
)
def test_plain_deltas_are_not_parsed(
    monkeypatch: pytest.MonkeyPatch,
    order: list[str],
    spaced: bool,
    event: dict[str, Any],
    expected: we.ServerEvent,
) -> None:
    separators = None if spaced else (",", ":")
    data = json.dumps({key: event[key] for key in order}, separators=separators, ensure_ascii=False).encode()
    assert wire.decode(data) == expected == wire.decode_object(json.loads(data))
    assert not parsed_in_full(monkeypatch, data)


def test_the_padding_of_a_text_delta_is_no_reason_to_parse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = raw(**{**WORDS, "delta": "so", "obfuscation": "aB3xYz"})
    assert wire.decode(data) == spoken("so")
    assert not parsed_in_full(monkeypatch, data)


def test_text_without_a_voice() -> None:
    event = {**WORDS, "type": "response.output_text.delta", "delta": "so"}
    assert wire.decode(raw(**event)) == we.TextDelta("resp_1", "item_1", 0, "so", False)


def test_content_parts_are_told_apart_whatever_was_decoded_before() -> None:
    for number in range(3):
        for index in range(2):
            event = {**DELTA, "event_id": f"event_{number}", "content_index": index, "item_id": f"i{number}"}
            assert wire.decode(raw(**event)) == we.AudioDelta("resp_1", f"i{number}", index, b"\x01\x02\x03")
            assert wire.decode(raw(**{**event, "type": WORDS["type"], "delta": "so"})) == we.TextDelta(
                "resp_1", f"i{number}", index, "so", True
            )


HEAD = '{"type":"response.output_audio_transcript.delta","response_id":"r","item_id":"i"'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD + ',"delta":"a\\nb"}', "a\nb"),
        (HEAD + ',"delta":"a","delta":"b"}', "b"),
        (HEAD + ',"delta":"a","item_id":"i"}', "a"),
        (HEAD + ',"event_id":"x\\"","delta":"a"}', "a"),
        (HEAD + ',"event_id":"","event_id":"y","delta":"a"}', "a"),
        (HEAD.replace('"i"', '"o","item_id":"i"') + ',"delta":"a"}', "a"),
        (HEAD + ',"event_id":7,"x":"y","delta":"a"}', "a"),
        (HEAD + ',"delta":"\\ud83d"}', "\ud83d"),
        (HEAD + ',"delta":7}', ""),
        (HEAD + "}", ""),
    ],
)
def test_text_deltas_that_are_not_plain(data: str, expected: str) -> None:
    decoded = wire.decode(data)
    assert decoded == we.TextDelta("r", "i", 0, expected, True) == wire.decode_object(json.loads(data))


@pytest.mark.parametrize(
    "data",
    [
        HEAD + ',"delta":' + " " * 100_000 + '"a"}',
        HEAD + ',"event_id":"' + "x" * 100_000 + '","delta":"a"}',
        HEAD.replace('"i"', f'"{"i" * 100_000}"') + ',"delta":"a"}',
    ],
    ids=["space", "event id", "item id"],
)
def test_only_short_heads_are_remembered(monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    asked: list[int] = []
    place = wire._place  # pyright: ignore[reportPrivateUsage]

    def watched(before: bytes, after: bytes) -> tuple[str, str, str, int] | None:
        asked.append(len(before) + len(after))
        return place(before, after)

    monkeypatch.setattr(wire, "_place", watched)
    decoded = wire.decode(data)
    assert isinstance(decoded, we.TextDelta)
    assert decoded.delta == "a"
    assert max(asked, default=0) < 600


@pytest.mark.parametrize(
    "tail",
    [
        b',"delta":"a\nb"}',
        b',"delta":"a\x00"}',
        b',"delta":"a"}}',
        b',"delta":"a"',
        b',"delta":"a\xff"}',
        b',"content_index":01,"delta":"a"}',
        b',"event_id":"a\tb","delta":"a"}',
        b',"event_id":"a\xff","delta":"a"}',
        b',"item_id":"a\nb","delta":"a"}',
    ],
)
def test_the_short_road_takes_no_more_than_json_does(tail: bytes) -> None:
    with pytest.raises(ValueError):
        json.loads(HEAD.encode() + tail)
    result = wire.decode(HEAD.encode() + tail)
    assert isinstance(result, we.BadFrame)
    assert result.code == "not_json"


def test_audio_that_is_torn_off_before_its_end_is_no_event() -> None:
    for tail in (b"", b"}", b'"', b"AAAA}"):
        result = wire.decode(HEAD.replace("_transcript", "").encode() + b',"delta":"' + tail)
        assert isinstance(result, we.BadFrame), tail
        assert result.code == "not_json"


@pytest.mark.parametrize(
    "data", [' {"type":"x"} ', '\ufeff{"type":"x"}', '{"type":"x","n":NaN}', "[1] 2", "{} x"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-32-be"])
def test_parsing_is_that_of_the_standard_library(data: str, encoding: str) -> None:
    frame = data.encode(encoding)
    try:
        wanted = repr(json.loads(frame))
    except ValueError as error:
        wanted = str(error)
    try:
        got = repr(wire._json(frame))  # pyright: ignore[reportPrivateUsage]
    except ValueError as error:
        got = str(error)
    assert got == wanted


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
    assert wire.decode(event) == we.TextDelta("r", "i", 0, text, True)


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


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=20), event_id=st.text(max_size=5), ascii_only=st.booleans())
def test_both_roads_agree_on_text(text: str, event_id: str, ascii_only: bool) -> None:
    event = {**WORDS, "event_id": event_id, "delta": text}
    data = json.dumps(event, separators=(",", ":"), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert wire.decode(data) == wire.decode_object(event)
