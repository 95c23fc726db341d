"""``POST /webhooks/realtime``: the provider offers a call. Open to all, for its signature is the credential.

The route exists only where secrets are configured. Any answer but 2xx makes the provider deliver again, so
what is genuine and needs no deed (a repeat, a late one, an event of another type) is answered with 200, too.
"""

from __future__ import annotations

from fastapi import APIRouter, Request

from voiceagent.console.models import problems
from voiceagent.console.parts import AsciiJson, PartsIn
from voiceagent.console.problems import Problem
from voiceagent.realtime.webhook_signature import (
    HEADER_ID,
    HEADER_SIGNATURE,
    HEADER_TIMESTAMP,
    WebhookRefused,
)

router = APIRouter(tags=["webhooks"])


@router.post("/webhooks/realtime", responses=problems(400, 401, 413, 503))
async def realtime_webhook(request: Request, parts: PartsIn) -> AsciiJson:
    """Take one event of the provider (Standard Webhooks); says what became of it."""
    assert parts.webhooks is not None
    body = await request.body()
    try:
        taken = parts.webhooks.take(
            _single(request, HEADER_ID),
            _single(request, HEADER_TIMESTAMP),
            _single(request, HEADER_SIGNATURE),
            body,
        )
    except WebhookRefused as error:
        raise Problem(error.status, error.code, f"{error}.") from None
    if taken.retry_after_s is not None:
        raise Problem(
            503,
            "not_taking_calls",
            "No new calls are taken here now.",
            headers={"Retry-After": str(taken.retry_after_s)},
        )
    return AsciiJson({"outcome": taken.outcome})


def _single(request: Request, name: str) -> str:
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise WebhookRefused(f"{name} came {len(values)} times", status=400, code="webhook_header")
    return values[0] if values else ""
