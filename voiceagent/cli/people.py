"""``voiceagent user|key|audit …``: on the database itself, so that the first admin needs no page."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from voiceagent.cli.calls_text import table
from voiceagent.cli.run import FAILED, fail, fail_with, parse_overrides, printable, show_json
from voiceagent.errors import RequestRefused, VoiceAgentError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from voiceagent.store.audit import Deed

Result = TypeVar("Result")
PASSWORD_VARIABLE = "VOICEAGENT_PASSWORD"


@dataclass(frozen=True, slots=True)
class Place:
    """Which database, and how to tell."""

    config: Path | None
    overrides: list[str]
    as_json: bool


def _in_database(place: Place, work: Callable[[Connection], Result]) -> Result:
    from voiceagent.settings import load_settings
    from voiceagent.store import Database

    database: Database | None = None
    try:
        settings = load_settings(place.config, parse_overrides(place.overrides))
        database = Database(settings.database_url)
        database.open_now()
        return database.run_now(work)
    except KeyError as error:
        fail(f"there is none such: {error.args[0]}", FAILED, as_json=place.as_json, code="unknown")
    except (RequestRefused, VoiceAgentError) as error:
        fail_with(error, as_json=place.as_json)
    finally:
        if database is not None:
            database.close_now()


def _deed(action: str, target: str, **detail: Any) -> Deed:
    from voiceagent.store.audit import Deed

    return Deed(getpass.getuser(), "admin", "cli", action, target, detail=detail)


def _new_password(place: Place) -> str:
    """Ask twice at a terminal; else take the variable, or one line of standard input. Never an argument."""
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password (12 to 256 characters): ")
    if getpass.getpass("Once more: ") != first:
        fail("the two are not the same", as_json=place.as_json, code="password")
    return first


def add_user(place: Place, name: str, role: str) -> None:
    """Make a user."""
    from voiceagent.store import users
    from voiceagent.store.audit import append

    def work(connection: Connection) -> users.User:
        user = users.add_user(connection, name, role, hashed)
        append(connection, [_deed("user.add", user.id, name=name, role=role)])
        return user

    try:
        hashed = users.hash_password(_new_password(place))
    except RequestRefused as error:
        fail_with(error, as_json=place.as_json)
    user = _in_database(place, work)
    show_json(asdict(user)) if place.as_json else print(f"{user.name} may sign in as {user.role}.")


def list_users(place: Place) -> None:
    """Print every user."""
    from voiceagent.store import users

    found = _in_database(place, users.list_users)
    if place.as_json:
        show_json({"users": [asdict(user) for user in found]})
        return
    rows = [
        (user.name, user.role, "disabled" if user.disabled else "", _day(user.created_at)) for user in found
    ]
    print(
        "\n".join(table(rows, ("NAME", "ROLE", "", "SINCE")))
        if rows
        else "No users: `voiceagent user add NAME`."
    )


def change_user(
    place: Place, name: str, *, role: str | None = None, disabled: bool | None = None, password: bool = False
) -> None:
    """Change a user found by name."""
    from voiceagent.store import users
    from voiceagent.store.audit import append

    def work(connection: Connection) -> users.User:
        found = users.user_by_name(connection, name)
        if found is None:
            raise KeyError(name)
        user = users.change_user(connection, found[0].id, role=role, disabled=disabled, password_hash=hashed)
        given = {"role": role, "disabled": disabled, "password": password or None}
        changed = sorted(field for field, value in given.items() if value is not None)
        append(connection, [_deed("user.change", user.id, name=name, changed=changed)])
        return user

    try:
        hashed = users.hash_password(_new_password(place)) if password else None
    except RequestRefused as error:
        fail_with(error, as_json=place.as_json)
    user = _in_database(place, work)
    if place.as_json:
        show_json(asdict(user))
    else:
        state = "is shut out" if user.disabled else f"may sign in as {user.role}"
        print(f"{user.name} {state}; sessions from before are over within seconds.")


def add_key(place: Place, name: str, role: str, days: float | None) -> None:
    """Make a key and print it, this once."""
    from voiceagent.store import users
    from voiceagent.store.audit import append

    expires_at = None if days is None else time.time() + days * 86_400

    def work(connection: Connection) -> tuple[users.ApiKey, str]:
        by = f"{getpass.getuser()} (command line)"
        key, secret = users.add_key(connection, name, role, created_by=by, expires_at=expires_at)
        append(connection, [_deed("key.add", key.id, name=name, role=role)])
        return key, secret

    key, secret = _in_database(place, work)
    if place.as_json:
        show_json({**asdict(key), "key": secret})
    else:
        print(secret)
        print(f"{key.id}: {key.role}. It is not shown again.", file=sys.stderr)


def list_keys(place: Place) -> None:
    """Print every key, without itself."""
    from voiceagent.store import users

    found = _in_database(place, users.list_keys)
    if place.as_json:
        show_json({"keys": [asdict(key) for key in found]})
        return
    rows = [
        (
            key.id,
            printable(key.name),
            key.role,
            _standing(key),
            _day(key.used_at) if key.used_at else "never used",
        )
        for key in found
    ]
    print("\n".join(table(rows, ("KEY", "NAME", "ROLE", "", "USED"))) if rows else "No keys.")


def revoke_key(place: Place, key_id: str) -> None:
    """End a key."""
    from voiceagent.store import users
    from voiceagent.store.audit import append

    def work(connection: Connection) -> users.ApiKey:
        key = users.revoke_key(connection, key_id)
        append(connection, [_deed("key.revoke", key.id, name=key.name)])
        return key

    key = _in_database(place, work)
    show_json(asdict(key)) if place.as_json else print(
        f"{key.id} ({printable(key.name)}) is over within seconds."
    )


def verify_audit(place: Place) -> None:
    """Check the chain; exit status 1 where it is broken."""
    from voiceagent.store import audit

    def work(connection: Connection) -> tuple[int, str, str]:
        count, problem = audit.verify(connection)
        newest = audit.read(connection, limit=1)
        return count, problem, newest[0].hash if newest else ""

    count, problem, last = _in_database(place, work)
    if place.as_json:
        show_json({"whole": not problem, "lines": count, "problem": problem, "last_hash": last})
    elif problem:
        print(f"The audit log is not as it was written: {problem}.")
    else:
        print(f"{count} lines, each follows the one before. Last hash: {last or '–'}")
    if problem:
        raise SystemExit(FAILED)


def export_audit(place: Place) -> None:
    """Print the log, oldest line first, one JSON object a line."""
    from voiceagent.store import audit

    def work(connection: Connection) -> None:
        for line in audit.walk(connection):
            print(json.dumps(asdict(line), sort_keys=True))

    _in_database(place, work)


def _standing(key: Any) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None:
        return "expired" if key.expires_at <= time.time() else f"until {_day(key.expires_at)}"
    return ""


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
