"""PURE. JSON of the Realtime wire to :mod:`.wire_events`: :func:`decode` never raises.

Deltas of audio and text are nearly all of the traffic, so their frames are not parsed: the payload is cut out
(:func:`_delta`). Whatever does not have exactly the plain shape takes the ordinary road.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

from voiceagent.realtime.once import once
from voiceagent.realtime.wire_events import (
    AudioDelta,
    AudioDone,
    BadFrame,
    DtmfReceived,
    ErrorEvent,
    InputCommittedEvent,
    InputSpeech,
    InputTimeout,
    ItemDeleted,
    ItemEvent,
    ItemTruncated,
    OutputBuffer,
    OutputItem,
    Raw,
    ResponseCreatedEvent,
    ResponseDoneEvent,
    ServerEvent,
    SessionEvent,
    TextDelta,
    TextDone,
    TranscriptionCompleted,
    UnknownEvent,
)

try:
    from pybase64 import b64decode
except ImportError:
    from binascii import a2b_base64

    def b64decode(s: bytes, altchars: None, validate: bool) -> bytes:
        return a2b_base64(s, strict_mode=validate)


MAX_FRAME_BYTES = 2 * 1024 * 1024
"""Larger frames are refused unless the link is told otherwise."""


_parse = json.JSONDecoder().raw_decode


def decode(data: bytes | str, *, max_bytes: int = MAX_FRAME_BYTES) -> ServerEvent:
    """Return the event in one text frame. Whatever is wrong with it becomes a :class:`BadFrame`."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if len(data) > max_bytes:
        size = len(data)
        return BadFrame("too_large", f"{size} bytes, at most {max_bytes} are accepted", size=size)
    at = data.find(b'"delta"', 0, _HEAD_BYTES)
    if at >= 0 and (delta := _delta(data, at)) is not None:
        return delta
    try:
        raw: dict[str, Any] | None = _json(data)
    except (ValueError, RecursionError) as error:
        return BadFrame("not_json", f"{type(error).__name__}: {error}"[:200], size=len(data))
    if not isinstance(raw, dict):
        return BadFrame("not_object", f"a JSON {type(raw).__name__} is no event", size=len(data))
    return decode_object(raw)


def _json(data: bytes) -> Any:
    """Parse as ``json.loads`` does, which looks for another encoding and for white space each time."""
    try:
        text = data.decode()
        raw, end = _parse(text)
        if end == len(text):
            return raw
    except ValueError:
        pass
    return json.loads(data)


def decode_object(raw: Mapping[str, Any]) -> ServerEvent:
    """Return the event in an already parsed JSON object."""
    kind = raw.get("type")
    if not isinstance(kind, str):
        return BadFrame("no_type", "the object has no type")
    build = _BUILDERS.get(kind)
    if build is None:
        return UnknownEvent(kind, raw)
    try:
        return build(kind, raw)
    except _Malformed as error:
        return BadFrame("malformed", str(error), type=kind)
    except (ValueError, OverflowError) as error:
        return BadFrame("bad_audio", str(error), type=kind)


# ── the fast road ───────────────────────────────────────────────────────────────────────────────
_HEAD_BYTES = 512
"""Where a delta that begins later is not looked for."""
_HEADS = 2048
"""So many content parts are known by their head without reading it again; four for each of 500 calls."""
_PLAIN_HEAD = re.compile(
    rb'\{(?:(?:"type": ?"response\.(?:output_)?(audio|audio_transcript|text)\.delta"'
    rb'|"response_id": ?"([^"\\\0-\x1f]+)"|"item_id": ?"([^"\\\0-\x1f]+)"|"content_index": ?(0|[1-9]\d{0,8})'
    rb'|"event_id": ?""|"output_index": ?(?:0|[1-9]\d{0,8})), ?)+"delta": ?"'
).fullmatch
"""A flat object of exactly the known keys in any order, ``delta`` last: what providers really send."""
_PLAIN_TEXT = re.compile(rb'([^"\\\0-\x1f]*)"(?:, ?"obfuscation": ?"[^"\\\0-\x1f]*")?\}').fullmatch
_EVENT_ID = re.compile(rb'"event_id": ?"[!#-\[\]-~]*", ?').search


def _delta(data: bytes, at: int) -> AudioDelta | TextDelta | None:
    """Cut audio or text, whose key stands ``at``, out of a plain frame; None for any other shape."""
    start = at + (9 if data.startswith(b':"', at + 7) else 10)  # the head's grammar looks whether it is so
    # But for its event id, the head is the same in every delta of a content part.
    event_id = _EVENT_ID(data, 0, at)
    end, again = (1, 1) if event_id is None else event_id.span()
    place = _place(data[:end], data[again:start])
    if place is None:
        return None
    kind, response_id, item_id, index = place
    try:
        if kind == "audio":
            if data.endswith(b'"}', start):
                return AudioDelta(response_id, item_id, index, b64decode(data[start:-2], None, True))
        elif (text := _PLAIN_TEXT(data, start)) is not None:
            return TextDelta(response_id, item_id, index, text[1].decode(), kind != "text")
    except ValueError:
        pass
    return None


@lru_cache(_HEADS)
def _place(before: bytes, after: bytes) -> tuple[str, str, str, int] | None:
    """Return kind, response id, item id and content index of a head; both sides of its event id are given."""
    match = _PLAIN_HEAD(before + b'"event_id":"",' + after)
    if match is None or not (match[1] and match[2] and match[3]):
        return None
    try:
        return match[1].decode(), once(match[2].decode()), once(match[3].decode()), int(match[4] or 0)
    except ValueError:
        return None


# ── the ordinary road ───────────────────────────────────────────────────────────────────────────
class _Malformed(Exception):
    pass


def _need(raw: Raw, key: str) -> str:
    """Return an id: one string for all the events that name it, for some are kept as long as the call."""
    value = raw.get(key)
    if not isinstance(value, str) or not value:
        raise _Malformed(f"{key} must be a string, not {_shown(value)}")
    return once(value)


def _maybe(raw: Raw, key: str) -> str | None:
    value = raw.get(key)
    return value if isinstance(value, str) else None


def _text(raw: Raw, key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def _count(raw: Raw, key: str) -> int:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        return 0
    return int(value)


def _object(raw: Raw, key: str) -> Raw:
    value: dict[str, Any] | None = raw.get(key)
    if not isinstance(value, dict):
        raise _Malformed(f"{key} must be an object, not {_shown(value)}")
    return value


def _object_or_none(raw: Raw, key: str) -> Raw | None:
    value: dict[str, Any] | None = raw.get(key)
    return value if isinstance(value, dict) else None


def _inner(raw: Raw, key: str) -> Raw:
    return _object_or_none(raw, key) or {}


def _shown(value: object) -> str:
    return "missing" if value is None else type(value).__name__


def _metadata(response: Raw) -> dict[str, str] | None:
    pairs = _object_or_none(response, "metadata")
    if pairs is None:
        return None
    return {key: value for key, value in pairs.items() if isinstance(value, str)}


def _out_of_band(response: Raw) -> bool:
    # A null conversation id means "none"; servers that never send the field mean the default one.
    return "conversation_id" in response and response["conversation_id"] is None


def _error(_kind: str, raw: Raw) -> ErrorEvent:
    error = _object_or_none(raw, "error") or raw
    return ErrorEvent(
        code=_maybe(error, "code"),
        message=_text(error, "message"),
        kind=_maybe(error, "type"),
        event_id=_maybe(error, "event_id"),
        param=_maybe(error, "param"),
        raw=raw,
    )


def _session(kind: str, raw: Raw) -> SessionEvent:
    return SessionEvent(_object(raw, "session"), kind == "session.updated", raw)


def _item(kind: str, raw: Raw) -> ItemEvent:
    item = _object(raw, "item")
    done = kind == "conversation.item.done"
    return ItemEvent(_need(item, "id"), item, _maybe(raw, "previous_item_id"), done)


def _item_truncated(_kind: str, raw: Raw) -> ItemTruncated:
    return ItemTruncated(_need(raw, "item_id"), _count(raw, "audio_end_ms"))


def _item_deleted(_kind: str, raw: Raw) -> ItemDeleted:
    return ItemDeleted(_need(raw, "item_id"), raw)


def _transcription(kind: str, raw: Raw) -> TranscriptionCompleted:
    failed = kind.endswith(".failed")
    code = _maybe(_inner(raw, "error"), "code") if failed else None
    return TranscriptionCompleted(_need(raw, "item_id"), _text(raw, "transcript"), failed, code)


def _speech(kind: str, raw: Raw) -> InputSpeech:
    started = kind.endswith("started")
    audio_ms = _count(raw, "audio_start_ms" if started else "audio_end_ms")
    return InputSpeech(_maybe(raw, "item_id"), audio_ms, started, raw)


def _committed(_kind: str, raw: Raw) -> InputCommittedEvent:
    return InputCommittedEvent(_maybe(raw, "item_id"), _maybe(raw, "previous_item_id"), raw)


def _timeout(_kind: str, raw: Raw) -> InputTimeout:
    return InputTimeout(_maybe(raw, "item_id"))


def _dtmf(_kind: str, raw: Raw) -> DtmfReceived:
    digit = _maybe(raw, "event") or _maybe(raw, "digit")
    if digit is None or digit.upper() not in "0123456789*#ABCD" or len(digit) != 1:
        raise _Malformed(f"event must be one digit, not {digit!r}"[:100])
    return DtmfReceived(digit.upper())


def _output_buffer(kind: str, raw: Raw) -> OutputBuffer:
    return OutputBuffer(kind.rpartition(".")[2], _need(raw, "response_id"), raw)


def _response_created(_kind: str, raw: Raw) -> ResponseCreatedEvent:
    response = _object(raw, "response")
    return ResponseCreatedEvent(_need(response, "id"), _metadata(response), _out_of_band(response), raw)


def _response_done(_kind: str, raw: Raw) -> ResponseDoneEvent:
    response = _object(raw, "response")
    details = _inner(response, "status_details")
    error = _inner(details, "error")
    return ResponseDoneEvent(
        response_id=_maybe(response, "id"),
        status=once(_maybe(response, "status") or "completed"),
        reason=_maybe(details, "reason"),
        error_code=_maybe(error, "code") or _maybe(error, "type"),
        error_message=_text(error, "message"),
        retry_after_s=_seconds(error.get("retry_after")),
        metadata=_metadata(response),
        out_of_band=_out_of_band(response),
        output=_objects(response.get("output")),
        usage=_object_or_none(response, "usage"),
        raw=raw,
    )


def _objects(value: object) -> tuple[Raw, ...]:
    if not isinstance(value, list):
        return ()
    found = cast("list[dict[str, Any] | None]", value)
    return tuple([item for item in found if isinstance(item, dict)])


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 3600:
        return None
    return float(value)


def _output_item(kind: str, raw: Raw) -> OutputItem:
    item = _object(raw, "item")
    return OutputItem(_need(raw, "response_id"), _need(item, "id"), item, kind.endswith("done"), raw)


def _slow_audio_delta(_kind: str, raw: Raw) -> AudioDelta:
    payload = raw.get("delta")
    if not isinstance(payload, str):
        raise _Malformed(f"delta must be a string, not {_shown(payload)}")
    data = b64decode(payload.encode("ascii", "strict"), None, True)
    return AudioDelta(_need(raw, "response_id"), _need(raw, "item_id"), _count(raw, "content_index"), data)


def _audio_done(_kind: str, raw: Raw) -> AudioDone:
    return AudioDone(_need(raw, "response_id"), _need(raw, "item_id"))


def _text_delta(kind: str, raw: Raw) -> TextDelta:
    return TextDelta(
        _need(raw, "response_id"),
        _need(raw, "item_id"),
        _count(raw, "content_index"),
        _text(raw, "delta"),
        "audio" in kind,
    )


def _text_done(kind: str, raw: Raw) -> TextDone:
    spoken = "audio" in kind
    text = _text(raw, "transcript" if spoken else "text")
    return TextDone(
        _need(raw, "response_id"), _need(raw, "item_id"), _count(raw, "content_index"), text, spoken, raw
    )


_BUILDERS: Mapping[str, Callable[[str, Raw], ServerEvent]] = {
    "error": _error,
    "session.created": _session,
    "session.updated": _session,
    "conversation.item.added": _item,
    "conversation.item.created": _item,
    "conversation.item.done": _item,
    "conversation.item.truncated": _item_truncated,
    "conversation.item.deleted": _item_deleted,
    "conversation.item.input_audio_transcription.completed": _transcription,
    "conversation.item.input_audio_transcription.failed": _transcription,
    "input_audio_buffer.committed": _committed,
    "input_audio_buffer.speech_started": _speech,
    "input_audio_buffer.speech_stopped": _speech,
    "input_audio_buffer.timeout_triggered": _timeout,
    "input_audio_buffer.dtmf_event_received": _dtmf,
    "output_audio_buffer.started": _output_buffer,
    "output_audio_buffer.stopped": _output_buffer,
    "output_audio_buffer.cleared": _output_buffer,
    "response.created": _response_created,
    "response.done": _response_done,
    "response.output_item.added": _output_item,
    "response.output_item.done": _output_item,
    "response.output_audio.delta": _slow_audio_delta,
    "response.output_audio.done": _audio_done,
    "response.output_audio_transcript.delta": _text_delta,
    "response.output_audio_transcript.done": _text_done,
    "response.output_text.delta": _text_delta,
    "response.output_text.done": _text_done,
    # Names of the preview wire, which some servers still speak.
    "response.audio.delta": _slow_audio_delta,
    "response.audio.done": _audio_done,
    "response.audio_transcript.delta": _text_delta,
    "response.audio_transcript.done": _text_done,
    "response.text.delta": _text_delta,
    "response.text.done": _text_done,
}
