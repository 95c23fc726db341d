"""``/v1/audit``: read, export and verify the audit log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from voiceagent.console.models import AuditList, AuditVerdict, problems
from voiceagent.console.models_history import WITHOUT_NUL
from voiceagent.console.parts import AsciiJson, Parts, PartsIn, ask_database, audit
from voiceagent.store import audit as log
from voiceagent.store.audit import AuditLine

router = APIRouter(tags=["audit"])

PAGE = 1000
"""Lines that are read at once."""


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
    lines = await ask_database(
        parts, lambda c: log.read(c, before=before, limit=limit, actor=actor, action=action, target=target)
    )
    return AsciiJson({"lines": [line_of(line) for line in lines], "waiting": len(parts.audit)})


@router.get("/v1/audit/verify", responses={200: {"model": AuditVerdict}, **problems(401, 403, 503)})
async def verify(parts: PartsIn) -> AsciiJson:
    """Check every line's hash against the line before it.

    `last_hash` is that of the last line that was looked at and found good.
    """
    chain = log.Chain()
    # Page by page: the one thread of the database has others to serve meanwhile.
    while lines := await ask_database(parts, lambda c: log.read_on(c, chain.last_n, PAGE)):
        if not await asyncio.to_thread(chain.follow, lines):
            break
    chain.finish()
    told = {"whole": not chain.wrong, "lines": chain.count}
    return AsciiJson({**told, "problem": chain.wrong, "last_hash": chain.last_hash})


@router.get(
    "/v1/audit/export",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {}}}, **problems(401, 403, 503)},
)
async def export(request: Request, parts: PartsIn) -> Response:
    """Download the whole log, oldest first: one JSON object a line, hashes included.

    Should the database go away meanwhile, the download breaks off.
    """
    newest = await ask_database(parts, lambda c: log.read(c, limit=1))
    audit(request, "audit.export")
    headers = {"Content-Disposition": 'attachment; filename="audit.ndjson"'}
    body = _lines_to(parts, newest[0].n if newest else 0)
    return StreamingResponse(body, media_type="application/x-ndjson", headers=headers)


async def _lines_to(parts: Parts, last: int) -> AsyncIterator[str]:
    """One page in memory, however long the log is."""
    after = 0
    while after < last:
        some = min(PAGE, last - after)
        found = await ask_database(parts, lambda c, after=after, some=some: log.read_on(c, after, some))
        if not found:
            return
        yield "".join(json.dumps(asdict(line), sort_keys=True) + "\n" for line in found)
        after = found[-1].n
