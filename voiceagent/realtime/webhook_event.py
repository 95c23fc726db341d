"""PURE. What a verified webhook says: the event, and the call that it offers.

``{"object": "event", "id": "evt_…", "type": "realtime.call.incoming", "created_at": 1750287018, "data":
{"call_id": "rtc_…", "sip_headers": [{"name": "From", "value": "sip:+1…"}, …]}}``. The SIP headers are claims
of the caller's side: they are carried as data and decide nothing but which flow answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from voiceagent.realtime.webhook_signature import WebhookRefused

CALL_INCOMING = "realtime.call.incoming"
_MAX_ID = 256
_MAX_HEADERS = 256
_MAX_VALUE = 8192


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event of any type. ``created_at`` is Unix time in seconds; it does not change between attempts."""

    id: str
    type: str
    created_at: float
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallOffer:
    """A call that waits for our accept. ``headers``: SIP headers in order, repeats kept."""

    call_id: str
    headers: tuple[tuple[str, str], ...] = ()
    media_security: str = ""

    def header(self, name: str) -> str:
        """Return the first header of that name (any case), or an empty string."""
        wanted = name.lower()
        return next((value for each, value in self.headers if each.lower() == wanted), "")


def read_event(body: bytes) -> WebhookEvent:
    """Return the event in ``body``; :class:`WebhookRefused` (400) when there is none."""
    try:
        value: object = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _malformed("the body is not JSON") from None
    if not isinstance(value, dict):
        raise _malformed("the body is not an object")
    event = cast("dict[str, object]", value)
    identity, kind, created, data = (event.get(name) for name in ("id", "type", "created_at", "data"))
    if not _is_id(identity):
        raise _malformed("id is missing or malformed")
    if not _is_id(kind):
        raise _malformed("type is missing or malformed")
    if isinstance(created, bool) or not isinstance(created, int | float) or not _is_time(created):
        raise _malformed("created_at is missing or malformed")
    content: Mapping[str, Any] = cast("Mapping[str, Any]", data) if isinstance(data, dict) else {}
    return WebhookEvent(cast("str", identity), cast("str", kind), float(created), content)


def read_offer(event: WebhookEvent) -> CallOffer:
    """Return the call that a ``realtime.call.incoming`` offers; :class:`WebhookRefused` (400) when malformed.

    A header that is no pair of texts, or too long, is left out: it must not cost the caller the call.
    """
    call_id = event.data.get("call_id")
    if not _is_id(call_id) or call_id in (".", ".."):
        raise _malformed("data.call_id is missing or malformed")
    security = event.data.get("sip_media_security")
    given = event.data.get("sip_headers")
    headers: list[tuple[str, str]] = []
    for each in cast("list[object]", given)[:_MAX_HEADERS] if isinstance(given, list) else []:
        if isinstance(each, dict):
            entry = cast("dict[str, object]", each)
            name, value = entry.get("name"), entry.get("value")
            if isinstance(name, str) and isinstance(value, str) and len(name) + len(value) <= _MAX_VALUE:
                headers.append((name, value))
    return CallOffer(cast("str", call_id), tuple(headers), security if isinstance(security, str) else "")


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID and value.isascii() and value.isprintable()


def _is_time(value: float) -> bool:
    try:
        return math.isfinite(value) and 0 < value < 1e11
    except OverflowError:
        return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _malformed(message: str) -> WebhookRefused:
    return WebhookRefused(message, status=400, code="webhook_body")
