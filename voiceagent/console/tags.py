"""``/v1/calls/{call}/tags``: words that operators put on calls, live and ended, to find them again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from voiceagent.console.models import problems
from voiceagent.console.models_history import TagBody, TagList
from voiceagent.console.parts import AsciiJson, Parts, PartsIn, VisitorIn, ask_database, audit
from voiceagent.console.problems import refused, unknown_call
from voiceagent.errors import RequestRefused
from voiceagent.store import history

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(tags=["calls"])

MOST = 32
"""Tags of one call."""


@router.post(
    "/v1/calls/{call_id}/tags", responses={200: {"model": TagList}, **problems(401, 403, 404, 422, 503, 504)}
)
async def tag(call_id: str, body: TagBody, request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Put a tag on a call, live or ended. One that is there stays."""
    by = "" if visitor.principal is None else visitor.principal.name
    known = await _is_known(parts, call_id)

    def work(connection: Connection) -> Sequence[str]:
        if not known and history.one(connection, call_id) is None:
            raise KeyError(call_id)
        before = history.tags_of(connection, call_id)
        if body.tag not in before and len(before) >= MOST:
            raise RequestRefused("tag", f"this call has {MOST} tags; take one off first", code="too_many")
        return history.tag(connection, call_id, body.tag, by=by, at=time.time())

    try:
        tags = await ask_database(parts, work)
    except KeyError:
        raise unknown_call(call_id) from None
    except RequestRefused as error:
        raise refused(error) from None
    await parts.directory.tagged(call_id, tags, operator=visitor.name)
    audit(request, "call.tag", call_id, tag=body.tag)
    return AsciiJson({"tags": list(tags)})


@router.delete(
    "/v1/calls/{call_id}/tags/{tag}", responses={200: {"model": TagList}, **problems(401, 403, 404, 503, 504)}
)
async def untag(call_id: str, tag: str, request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Take a tag off. One that is not there is no mistake."""
    known = await _is_known(parts, call_id)

    def work(connection: Connection) -> Sequence[str]:
        if not known and history.one(connection, call_id) is None:
            raise KeyError(call_id)
        return history.untag(connection, call_id, tag)

    try:
        tags = await ask_database(parts, work)
    except KeyError:
        raise unknown_call(call_id) from None
    await parts.directory.tagged(call_id, tags, operator=visitor.name)
    audit(request, "call.untag", call_id, tag=tag)
    return AsciiJson({"tags": list(tags)})


async def _is_known(parts: Parts, call_id: str) -> bool:
    try:
        await parts.directory.call(call_id)
    except KeyError:
        return False
    return True
