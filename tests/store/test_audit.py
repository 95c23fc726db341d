"""Whoever changes the audit log is found out."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from voiceagent.store import Database, audit
from voiceagent.store.audit import Deed
from voiceagent.store.tables import audit as table


@pytest.fixture
def full(database: Database) -> Database:
    for n in range(5):
        deed = Deed("ann", "operator", "page", "call.respond", f"call_{n}", detail={"words": "é", "n": n})
        database.run_now(
            lambda c, deed=deed: audit.append(c, [deed, Deed("ben", "viewer", "key", "call.listen")])
        )
    return database


def test_an_untouched_log_is_whole(full: Database) -> None:
    assert full.run_now(audit.verify) == (10, "")


@pytest.mark.parametrize(
    "column", ["at", "actor", "role", "via", "peer", "action", "target", "result", "detail"]
)
def test_a_changed_field_is_found(full: Database, column: str) -> None:
    value = 1.5 if column == "at" else "x"
    full.run_now(lambda c: c.execute(update(table).where(table.c.n == 4).values({column: value})))
    assert full.run_now(audit.verify) == (4, "line 4 has been changed")


def test_a_removed_line_is_found(full: Database) -> None:
    full.run_now(lambda c: c.execute(delete(table).where(table.c.n == 6)))
    assert full.run_now(audit.verify) == (6, "line 6 is missing")


def test_a_line_forged_with_its_own_hash_right_breaks_the_next(full: Database) -> None:
    def forge(connection: object) -> None:
        line = audit.read(connection, before=5, limit=1)[0]  # type: ignore[arg-type]
        fields = {name: getattr(line, name) for name in line.__dataclass_fields__ if name != "hash"}
        fields["actor"] = "nobody"
        connection.execute(  # type: ignore[attr-defined]
            update(table).where(table.c.n == 4).values(**fields, hash=audit.hash_of(fields))
        )

    full.run_now(forge)
    assert full.run_now(audit.verify) == (5, "line 5 does not follow the line before it")


def test_reading_filters_and_pages_newest_first(full: Database) -> None:
    read = lambda **what: [line.n for line in full.run_now(lambda c: audit.read(c, **what))]  # noqa: E731
    assert read(limit=3) == [10, 9, 8]
    assert read(limit=3, before=8) == [7, 6, 5]
    assert read(actor="ben", limit=2) == [10, 8]
    assert read(action="call.listen") == [10, 8, 6, 4, 2]
    assert len(read(action="call.")) == 10
    assert read(target="call_2") == [5]
