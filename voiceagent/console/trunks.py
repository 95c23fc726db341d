"""``/v1/trunks``: how the peers stand."""

from __future__ import annotations

from fastapi import APIRouter

from voiceagent.console.models import TrunkList, problems
from voiceagent.console.parts import AsciiJson, PartsIn
from voiceagent.console.views import plain

router = APIRouter(tags=["trunks"])


@router.get("/v1/trunks", responses={200: {"model": TrunkList}, **problems(401)})
async def list_trunks(parts: PartsIn) -> AsciiJson:
    """List the trunks: registered or not, alive or not, and how many calls each has."""
    return AsciiJson({"trunks": plain(parts.directory.trunks())})
