"""``/v1/session``: the page exchanges the token for a cookie, once."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from voiceagent.console.auth import cookie_name
from voiceagent.console.models import Session, SignInBody, problems
from voiceagent.console.parts import AsciiJson, PartsIn, VisitorIn, audit, limit
from voiceagent.console.problems import Problem

router = APIRouter(tags=["session"])


@router.post("/v1/session", responses={200: {"model": Session}, **problems(401, 403, 422, 429)})
async def sign_in(body: SignInBody, request: Request, parts: PartsIn) -> AsciiJson:
    """Exchange the token for a session cookie (HttpOnly, SameSite=Strict)."""
    peer = request.client.host if request.client else ""
    limit(parts.sign_ins, peer, "sign-ins")
    found = parts.policy.sign_in(body.token, asyncio.get_running_loop().time())
    if found is None:
        audit("sign-in refused", request)
        raise Problem(401, "unauthenticated", "token: is not the token of this console.", field="token")
    session_id, role = found
    audit("sign-in", request, role=role)
    answer = AsciiJson({"role": role, "via": "cookie"})
    answer.set_cookie(
        cookie_name(request.headers.get("host", "")),
        session_id,
        max_age=int(parts.config.session_s),
        path="/",
        httponly=True,
        samesite="strict",
        secure=parts.config.secure_cookie,
    )
    return answer


@router.get("/v1/session", responses={200: {"model": Session}, **problems(401)})
async def who(visitor: VisitorIn) -> AsciiJson:
    """Say who is signed in."""
    return AsciiJson({"role": visitor.role, "via": visitor.via})


@router.delete("/v1/session", status_code=204, responses=problems(401, 403))
async def sign_out(request: Request, parts: PartsIn, visitor: VisitorIn) -> Response:
    """End the session; its live streams end at their next heartbeat."""
    parts.policy.sign_out(visitor.session)
    answer = Response(status_code=204)
    answer.delete_cookie(
        cookie_name(request.headers.get("host", "")), path="/", httponly=True, samesite="strict"
    )
    return answer
