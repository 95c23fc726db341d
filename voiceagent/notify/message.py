"""PURE. One event as it is sent: its body, its id, its signature.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: the body is
``{"type", "timestamp", "data"}``, the timestamp (ISO 8601, UTC) being the event's; the header
``webhook-timestamp`` is the attempt's. The id is the same for every endpoint and every attempt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from voiceagent.realtime.webhook_signature import (
    HEADER_ID,
    HEADER_SIGNATURE,
    HEADER_TIMESTAMP,
    webhook_signature,
)

EVENTS = (
    "call.started",
    "call.found_again",
    "call.ended",
    "response.finished",
    "alert.raised",
    "alert.cleared",
)
"""Everything that can be asked for."""
ID_PREFIX = "msg_"


@dataclass(frozen=True, slots=True)
class Message:
    """One event for some endpoints."""

    id: str
    """``msg_…``"""
    type: str
    call_id: str
    """Empty for what is of no call."""
    at: float
    """When it happened, Unix seconds."""
    body: str
    """JSON."""
    endpoints: tuple[str, ...]
    """Names of those who asked for it."""


def message(
    token: str, kind: str, call_id: str, at: float, data: Mapping[str, Any], endpoints: Sequence[str]
) -> Message:
    """Return an event ready to be kept; ``token`` makes its id. ``data`` is plain, without secrets."""
    body = {"type": kind, "timestamp": _iso(at), "data": data}
    text = json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Message(event_id(token), kind, call_id, at, text, tuple(endpoints))


def event_id(token: str) -> str:
    """Return the id of the event that a token is for."""
    return ID_PREFIX + token


def end_token(call_id: str, *, again: bool = False) -> str:
    """Return what makes the id of a call's end: the same whoever tells it, so it is told once.

    ``again``: of the true end of a call that had been told as lost.
    """
    return _token(f"call.ended {'again ' if again else ''}{call_id}")


def found_token(call_id: str) -> str:
    """Return what makes the id of the event that a call, told as lost, goes on: it is told once."""
    return _token(f"call.found_again {call_id}")


def _token(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def signed_headers(secrets: Sequence[str], message_id: str, at: float, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt at ``at``, signed with every secret (two while rotating)."""
    timestamp = int(at)
    return {
        "Content-Type": "application/json",
        HEADER_ID: message_id,
        HEADER_TIMESTAMP: str(timestamp),
        HEADER_SIGNATURE: " ".join(webhook_signature(one, message_id, timestamp, body) for one in secrets),
    }


def _iso(at: float) -> str:
    told = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return told.removesuffix("+00:00") + "Z"
