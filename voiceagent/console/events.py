"""``GET /v1/events``: the live stream (see :mod:`voiceagent.console.live` for its rules)."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response

from voiceagent.console.live_response import EventStreamResponse
from voiceagent.console.models import problems
from voiceagent.console.parts import PartsIn, VisitorIn
from voiceagent.console.problems import Problem

router = APIRouter(tags=["events"])

_EXAMPLE = (
    "retry: 1000\n\n"
    'event: snapshot\ndata: {"reason": "start", "dropped": 0, "calls": []}\n\n'
    'id: 4f1d2c-17\nevent: call.started\ndata: {"call_id": "c7", "data": {"state": "offered"}}\n\n'
)


@router.get(
    "/v1/events",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events. `snapshot` comes first unless `Last-Event-ID` resumes "
            "without a gap, and again whenever this reader was too slow.",
            "content": {"text/event-stream": {"example": _EXAMPLE}},
        },
        **problems(401, 503),
    },
)
async def live_events(
    parts: PartsIn, visitor: VisitorIn, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Follow every call live. Send the last id seen as ``Last-Event-ID`` to resume."""
    if parts.streams.closed:
        raise Problem(503, "shutting_down", "This node is closing.", headers={"Retry-After": "5"})
    if parts.streams.full:
        parts.streams.refused += 1
        raise Problem(
            503,
            "too_many_streams",
            f"{len(parts.streams)} live streams are open.",
            headers={"Retry-After": "5"},
        )
    loop = asyncio.get_running_loop()
    stream = parts.streams.open(last_event_id, lambda: parts.policy.still_welcome(visitor, loop.time()))
    return EventStreamResponse(stream)
