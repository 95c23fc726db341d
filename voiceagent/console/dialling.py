"""``POST /v1/calls``: place a call."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request

from voiceagent.console.models import DialBody, Dialling, problems
from voiceagent.console.parts import FORBIDDEN, AsciiJson, PartsIn, VisitorIn, audit, limit
from voiceagent.console.ports import DialWish
from voiceagent.console.problems import refused, unknown_call
from voiceagent.console.responses import KeyMemory, check_pairs, checked_key
from voiceagent.console.views import call_data
from voiceagent.errors import RequestRefused
from voiceagent.realtime.requests import check_metadata

router = APIRouter(tags=["calls"])

METADATA_PAIRS = 8
"""Metadata of a call goes out with every response, beside what the response has of its own."""
STATUSES = {
    "denied_target": 403,
    "target_not_allowed": 403,
    "unknown_flow": 404,
    "draining": 503,
    "capacity": 503,
    "outbound_capacity": 503,
    "destination_busy": 429,
    "destination_calls": 429,
    "not_listening": 503,
    "trunk_down": 503,
}
"""Statuses of refusals by code; any other is 422."""
_PLACE = "POST /v1/calls"


@router.post(
    "/v1/calls",
    status_code=202,
    responses={202: {"model": Dialling}, **problems(401, 403, 404, 409, 422, 429, 503, 504)},
)
async def dial(
    body: DialBody,
    request: Request,
    parts: PartsIn,
    visitor: VisitorIn,
    idempotency_key: Annotated[
        str | None, Header(description="Repeat it to retry safely: called once.")
    ] = None,
) -> AsciiJson:
    """Place a call and run a flow on it. What became of it: `GET /v1/calls/{call_id}`, or the live stream."""
    limit(parts.triggers, visitor.key, "requests")
    key = checked_key(idempotency_key)
    printed = repr(body)
    memory: KeyMemory = request.app.state.keys
    memory.check(_PLACE, key, printed)
    try:
        _check(body.metadata or {})
        view = await parts.directory.dial(_wish(body), idempotency_key=key, operator=visitor.name)
    except RequestRefused as error:
        if error.code in FORBIDDEN:
            audit(request, "call.dial", result=error.code, to=body.to)
        raise refused(error, STATUSES) from None
    except KeyError as error:
        raise unknown_call(str(error.args[0])) from None
    memory.note(_PLACE, key, printed)
    audit(request, "call.dial", view.id, to=view.called)
    data = call_data(view)
    return AsciiJson({"call_id": view.id, **data}, 202, {"Location": data["links"]["self"]})


def _wish(body: DialBody) -> DialWish:
    return DialWish(
        to=body.to,
        flow=body.flow,
        from_user=body.from_ or "",
        from_name=body.from_name or "",
        headers=body.headers or {},
        trunk=body.trunk or "",
        metadata=body.metadata or {},
        ring_timeout_s=body.ring_timeout_s,
        consent_reference=body.consent_reference or "",
    )


def _check(metadata: dict[str, str]) -> None:
    if len(metadata) > METADATA_PAIRS:
        raise RequestRefused("metadata", f"at most {METADATA_PAIRS} pairs are taken")
    check_metadata(metadata)
    check_pairs(metadata)
