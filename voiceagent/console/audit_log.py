"""``/v1/audit``: read, export and verify the audit log."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from voiceagent.console.models import AuditList, AuditVerdict, problems
from voiceagent.console.models_history import WITHOUT_NUL
from voiceagent.console.parts import AsciiJson, PartsIn, audit, database_down
from voiceagent.store import DatabaseDown
from voiceagent.store import audit as log
from voiceagent.store.audit import AuditLine

router = APIRouter(tags=["audit"])


def line_of(line: AuditLine) -> dict[str, object]:
    """Return a line of the log as the API shows it."""
    return {**asdict(line), "detail": json.loads(line.detail)}


@router.get("/v1/audit", responses={200: {"model": AuditList}, **problems(401, 403, 422, 503)})
async def read(
    parts: PartsIn,
    before: Annotated[int | None, Query(ge=1, description="Lines older than this number.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    actor: Annotated[str | None, Query(max_length=64, pattern=WITHOUT_NUL)] = None,
    action: Annotated[
        str | None,
        Query(max_length=64, pattern=WITHOUT_NUL, description="`call.respond`, or a beginning: `call.`"),
    ] = None,
    target: Annotated[str | None, Query(max_length=128, pattern=WITHOUT_NUL)] = None,
) -> AsciiJson:
    """Read the log, the newest lines first."""
    try:
        lines = await parts.identity.read(
            lambda c: log.read(c, before=before, limit=limit, actor=actor, action=action, target=target)
        )
    except DatabaseDown as down:
        raise database_down(down) from None
    return AsciiJson({"lines": [line_of(line) for line in lines], "waiting": len(parts.audit)})


@router.get("/v1/audit/verify", responses={200: {"model": AuditVerdict}, **problems(401, 403, 503)})
async def verify(parts: PartsIn) -> AsciiJson:
    """Check every line's hash against the line before it."""
    try:
        count, wrong = await parts.identity.read(log.verify)
        newest = await parts.identity.read(lambda c: log.read(c, limit=1))
    except DatabaseDown as down:
        raise database_down(down) from None
    return AsciiJson(
        {"whole": not wrong, "lines": count, "problem": wrong, "last_hash": newest[0].hash if newest else ""}
    )


@router.get(
    "/v1/audit/export",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {}}}, **problems(401, 403, 503)},
)
async def export(request: Request, parts: PartsIn) -> Response:
    """Download the whole log, oldest first: one JSON object a line, hashes included."""
    try:
        body = await parts.identity.read(
            lambda c: "".join(json.dumps(asdict(line), sort_keys=True) + "\n" for line in log.walk(c))
        )
    except DatabaseDown as down:
        raise database_down(down) from None
    audit(request, "audit.export")
    headers = {"Content-Disposition": 'attachment; filename="audit.ndjson"'}
    return Response(body, media_type="application/x-ndjson", headers=headers)
