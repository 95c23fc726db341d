"""``GET /v1/cluster``: the nodes of the fleet, and whether what is known of them is fresh."""

from __future__ import annotations

from fastapi import APIRouter

from voiceagent.console.models import problems
from voiceagent.console.models_cluster import ClusterModel
from voiceagent.console.parts import AsciiJson, PartsIn
from voiceagent.console.views import plain

router = APIRouter(tags=["health"])


@router.get("/v1/cluster", responses={200: {"model": ClusterModel}, **problems(401)})
async def show_cluster(parts: PartsIn) -> AsciiJson:
    """Show the fleet: this node first. A fleet of one says so with `shared` false."""
    return AsciiJson(plain(await parts.directory.cluster()))
