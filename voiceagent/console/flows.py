"""``/v1/flows``: which flows are in force and which calls they answer; have them read again."""

from __future__ import annotations

from fastapi import APIRouter, Request

from voiceagent.console.models import FlowSet, problems
from voiceagent.console.parts import AsciiJson, PartsIn, VisitorIn, audit, limit
from voiceagent.console.ports import FlowsRefused
from voiceagent.console.problems import Problem
from voiceagent.console.views import plain

router = APIRouter(tags=["flows"])


@router.get("/v1/flows", responses={200: {"model": FlowSet}, **problems(401)})
async def list_flows(parts: PartsIn) -> AsciiJson:
    """List flows and routes in force, and why newer ones were refused, if they were."""
    return AsciiJson(plain(parts.directory.flows()))


@router.post("/v1/flows/reload", responses={200: {"model": FlowSet}, **problems(401, 403, 409, 429)})
async def reload_flows(request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Read flow files, routes and default flow again. All of it is taken, or nothing (409).

    Calls that run keep the flow they began with.
    """
    limit(parts.triggers, visitor.key, "requests")
    try:
        view = await parts.directory.reload_flows(operator=visitor.name)
    except FlowsRefused as error:
        audit(request, "flows.reload", outcome="refused")
        errors = [{"field": "flows", "code": "flows_refused", "detail": one} for one in error.problems]
        raise Problem(409, "flows_refused", str(error), field="flows", errors=errors) from None
    audit(request, "flows.reload", version=view["version"])
    return AsciiJson(plain(view))
