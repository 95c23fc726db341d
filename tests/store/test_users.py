"""Users, passwords and keys."""

from __future__ import annotations

import pytest

from voiceagent.errors import RequestRefused
from voiceagent.store import Database, users

PASSWORD = "correct horse battery"


def test_a_password_is_kept_as_argon2id_and_checked(database: Database) -> None:
    user = database.run_now(lambda c: users.add_user(c, "ann", "admin", users.hash_password(PASSWORD)))
    found = database.run_now(lambda c: users.user_by_name(c, "ann"))
    assert found is not None
    assert found[0] == user
    hashed = found[1]
    assert hashed is not None
    assert hashed.startswith("$argon2id$")
    assert PASSWORD not in hashed
    assert users.password_is(PASSWORD, hashed)
    assert not users.password_is(PASSWORD + "x", hashed)
    assert not users.password_is(PASSWORD, None)
    assert not users.password_is("", "garbage")


@pytest.mark.parametrize(
    ("name", "role", "password", "field"),
    [
        ("", "viewer", PASSWORD, "name"),
        (" ann", "viewer", PASSWORD, "name"),
        ("a\nb", "viewer", PASSWORD, "name"),
        ("a" * 65, "viewer", PASSWORD, "name"),
        ("ann", "root", PASSWORD, "role"),
        ("ann", "viewer", "short", "password"),
        ("ann", "viewer", "x" * 257, "password"),
    ],
)
def test_bad_ones_are_refused_by_field(
    database: Database, name: str, role: str, password: str, field: str
) -> None:
    with pytest.raises(RequestRefused) as refused:
        database.run_now(lambda c: users.add_user(c, name, role, users.hash_password(password)))
    assert refused.value.field == field
    assert database.run_now(users.list_users) == []


def test_names_are_taken_once(database: Database) -> None:
    database.run_now(lambda c: users.add_user(c, "ann", "viewer", None))
    with pytest.raises(RequestRefused, match="already"):
        database.run_now(lambda c: users.add_user(c, "ann", "viewer", None))


def test_the_last_admin_stays(database: Database) -> None:
    ann = database.run_now(lambda c: users.add_user(c, "ann", "admin", None))
    for change in ({"role": "viewer"}, {"disabled": True}):
        with pytest.raises(RequestRefused, match="last admin"):
            database.run_now(lambda c, change=change: users.change_user(c, ann.id, **change))
    with pytest.raises(RequestRefused, match="last admin"):
        database.run_now(lambda c: users.remove_user(c, ann.id))
    assert database.run_now(lambda c: users.user_by_id(c, ann.id)) == ann, "the refused change is undone"
    database.run_now(lambda c: users.add_user(c, "ben", "admin", None))
    changed = database.run_now(lambda c: users.change_user(c, ann.id, role="viewer", clock=lambda: 9e9))
    assert (changed.role, changed.changed_at) == ("viewer", 9e9)


def test_a_key_is_shown_once_and_good_until_it_ends(database: Database) -> None:
    key, secret = database.run_now(
        lambda c: users.add_key(
            c, "dialler", "operator", created_by="ann", expires_at=100.0, clock=lambda: 1.0
        )
    )

    assert secret.startswith("va_")
    assert len(secret) >= 32
    (found,) = database.run_now(users.keys_by_hash)
    assert found == (users.key_hash(secret), key)
    database.run_now(lambda c: users.note_uses(c, {key.id: 2.0}))
    row = database.run_now(users.list_keys)[0]
    assert row.used_at == 2.0
    database.run_now(lambda c: users.revoke_key(c, key.id, clock=lambda: 3.0))
    assert database.run_now(users.keys_by_hash) == [], "revoked"
    with pytest.raises(KeyError):
        database.run_now(lambda c: users.revoke_key(c, "key_none"))
