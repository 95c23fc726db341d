"""``/v1/calls/{id}/timeline``: who spoke when, what was generated against what was heard."""

from __future__ import annotations

from fastapi import APIRouter

from voiceagent.console.models import problems
from voiceagent.console.models_timeline import TimelineModel
from voiceagent.console.parts import AsciiJson, PartsIn
from voiceagent.console.problems import unknown_call
from voiceagent.console.views import plain

router = APIRouter(tags=["calls"])


@router.get(
    "/v1/calls/{call_id}/timeline", responses={200: {"model": TimelineModel}, **problems(401, 404, 503, 504)}
)
async def show_timeline(call_id: str, parts: PartsIn) -> AsciiJson:
    """Show the time line of a call: live, just ended, or long ago as long as its journal is kept.

    Times are seconds since the call began. Of what the caller keys in secret only the fact is shown.
    """
    try:
        told = await parts.directory.timeline(call_id)
    except KeyError:
        raise unknown_call(call_id) from None
    return AsciiJson(plain(told))
