"""``/v1/session``: a name and a password, or a key, are exchanged for a cookie, once."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from voiceagent.console.auth import FIRST_RUN, Visitor, cookie_name
from voiceagent.console.limits import network_of
from voiceagent.console.models import PasswordBody, Session, SignInBody, problems
from voiceagent.console.parts import (
    AsciiJson,
    Parts,
    PartsIn,
    VisitorIn,
    audit,
    database_down,
    limit,
    peer_of,
)
from voiceagent.console.problems import Problem, refused
from voiceagent.console.rights import Role, rights_of
from voiceagent.errors import RequestRefused
from voiceagent.store import DatabaseDown

router = APIRouter(tags=["session"])


def session_data(parts: Parts, visitor: Visitor) -> dict[str, object]:
    """Return who somebody is, for the page."""
    principal = visitor.principal
    return {
        "name": "" if principal is None else principal.name,
        "kind": "" if principal is None else principal.kind,
        "role": visitor.role.value,
        "via": visitor.via,
        "rights": [right.value for right in rights_of(visitor.role)],
        "first_run": principal is not None and (principal.kind, principal.name) == ("token", FIRST_RUN),
    }


@router.post("/v1/session", responses={200: {"model": Session}, **problems(401, 403, 422, 429, 503)})
async def sign_in(body: SignInBody, request: Request, parts: PartsIn, before: VisitorIn) -> AsciiJson:
    """Exchange name and password, or a key, for a session cookie (HttpOnly, SameSite=Strict).

    Whoever signs in anew gets another id, and the session before is over.
    """
    limit(parts.sign_ins, network_of(peer_of(request)), "sign-ins")
    if body.token is not None:
        principal, field = parts.policy.by_token(body.token), "token"
    else:
        assert body.name is not None
        assert body.password is not None
        limit(parts.sign_ins, f"name:{body.name}", "sign-ins with this name")
        try:
            principal, field = await parts.identity.by_password(body.name, body.password), "password"
        except DatabaseDown as down:
            raise database_down(down) from None
    if principal is None:
        # A name that nobody has may well be a password that got into the wrong field.
        name = body.name or ""
        known = name if parts.policy.credentials.is_user(name) else ""
        parts.audit.note(
            Visitor(Role.NOBODY, "none"),
            peer_of(request),
            "session.sign_in",
            known,
            result="unauthenticated",
        )
        words = "is not a key of this console" if field == "token" else "or name is not right"
        raise Problem(401, "unauthenticated", f"{field}: {words}.", field=field)
    now = asyncio.get_running_loop().time()
    parts.policy.sessions.end(before.session)
    visitor = Visitor(principal.role, "cookie", parts.policy.sessions.begin(principal, now), principal)
    parts.audit.note(visitor, peer_of(request), "session.sign_in", principal.id)
    answer = AsciiJson(session_data(parts, visitor))
    answer.set_cookie(
        cookie_name(request.headers.get("host", "")),
        visitor.session,
        max_age=int(parts.config.session_s),
        path="/",
        httponly=True,
        samesite="strict",
        secure=parts.config.secure_cookie,
    )
    return answer


@router.get("/v1/session", responses={200: {"model": Session}, **problems(401)})
async def who(parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Say who is signed in, and what they may do."""
    return AsciiJson(session_data(parts, visitor))


@router.delete("/v1/session", status_code=204, responses=problems(401, 403))
async def sign_out(request: Request, parts: PartsIn, visitor: VisitorIn) -> Response:
    """End the session; its live streams end at their next heartbeat."""
    parts.policy.sessions.end(visitor.session)
    audit(request, "session.sign_out")
    answer = Response(status_code=204)
    answer.delete_cookie(
        cookie_name(request.headers.get("host", "")), path="/", httponly=True, samesite="strict"
    )
    return answer


@router.put("/v1/session/password", status_code=204, responses=problems(401, 403, 409, 422, 429, 503))
async def change_password(
    body: PasswordBody, request: Request, parts: PartsIn, visitor: VisitorIn
) -> Response:
    """Change one's own password. This session goes on, every other one of this user ends."""
    principal = visitor.principal
    if principal is None or principal.kind != "user":
        raise Problem(409, "no_password", "A key has no password; sign in with your name.")
    limit(parts.sign_ins, f"name:{principal.name}", "tries")
    try:
        changed = await parts.identity.change_password(principal.id, principal.name, body.current, body.new)
    except RequestRefused as error:
        audit(request, "session.change_password", principal.id, result=error.code)
        raise refused(error) from None
    except DatabaseDown as down:
        raise database_down(down) from None
    parts.policy.sessions.renew(visitor.session, changed)
    audit(request, "session.change_password", principal.id)
    return Response(status_code=204)
