"""Users and their passwords (Argon2id, RFC 9106), keys of programs. Work for :meth:`Database.run`."""

from __future__ import annotations

import hashlib
import secrets
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from sqlalchemy import Row, delete, func, insert, select, update

from voiceagent.errors import RequestRefused
from voiceagent.store.tables import api_keys, users

if TYPE_CHECKING:
    from sqlalchemy import Connection

Clock = Callable[[], float]
RoleName = Literal["viewer", "operator", "supervisor", "admin"]
ROLES: tuple[RoleName, ...] = ("viewer", "operator", "supervisor", "admin")
"""Each may do all that those before it may."""
KEY_PREFIX = "va_"
PASSWORD_CHARS = range(12, 257)
NAME_CHARS = 64
KEPT_NAMES = ("nobody", "first run", "console.token", "console.viewer_token")
"""The audit log's names for those who are neither users nor keys."""


class Cost(TypedDict, total=False):
    """Argon2's parameters; memory in KiB."""

    time_cost: int
    memory_cost: int
    parallelism: int


COST: Cost = {}
"""What differs from argon2-cffi's own: RFC 9106's second choice, 64 MiB and 3 rounds."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in."""

    id: str
    name: str
    role: str
    disabled: bool
    has_password: bool
    created_at: float
    changed_at: float
    """Rises when role or password change, or the user is disabled: sessions from before it are over."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A program's key; the key itself is shown once, when it is made."""

    id: str
    name: str
    role: str
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    used_at: float | None


def add_user(
    connection: Connection, name: str, role: str, password_hash: str | None, *, clock: Clock = time.time
) -> User:
    """Make a user; ``password_hash`` is of :func:`hash_password`. Raises RequestRefused naming the field."""
    _check_name(name)
    _check_role(role)
    _check_free(connection, name, among_keys=True)
    now = clock()
    user_id = f"usr_{secrets.token_hex(8)}"
    connection.execute(
        insert(users).values(
            id=user_id,
            name=name,
            role=role,
            password_hash=password_hash,
            disabled=False,
            created_at=now,
            changed_at=now,
        )
    )
    return User(user_id, name, role, False, password_hash is not None, now, now)


def any_admin(connection: Connection) -> bool:
    """Whether somebody could let others in."""
    return bool(_admins(connection))


def list_users(connection: Connection) -> Sequence[User]:
    """Return every user by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]


def user_by_id(connection: Connection, user_id: str) -> User | None:
    """Return a user; None when there is none of this id."""
    row = connection.execute(select(users).where(users.c.id == user_id)).first()
    return None if row is None else _user(row)


def user_by_name(connection: Connection, name: str) -> tuple[User, str | None] | None:
    """Return a user and the password's hash; None when there is none of this name."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    return None if row is None else (_user(row), row.password_hash)


def change_user(
    connection: Connection,
    user_id: str,
    *,
    role: str | None = None,
    password_hash: str | None = None,
    disabled: bool | None = None,
    clock: Clock = time.time,
) -> User:
    """Change what is given. Raises KeyError; RequestRefused when no admin would be left."""
    row = connection.execute(select(users).where(users.c.id == user_id)).first()
    if row is None:
        raise KeyError(user_id)
    values: dict[str, Any] = {"changed_at": clock()}
    if role is not None:
        _check_role(role)
        values["role"] = role
    if password_hash is not None:
        values["password_hash"] = password_hash
    if disabled is not None:
        values["disabled"] = disabled
    connection.execute(update(users).where(users.c.id == user_id).values(**values))
    if row.role == "admin" and not row.disabled:
        _keep_an_admin(connection)
    changed = user_by_id(connection, user_id)
    assert changed is not None
    return changed


def remove_user(connection: Connection, user_id: str) -> User:
    """Remove a user. Raises KeyError; RequestRefused when no admin would be left."""
    user = user_by_id(connection, user_id)
    if user is None:
        raise KeyError(user_id)
    connection.execute(delete(users).where(users.c.id == user_id))
    if user.role == "admin" and not user.disabled:
        _keep_an_admin(connection)
    return user


def add_key(
    connection: Connection,
    name: str,
    role: str,
    *,
    created_by: str,
    expires_at: float | None = None,
    clock: Clock = time.time,
) -> tuple[ApiKey, str]:
    """Make a key; returns it with the secret, which is nowhere else. Raises RequestRefused."""
    _check_name(name)
    _check_role(role)
    _check_free(connection, name, among_keys=False)
    now = clock()
    if expires_at is not None and expires_at <= now:
        raise RequestRefused("expires_at", "lies in the past")
    secret = KEY_PREFIX + secrets.token_urlsafe(24)
    key_id = f"key_{secrets.token_hex(8)}"
    connection.execute(
        insert(api_keys).values(
            id=key_id,
            name=name,
            role=role,
            key_hash=key_hash(secret),
            created_at=now,
            created_by=created_by,
            expires_at=expires_at,
        )
    )
    return ApiKey(key_id, name, role, now, created_by, expires_at, None, None), secret


def list_keys(connection: Connection) -> Sequence[ApiKey]:
    """Return every key, the newest first, revoked ones included."""
    return [_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.created_at.desc()))]


def revoke_key(connection: Connection, key_id: str, *, clock: Clock = time.time) -> ApiKey:
    """End a key at once. Raises KeyError."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
    if row is None:
        raise KeyError(key_id)
    if row.revoked_at is None:
        connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=clock()))
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one()
    return _key(row)


def keys_by_hash(connection: Connection) -> Sequence[tuple[str, ApiKey]]:
    """Return the keys that were not revoked, each with its hash."""
    rows = connection.execute(select(api_keys).where(api_keys.c.revoked_at.is_(None)))
    return [(row.key_hash, _key(row)) for row in rows]


def note_uses(connection: Connection, used: Mapping[str, float]) -> None:
    """Write down when keys were used last."""
    for key_id, at in used.items():
        connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(used_at=at))


def key_hash(secret: str) -> str:
    """Return what of a key is kept."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def hash_password(password: str) -> str:
    """Return the Argon2id hash in PHC form. Takes tens of ms and 64 MiB; raises RequestRefused."""
    from argon2 import PasswordHasher

    if len(password) not in PASSWORD_CHARS:
        raise RequestRefused(
            "password", f"must have {PASSWORD_CHARS.start} to {PASSWORD_CHARS.stop - 1} characters"
        )
    return PasswordHasher(**COST).hash(password)


def password_is(password: str, hashed: str | None) -> bool:
    """Whether this is the password. Takes as long for nobody's, so that time tells nothing."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = PasswordHasher()
    try:
        return hasher.verify(hashed or _NOBODYS, password[: PASSWORD_CHARS.stop]) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5IGhhcyB0aGlzLg$0123456789abcdefghijklmnopqrstuvwxyzABCDEFA"
"""The hash of no password: the last character's spare bits are zero, else it would be refused at once."""


def _keep_an_admin(connection: Connection) -> None:
    if not _admins(connection):
        raise RequestRefused("role", "the last admin stays one: make another first", code="last_admin")


def _admins(connection: Connection) -> int:
    able = users.c.role == "admin", users.c.disabled.is_(False)
    return connection.execute(select(func.count()).select_from(users).where(*able)).scalar_one()


def _check_name(name: str) -> None:
    if not (1 <= len(name) <= NAME_CHARS and name.isprintable() and name == name.strip()):
        raise RequestRefused(
            "name", f"must have 1 to {NAME_CHARS} printable characters, no space at its ends"
        )


def _check_free(connection: Connection, name: str, *, among_keys: bool) -> None:
    """Names stand in the audit log and tell who has taken a call over: no two may be taken for one another.

    Keys may have the same name (the old one and the new, while they are changed).
    """
    alike = _as_read(name)
    taken = connection.execute(select(users.c.name)).scalars().all()
    if among_keys:
        valid = select(api_keys.c.name).where(api_keys.c.revoked_at.is_(None))
        taken = [*taken, *connection.execute(valid).scalars().all()]
    found = next((one for one in (*taken, *KEPT_NAMES) if _as_read(one) == alike), None)
    if found is not None:
        raise RequestRefused("name", f"{found!r} is somebody already", code="name_taken")


def _as_read(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise RequestRefused("role", f"must be one of {', '.join(ROLES)}")


def _user(row: Row[Any]) -> User:
    return User(
        row.id,
        row.name,
        row.role,
        bool(row.disabled),
        row.password_hash is not None,
        row.created_at,
        row.changed_at,
    )


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        row.role,
        row.created_at,
        row.created_by,
        row.expires_at,
        row.revoked_at,
        row.used_at,
    )
