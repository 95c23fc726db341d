"""``/v1/calls``: look at the calls of the fleet, and end one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from voiceagent.console.models import CallDetail, CallList, problems
from voiceagent.console.parts import AsciiJson, PartsIn, VisitorIn, audit, call_or_404, ended
from voiceagent.console.problems import unknown_call
from voiceagent.console.views import call_data, call_detail
from voiceagent.errors import CallEnded

router = APIRouter(tags=["calls"])


@router.get("/v1/calls", responses={200: {"model": CallList}, **problems(401)})
async def list_calls(
    parts: PartsIn,
    state: Annotated[Literal["all", "live", "ended"], Query()] = "all",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    node: Annotated[str, Query(max_length=64, description="Only those of this node.")] = "",
) -> AsciiJson:
    """List the calls of all nodes: live ones first, then the most recent ended ones of this node.

    While the fleet's registry is away, those of other nodes are shown as they stood, with `stale`.
    """
    views = [
        view
        for view in await parts.directory.calls()
        if (state == "all" or (view.state == "ended") == (state == "ended")) and node in ("", view.node)
    ]
    return AsciiJson({"calls": [call_data(view) for view in views[:limit]]})


@router.get("/v1/calls/{call_id}", responses={200: {"model": CallDetail}, **problems(401, 404, 503, 504)})
async def show_call(call_id: str, parts: PartsIn) -> AsciiJson:
    """Show one call with its transcript and its responses."""
    return AsciiJson(call_detail(await call_or_404(parts.directory, call_id)))


@router.post(
    "/v1/calls/{call_id}/actions/hangup",
    responses={200: {"model": CallDetail}, **problems(401, 403, 404, 409, 503, 504)},
)
async def hang_up(call_id: str, request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Hang up. Answers with the call as it stands then; 409 when it was over before."""
    try:
        view = await parts.directory.hang_up(call_id, operator=visitor.name)
    except KeyError:
        raise unknown_call(call_id) from None
    except CallEnded as error:
        raise await ended(parts.directory, call_id, error) from None
    audit(request, "call.hang_up", view.id)
    return AsciiJson(call_detail(view))
