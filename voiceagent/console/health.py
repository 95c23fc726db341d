"""``/livez``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from voiceagent.console.parts import AsciiJson, PartsIn, VisitorIn
from voiceagent.console.problems import Problem
from voiceagent.console.rights import Role
from voiceagent.console.views import plain

router = APIRouter(tags=["health"])

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus text exposition format."""


@router.get("/livez", response_class=PlainTextResponse)
async def livez() -> PlainTextResponse:
    """Answer while the event loop turns."""
    return PlainTextResponse("ok\n")


@router.get(
    "/readyz", responses={200: {"description": "New calls are taken."}, 503: {"description": "They are not."}}
)
async def readyz(request: Request, parts: PartsIn, visitor: VisitorIn) -> Response:
    """Say whether new calls are taken. Details per part go to the signed in and to this machine only."""
    ready, details = parts.directory.ready()
    content: dict[str, object] = {"ready": ready}
    near = request.client is not None and request.client.host in ("127.0.0.1", "::1")
    proxied = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    if visitor.role is not Role.NOBODY or (near and not proxied):
        streams, listeners = parts.streams, parts.listeners
        here = {
            "streams": len(streams),
            "max_streams": streams.most,
            "listeners": len(listeners),
            "max_listeners": listeners.most,
        }
        content["parts"] = plain({**details, **here})
    again = details.get("retry_after_s")
    headers = {} if ready or again is None else {"Retry-After": str(again)}
    return AsciiJson(content, 200 if ready else 503, headers)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(parts: PartsIn) -> Response:
    """Figures for Prometheus."""
    if parts.metrics is None:
        raise Problem(404, "not_found", "This console was started without metrics.")
    text: list[str] = []
    for piece in parts.metrics():  # all at once they would take 5 to 20 ms from the frames
        text.append(piece)
        await asyncio.sleep(0)
    return Response("".join(text), media_type=METRICS_TYPE)
