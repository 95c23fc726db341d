"""``/v1/alerts``: what is wrong, and what was."""

from __future__ import annotations

from fastapi import APIRouter

from voiceagent.console.models import problems
from voiceagent.console.models_alerts import AlertList
from voiceagent.console.parts import AsciiJson, PartsIn
from voiceagent.console.views import plain

router = APIRouter(tags=["alerts"])


@router.get("/v1/alerts", responses={200: {"model": AlertList}, **problems(401)})
async def list_alerts(parts: PartsIn) -> AsciiJson:
    """List the newest 200 alerts, cleared ones too. Changes come as `alert.raised` and `alert.cleared`."""
    return AsciiJson({"alerts": plain(parts.directory.alerts())})
