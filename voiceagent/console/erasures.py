"""``/v1/erasures``: erase all that is kept of a person's calls, with proof."""

from __future__ import annotations

from fastapi import APIRouter, Request

from voiceagent.console.models import problems
from voiceagent.console.models_erasure import ErasureBody, ErasureReport
from voiceagent.console.parts import AsciiJson, PartsIn, VisitorIn, audit, database_down, peer_of
from voiceagent.console.problems import Problem, refused
from voiceagent.console.views import plain
from voiceagent.errors import RequestRefused, VoiceAgentError
from voiceagent.store import DatabaseDown

router = APIRouter(tags=["erasures"])

FLUSH_S = 5.0
"""How long the audit log may take to hold what has been done so far."""


@router.post(
    "/v1/erasures",
    responses={200: {"model": ErasureReport}, **problems(401, 403, 409, 422, 501, 503)},
)
async def erase(request: Request, parts: PartsIn, visitor: VisitorIn, body: ErasureBody) -> AsciiJson:
    """Erase a person's calls that have ended: recordings, words, numbers, tags, webhooks, their journals.

    What stays is that there were calls, when, and how they ended. The report stands in the audit log. Refused
    (409 `call_live`) while the person is on the line. May be sent again.
    """
    if parts.erasures is None:
        raise Problem(501, "not_supported", "This console's node cannot erase calls from here.")
    await parts.audit.flush(FLUSH_S)
    by = parts.audit.deed(visitor, peer_of(request), "")
    try:
        report = await parts.erasures.erase(body.caller, dry_run=body.dry_run, by=by)
    except DatabaseDown as down:
        raise database_down(down) from None
    except RequestRefused as error:
        raise refused(error) from None
    except VoiceAgentError as error:
        if error.code == "call_live":
            audit(request, "erasure", result=error.code)
            raise Problem(409, "call_live", str(error)) from None
        raise
    if body.dry_run:
        audit(request, "erasure", result="dry_run", calls=len(report["calls"]))
    return AsciiJson(plain(report))
