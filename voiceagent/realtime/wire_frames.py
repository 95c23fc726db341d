"""PURE. Client frames of the Realtime wire, as the bytes of one text message each (UTF-8 JSON).

What was not given is not in the frame: no ``null`` stands in for an absent field, because the API refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from voiceagent.realtime.requests import REQUEST_KEY, TRY_KEY, ResponseRequest

try:
    from pybase64 import b64encode as _b64encode
except ImportError:
    from base64 import b64encode as _b64encode

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

_APPEND_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL = b'"}'


def frame(event: Mapping[str, Any]) -> bytes:
    """Return any client event as a frame."""
    return _dumps(event).encode("utf-8", "replace")


def append_frame(audio: bytes) -> bytes:
    """Return ``input_audio_buffer.append``; without an event id, for it is sent 25 to 50 times a second."""
    return _APPEND_HEAD + _b64encode(audio) + _APPEND_TAIL


def create_event(request: ResponseRequest, event_id: str, attempt: int = 1) -> dict[str, Any]:
    """Return ``response.create`` with exactly what the request gives; a bare one has no ``response``."""
    event: dict[str, Any] = {"type": "response.create", "event_id": event_id}
    response: dict[str, Any] = dict(request.extra)
    if request.instructions is not None:
        response["instructions"] = request.instructions
    if request.metadata is not None or request.correlate:
        metadata = dict(request.metadata or {})
        if request.correlate:
            metadata[REQUEST_KEY] = request.id
            metadata[TRY_KEY] = str(attempt)
        response["metadata"] = metadata
    if request.out_of_band:
        response["conversation"] = "none"
    if response:
        event["response"] = response
    return event


def create_frame(request: ResponseRequest, event_id: str, attempt: int = 1) -> bytes:
    """Return :func:`create_event` as a frame."""
    return frame(create_event(request, event_id, attempt))


def cancel_frame(response_id: str | None, event_id: str) -> bytes:
    """Return ``response.cancel``; without a response id it means whatever runs (only probes do that)."""
    event: dict[str, Any] = {"type": "response.cancel", "event_id": event_id}
    if response_id is not None:
        event["response_id"] = response_id
    return frame(event)


def session_update_frame(session: Mapping[str, Any], event_id: str) -> bytes:
    """Return ``session.update``; the API insists on ``session.type``."""
    return frame({"type": "session.update", "event_id": event_id, "session": {"type": "realtime", **session}})


def truncate_frame(item_id: str, content_index: int, audio_end_ms: int, event_id: str) -> bytes:
    """Return ``conversation.item.truncate``: forget what lies after ``audio_end_ms``."""
    return frame(
        {
            "type": "conversation.item.truncate",
            "event_id": event_id,
            "item_id": item_id,
            "content_index": content_index,
            "audio_end_ms": audio_end_ms,
        }
    )


def item_create_frame(item: Mapping[str, Any], event_id: str, previous_item_id: str | None = None) -> bytes:
    """Return ``conversation.item.create``."""
    event: dict[str, Any] = {"type": "conversation.item.create", "event_id": event_id, "item": dict(item)}
    if previous_item_id is not None:
        event["previous_item_id"] = previous_item_id
    return frame(event)


def message_item(
    text: str, role: Literal["user", "system", "assistant"], item_id: str | None = None
) -> dict[str, Any]:
    """Return a text message item; the assistant's own text has another content type than the others'."""
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    item: dict[str, Any] = {"type": "message", "role": role, "content": [part]}
    if item_id is not None:
        item["id"] = item_id
    return item


def tool_output_item(call_id: str, output: str, item_id: str | None = None) -> dict[str, Any]:
    """Return a ``function_call_output`` item."""
    item: dict[str, Any] = {"type": "function_call_output", "call_id": call_id, "output": output}
    if item_id is not None:
        item["id"] = item_id
    return item


def item_delete_frame(item_id: str, event_id: str) -> bytes:
    """Return ``conversation.item.delete``."""
    return frame({"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id})


def item_retrieve_frame(item_id: str, event_id: str) -> bytes:
    """Return ``conversation.item.retrieve``."""
    return frame({"type": "conversation.item.retrieve", "event_id": event_id, "item_id": item_id})


def commit_frame(event_id: str) -> bytes:
    """Return ``input_audio_buffer.commit``."""
    return frame({"type": "input_audio_buffer.commit", "event_id": event_id})


def input_clear_frame(event_id: str) -> bytes:
    """Return ``input_audio_buffer.clear``."""
    return frame({"type": "input_audio_buffer.clear", "event_id": event_id})


def output_clear_frame(event_id: str) -> bytes:
    """Return ``output_audio_buffer.clear`` (only where the provider owns the output buffer)."""
    return frame({"type": "output_audio_buffer.clear", "event_id": event_id})
