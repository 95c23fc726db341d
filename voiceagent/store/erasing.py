"""Taking things out of the database for good: words, calls, lines of the audit log. Work in a transaction.

Everything here may be done again. What SQLite has deleted is overwritten (:func:`scrub` does the rest).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, or_, select, text, update

from voiceagent.records.stub import figures_of, plain_reason
from voiceagent.store import audit as log
from voiceagent.store.tables import audit, calls, lines, outbox, recordings, responses, tags

if TYPE_CHECKING:
    from sqlalchemy import Connection

AT_ONCE = 500


def overwrite_deleted(connection: Connection) -> None:
    """Have SQLite put zeros over whatever is deleted on this connection."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA secure_delete=ON"))


def calls_before(connection: Connection, before: float) -> Sequence[tuple[str, str]]:
    """Return id and journal of the calls that began before a time."""
    rows = connection.execute(select(calls.c.id, calls.c.journal).where(calls.c.started_at < before))
    return [(row.id, row.journal) for row in rows]


def wordy_before(connection: Connection, before: float) -> Sequence[str]:
    """Return the calls that began before a time and of which words are kept here."""
    words = or_(
        exists().where(lines.c.call_id == calls.c.id), exists().where(responses.c.call_id == calls.c.id)
    )
    return list(connection.execute(select(calls.c.id).where(calls.c.started_at < before, words)).scalars())


def remove_words(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Remove transcripts and responses of calls, also from the full text; numbers, tags and figures stay."""
    gone = {"lines": 0, "responses": 0}
    for some in _parts(ids):
        gone["lines"] += connection.execute(delete(lines).where(lines.c.call_id.in_(some))).rowcount
        gone["responses"] += connection.execute(
            delete(responses).where(responses.c.call_id.in_(some))
        ).rowcount
        connection.execute(update(calls).where(calls.c.id.in_(some)).values(fault=""))
        _index_without_words(connection, some)
    return gone


def _index_without_words(connection: Connection, ids: Sequence[str]) -> None:
    for row in connection.execute(
        select(calls.c.id, calls.c.caller, calls.c.called, calls.c.flow).where(calls.c.id.in_(ids))
    ).all():
        marks = connection.execute(select(tags.c.tag).where(tags.c.call_id == row.id)).scalars()
        body = "\n".join([row.caller, row.called, row.flow, *marks])
        connection.execute(text("DELETE FROM call_text WHERE call_id = :id"), {"id": row.id})
        connection.execute(
            text("INSERT INTO call_text (call_id, body) VALUES (:id, :body)"), {"id": row.id, "body": body}
        )


def _delete_what_hangs_on(connection: Connection, ids: Sequence[str], gone: dict[str, int]) -> None:
    tables = {
        "lines": lines,
        "responses": responses,
        "tags": tags,
        "recordings": recordings,
        "outbox": outbox,
    }
    for name, table in tables.items():
        found = connection.execute(delete(table).where(table.c.call_id.in_(ids))).rowcount
        gone[name] = gone.get(name, 0) + found


def remove_calls(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Remove calls and all that hangs on them; the audit log's lines about them stay."""
    gone: dict[str, int] = {}
    for some in _parts(ids):
        _delete_what_hangs_on(connection, some, gone)
        for call_id in some:
            connection.execute(text("DELETE FROM call_text WHERE call_id = :id"), {"id": call_id})
        found = connection.execute(delete(calls).where(calls.c.id.in_(some))).rowcount
        gone["calls"] = gone.get("calls", 0) + found
    return gone


def empty_calls(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Leave of calls what the stub of a journal leaves: that they were, when, and how they ended."""
    gone: dict[str, int] = {}
    for some in _parts(ids):
        _delete_what_hangs_on(connection, some, gone)
        for row in connection.execute(select(calls).where(calls.c.id.in_(some))).all():
            figures: dict[str, Any] = {
                **figures_of(json.loads(row.figures)),
                "recordings": [],
                "recordings_at": [],
            }
            values = {
                "caller": "",
                "called": "",
                "fault": "",
                "recording": "",
                "reason": plain_reason(row.reason),
            }
            changed = update(calls).where(calls.c.id == row.id)
            connection.execute(changed.values(**values, figures=json.dumps(figures)))
            connection.execute(text("DELETE FROM call_text WHERE call_id = :id"), {"id": row.id})
            connection.execute(
                text("INSERT INTO call_text (call_id, body) VALUES (:id, :body)"),
                {"id": row.id, "body": row.flow},
            )
            gone["calls"] = gone.get("calls", 0) + 1
    return gone


# ── the audit log ────────────────────────────────────────────────────────────────────────────────
def cut_audit(connection: Connection, before: float) -> dict[str, Any] | None:
    """Remove the oldest lines, up to the first that is not older; returns how many, and where it was cut.

    The line that tells of it must hold what this returns under ``audit``: that is how a check of the log
    knows that its beginning was not simply torn off.
    """
    newest = connection.execute(select(audit.c.n).order_by(audit.c.n.desc()).limit(1)).scalar()
    kept = select(audit.c.n).where(audit.c.at >= before).order_by(audit.c.n).limit(1)
    first = connection.execute(kept).scalar()
    last_gone = (newest or 0) if first is None else first - 1
    row = connection.execute(select(audit.c.n, audit.c.hash).where(audit.c.n == last_gone)).first()
    if row is None or last_gone == newest:  # the last line stays: what follows is chained to it
        return None
    count = connection.execute(delete(audit).where(audit.c.n <= last_gone)).rowcount
    return {"count": count, "n": row.n, "hash": row.hash}


def empty_audit(
    connection: Connection, targets: Sequence[str], mentions: Callable[[str], bool]
) -> dict[str, Any]:
    """Remove the details of lines about calls, and of those that ``mentions`` finds something in.

    Every hash from the first such line on is made anew; what is returned holds the last hash before and
    after, for whoever keeps the former elsewhere.
    """
    log.take_turn(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
    wanted = set(targets)
    changed, before, previous = 0, "", ""
    for line in log.walk(connection):
        found = line.detail != "{}" and (line.target in wanted or mentions(line.detail))
        found = found and json.loads(line.detail) != {"erased": True}
        before = line.hash
        if found:
            changed += 1
        if not changed:
            previous = line.hash
            continue
        fields: dict[str, Any] = {
            name: getattr(line, name) for name in log.AuditLine.__dataclass_fields__ if name != "hash"
        }
        fields |= {
            "detail": json.dumps({"erased": True}) if found else line.detail,
            "previous": previous or line.previous,
        }
        previous = log.hash_of(fields)
        connection.execute(
            update(audit)
            .where(audit.c.n == line.n)
            .values(detail=fields["detail"], previous=fields["previous"], hash=previous)
        )
    return {"changed": changed, **({"hash_before": before, "hash_after": previous} if changed else {})}


def forget_words(connection: Connection) -> None:
    """Have the full-text index let go of words that no call has any more: deleting only marks them."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("INSERT INTO call_text(call_text) VALUES ('optimize')"))


def _parts(ids: Sequence[str]) -> Sequence[Sequence[str]]:
    return [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]
