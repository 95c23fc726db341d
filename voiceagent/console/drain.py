"""``/v1/drain``: have the node finish its calls and end, or take that back."""

from __future__ import annotations

from fastapi import APIRouter, Request

from voiceagent.console.models import problems
from voiceagent.console.models_drain import DrainBody, DrainModel
from voiceagent.console.parts import AsciiJson, Parts, PartsIn, VisitorIn, audit
from voiceagent.console.ports_drain import Drain
from voiceagent.console.problems import Problem
from voiceagent.console.views import plain

router = APIRouter(tags=["drain"])


def _drain(parts: Parts) -> Drain:
    if parts.drain is None:
        raise Problem(501, "not_supported", "This console's node cannot be drained from here.")
    return parts.drain


@router.get("/v1/drain", responses={200: {"model": DrainModel}, **problems(401, 501)})
async def state(parts: PartsIn) -> AsciiJson:
    """Say whether the node drains, and how many calls run."""
    return AsciiJson(plain(_drain(parts).view()))


@router.post(
    "/v1/drain", status_code=202, responses={202: {"model": DrainModel}, **problems(401, 403, 422, 501)}
)
async def begin(
    request: Request, parts: PartsIn, visitor: VisitorIn, body: DrainBody | None = None
) -> AsciiJson:
    """Take no new calls. The process ends, with status 0, when the running ones have ended.

    At the limit whoever is still on the line hears a goodbye. SIGTERM does the same.
    """
    drain = _drain(parts)
    limit_s = None if body is None else body.limit_s
    drain.begin(visitor.name, limit_s)
    audit(request, "node.drain", limit_s=limit_s)
    return AsciiJson(plain(drain.view()), 202)


@router.delete("/v1/drain", responses={200: {"model": DrainModel}, **problems(401, 403, 409, 501)})
async def resume(request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Take calls again. Refused (409) once the goodbyes have begun."""
    drain = _drain(parts)
    if not drain.resume(visitor.name):
        raise Problem(409, "drained", "The node is ending: its calls are being said goodbye to.")
    audit(request, "node.resume")
    return AsciiJson(plain(drain.view()))
