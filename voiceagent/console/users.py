"""``/v1/users`` and ``/v1/keys``: who may come in. For admins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from voiceagent.console.auth import FIRST_RUN, Visitor
from voiceagent.console.models import (
    ChangeUserBody,
    KeyBody,
    KeyList,
    KeyMade,
    KeyModel,
    UserBody,
    UserList,
    UserModel,
    problems,
)
from voiceagent.console.parts import (
    AsciiJson,
    Parts,
    PartsIn,
    VisitorIn,
    ask_database,
    audit,
    database_down,
)
from voiceagent.console.problems import Problem, refused
from voiceagent.errors import RequestRefused
from voiceagent.store import DatabaseDown, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(tags=["users and keys"])
Result = TypeVar("Result")
_CONFLICTS = {"name_taken": 409, "last_admin": 409}


@router.get("/v1/users", responses={200: {"model": UserList}, **problems(401, 403, 503)})
async def list_users(parts: PartsIn) -> AsciiJson:
    """List everybody who may sign in."""
    found = await ask_database(parts, users.list_users)
    return AsciiJson({"users": [asdict(user) for user in found]})


@router.post(
    "/v1/users", status_code=201, responses={201: {"model": UserModel}, **problems(401, 403, 409, 422, 503)}
)
async def add_user(body: UserBody, request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Make a user. The first admin made ends the token of the first run."""
    hashed = await _hashed(parts, body.password)

    def work(connection: Connection) -> users.User:
        _not_over(connection, visitor)
        return users.add_user(connection, body.name, body.role, hashed)

    user = await _do(parts, work, body.name)
    audit(request, "user.add", user.id, name=user.name, role=user.role)
    return AsciiJson(asdict(user), 201)


@router.patch(
    "/v1/users/{user_id}", responses={200: {"model": UserModel}, **problems(401, 403, 404, 409, 422, 503)}
)
async def change_user(user_id: str, body: ChangeUserBody, request: Request, parts: PartsIn) -> AsciiJson:
    """Change role or password, or shut a user out. Sessions of the user end at once."""
    hashed = None if body.password is None else await _hashed(parts, body.password)
    user = await _do(
        parts,
        lambda c: users.change_user(c, user_id, role=body.role, password_hash=hashed, disabled=body.disabled),
        user_id,
    )
    changed = sorted(body.model_fields_set)
    audit(request, "user.change", user.id, name=user.name, role=user.role, changed=changed)
    return AsciiJson(asdict(user))


@router.delete("/v1/users/{user_id}", status_code=204, responses=problems(401, 403, 404, 409, 503))
async def remove_user(user_id: str, request: Request, parts: PartsIn) -> Response:
    """Remove a user; what the user did stays in the audit log."""
    user = await _do(parts, lambda c: users.remove_user(c, user_id), user_id)
    audit(request, "user.remove", user.id, name=user.name, role=user.role)
    return Response(status_code=204)


@router.get("/v1/keys", responses={200: {"model": KeyList}, **problems(401, 403, 503)})
async def list_keys(parts: PartsIn) -> AsciiJson:
    """List the keys of programs, without the keys themselves."""
    used = parts.policy.credentials.take_used()

    def work(connection: Connection) -> list[users.ApiKey]:
        users.note_uses(connection, used)
        return list(users.list_keys(connection))

    found = await ask_database(parts, work)
    return AsciiJson({"keys": [asdict(key) for key in found]})


@router.post("/v1/keys", status_code=201, responses={201: {"model": KeyMade}, **problems(401, 403, 422, 503)})
async def add_key(body: KeyBody, request: Request, parts: PartsIn, visitor: VisitorIn) -> AsciiJson:
    """Make a key. It is in this answer and nowhere else."""
    by = "" if visitor.principal is None else visitor.principal.name

    def work(connection: Connection) -> tuple[users.ApiKey, str]:
        _not_over(connection, visitor)
        return users.add_key(connection, body.name, body.role, created_by=by, expires_at=body.expires_at)

    key, secret = await _do(parts, work, body.name)
    audit(request, "key.add", key.id, name=key.name, role=key.role)
    return AsciiJson({**asdict(key), "key": secret}, 201)


@router.delete("/v1/keys/{key_id}", responses={200: {"model": KeyModel}, **problems(401, 403, 404, 503)})
async def revoke_key(key_id: str, request: Request, parts: PartsIn) -> AsciiJson:
    """End a key at once."""
    key = await _do(parts, lambda c: users.revoke_key(c, key_id), key_id)
    audit(request, "key.revoke", key.id, name=key.name, role=key.role)
    return AsciiJson(asdict(key))


def _not_over(connection: Connection, visitor: Visitor) -> None:
    """Raise the 401 when the token of the first run is over by now: of two who use it at once, one is first.

    Asked in the very transaction that makes somebody; what this node knows may be older.
    """
    principal = visitor.principal
    first_run = principal is not None and (principal.kind, principal.name) == ("token", FIRST_RUN)
    if first_run and users.any_admin(connection):
        raise Problem(401, "unauthenticated", "There is an admin by now; this token is over.")


async def _hashed(parts: Parts, password: str) -> str:
    try:
        return await parts.identity.hashed(password)
    except RequestRefused as error:
        raise refused(error) from None


async def _do(parts: Parts, work: Callable[[Connection], Result], what: str) -> Result:
    try:
        return await parts.identity.change(work)
    except KeyError:
        raise Problem(
            404, "unknown_user" if what.startswith("usr") else "unknown_key", f"There is no {what!r}."
        ) from None
    except RequestRefused as error:
        raise refused(error, _CONFLICTS) from None
    except DatabaseDown as down:
        raise database_down(down) from None
