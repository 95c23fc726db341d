"""Ended calls: written once, searched by words and filters, read by pages. Work for :meth:`Database.run`."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Row, Select, and_, bindparam, delete, exists, insert, or_, select, text

from voiceagent.errors import RequestRefused
from voiceagent.records.rows import CallRecord, LineRecord, ResponseRecord, TagRecord
from voiceagent.store.tables import calls, lines, recordings, responses, tags

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "CallQuery",
    "CallRecord",
    "Found",
    "LineRecord",
    "Page",
    "ResponseRecord",
    "TagRecord",
    "every",
    "find",
    "lines_of",
    "one",
    "reasons_of",
    "responses_of",
    "storable",
    "tag",
    "tags_of",
    "untag",
    "write",
]

BODY_CHARS = 1_000_000
"""Most text of one call that can be found by its words."""
_WORD = re.compile(r"\w[\w'’]*")
_TAGS = (
    select(tags).where(tags.c.call_id.in_(bindparam("some", expanding=True))).order_by(tags.c.at, tags.c.tag)
)
"""Built once: the parameter of an IN refers to itself, one for every call would wait for the collector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuery:
    """What to look for; all that is given must hold."""

    words: str = ""
    """Every word must have been said (or be in a tag, number or flow); a word's beginning is enough."""
    number: str = ""
    """A part of the caller's or the called number."""
    direction: str = ""
    flow: str = ""
    trunk: str = ""
    outcome: str = ""
    tag: str = ""
    since: float | None = None
    until: float | None = None
    min_duration_s: float | None = None
    recorded: bool | None = None
    order: Literal["newest", "oldest", "longest"] = "newest"
    limit: int = 50
    after: str = ""
    """The cursor of the page before."""


@dataclass(frozen=True, slots=True)
class Found:
    """One call of a page, with its tags."""

    call: CallRecord
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class Page:
    """Some calls; ``next`` is the cursor of the following page, empty on the last."""

    calls: Sequence[Found]
    next: str


def write(
    connection: Connection,
    record: CallRecord,
    said: Sequence[LineRecord] = (),
    asked: Sequence[ResponseRecord] = (),
    marks: Sequence[TagRecord] = (),
) -> None:
    """Keep a call. Written again (a rebuild, a retry), it replaces what stood there.

    ``marks`` are tags that its journal knows; where the call has tags already, these stay as they are.
    """
    connection.execute(delete(lines).where(lines.c.call_id == record.id))
    connection.execute(delete(responses).where(responses.c.call_id == record.id))
    connection.execute(delete(calls).where(calls.c.id == record.id))
    values = {name: storable(getattr(record, name)) for name in CallRecord.__dataclass_fields__}
    connection.execute(insert(calls).values(**(values | {"figures": json.dumps(dict(record.figures))})))
    if said:
        connection.execute(
            insert(lines),
            [
                {
                    "call_id": record.id,
                    "n": n,
                    "at": line.at,
                    "speaker": line.speaker,
                    "text": storable(line.text),
                    "full_text": storable(line.full_text),
                    "cut": line.cut,
                }
                for n, line in enumerate(said)
            ],
        )
    if asked:
        connection.execute(
            insert(responses),
            [
                {
                    "call_id": record.id,
                    "n": n,
                    "id": one.id,
                    "origin": one.origin,
                    "instructions": storable(one.instructions),
                    "metadata": json.dumps(dict(one.metadata)),
                    "submitted_at": one.submitted_at,
                    "state": one.state,
                    "reason": storable(one.reason),
                    "outcome": None if one.outcome is None else json.dumps(dict(one.outcome)),
                }
                for n, one in enumerate(asked)
            ],
        )
    if marks and not tags_of(connection, record.id):
        rows = [{"call_id": record.id, "tag": one.tag, "at": one.at, "by": one.by} for one in marks]
        connection.execute(insert(tags), rows)
    _index(connection, record, [line.text for line in said])


def _index(connection: Connection, record: CallRecord, said: Sequence[str]) -> None:
    known = [record.caller, record.called, record.flow, *tags_of(connection, record.id)]
    body = storable("\n".join([*known, *said])[:BODY_CHARS])
    if connection.dialect.name == "postgresql":
        body = " ".join(_plain_words(body))
    connection.execute(text("DELETE FROM call_text WHERE call_id = :id"), {"id": record.id})
    connection.execute(
        text("INSERT INTO call_text (call_id, body) VALUES (:id, :body)"), {"id": record.id, "body": body}
    )


def storable(value: Any) -> Any:
    """Return a value as both kinds of database keep it: text without NUL and without half characters."""
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _plain_words(body: str) -> list[str]:
    """Return the words of a text without accents, as SQLite's index has them.

    PostgreSQL's own reading knows numbers with signs, hosts and addresses: not found by their parts.
    """
    plain = unicodedata.normalize("NFKD", body)
    return _WORD.findall("".join(char for char in plain if not unicodedata.combining(char)))


def find(connection: Connection, query: CallQuery) -> Page:
    """Return a page of calls. Raises RequestRefused naming ``after`` for a cursor that is none of ours."""
    wanted = _filtered(connection, query)
    key = calls.c.duration_s if query.order == "longest" else calls.c.started_at
    rising = query.order == "oldest"
    wanted = wanted.order_by(
        key.asc() if rising else key.desc(), calls.c.id.asc() if rising else calls.c.id.desc()
    )
    if query.after:
        value, call_id = _cursor(query.after)
        beyond = key > value if rising else key < value
        tie = and_(key == value, calls.c.id > call_id if rising else calls.c.id < call_id)
        wanted = wanted.where(or_(beyond, tie))
    rows = connection.execute(wanted.limit(query.limit + 1)).all()
    more = len(rows) > query.limit
    records = [_record(row) for row in rows[: query.limit]]
    marks = _tags(connection, [record.id for record in records])
    last = ""
    if more:
        newest = records[-1]
        value = newest.duration_s if query.order == "longest" else newest.started_at
        last = f"{value!r}~{newest.id}"
    return Page([Found(record, marks.get(record.id, ())) for record in records], last)


def every(connection: Connection, query: CallQuery, *, most: int) -> Iterator[Found]:
    """Yield up to ``most`` calls that fit, page after page (an export)."""
    from dataclasses import replace

    left, after = most, query.after
    while left > 0:
        page = find(connection, replace(query, limit=min(500, left), after=after))
        yield from page.calls
        left -= len(page.calls)
        after = page.next
        if not after:
            return


def one(connection: Connection, call_id: str) -> Found | None:
    """Return one call; None when it is not kept."""
    row = connection.execute(select(calls).where(calls.c.id == call_id)).first()
    return None if row is None else Found(_record(row), tags_of(connection, call_id))


def reasons_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return the reason of the end of each of these calls that is kept. Up to a few hundred at once."""
    rows = connection.execute(select(calls.c.id, calls.c.reason).where(calls.c.id.in_(list(ids))))
    return {row.id: row.reason for row in rows}


def lines_of(connection: Connection, call_id: str) -> Sequence[LineRecord]:
    """Return a call's transcript."""
    rows = connection.execute(select(lines).where(lines.c.call_id == call_id).order_by(lines.c.n))
    return [LineRecord(row.at, row.speaker, row.text, row.full_text, bool(row.cut)) for row in rows]


def responses_of(connection: Connection, call_id: str) -> Sequence[ResponseRecord]:
    """Return a call's requests, the oldest first."""
    rows = connection.execute(select(responses).where(responses.c.call_id == call_id).order_by(responses.c.n))
    return [
        ResponseRecord(
            row.id,
            row.origin,
            row.instructions,
            json.loads(row.metadata),
            row.submitted_at,
            row.state,
            row.reason,
            None if row.outcome is None else json.loads(row.outcome),
        )
        for row in rows
    ]


# ── tags ─────────────────────────────────────────────────────────────────────────────────────────
def tags_of(connection: Connection, call_id: str) -> Sequence[str]:
    """Return a call's tags in their order."""
    return _tags(connection, [call_id]).get(call_id, [])


def tag(connection: Connection, call_id: str, word: str, *, by: str, at: float) -> Sequence[str]:
    """Put a tag on a call, live or ended; returns all of them. Once is enough."""
    known = exists().where(tags.c.call_id == call_id, tags.c.tag == word)
    if not connection.execute(select(known)).scalar():
        connection.execute(insert(tags).values(call_id=call_id, tag=word, at=at, by=by))
        _index_again(connection, call_id)
    return tags_of(connection, call_id)


def untag(connection: Connection, call_id: str, word: str) -> Sequence[str]:
    """Take a tag off; returns those that are left."""
    connection.execute(delete(tags).where(tags.c.call_id == call_id, tags.c.tag == word))
    _index_again(connection, call_id)
    return tags_of(connection, call_id)


def _index_again(connection: Connection, call_id: str) -> None:
    row = connection.execute(select(calls).where(calls.c.id == call_id)).first()
    if row is not None:
        _index(connection, _record(row), [line.text for line in lines_of(connection, call_id)])


# ── parts ────────────────────────────────────────────────────────────────────────────────────────
def _filtered(connection: Connection, query: CallQuery) -> Select[Any]:
    wanted = select(calls)
    for name in ("direction", "flow", "trunk", "outcome"):
        value: str = storable(getattr(query, name))
        if value:
            wanted = wanted.where(calls.c[name] == value)
    if query.number:
        wanted = wanted.where(
            or_(
                calls.c.caller.contains(storable(query.number), autoescape=True),
                calls.c.called.contains(storable(query.number), autoescape=True),
            )
        )
    if query.since is not None:
        wanted = wanted.where(calls.c.started_at >= query.since)
    if query.until is not None:
        wanted = wanted.where(calls.c.started_at < query.until)
    if query.min_duration_s is not None:
        wanted = wanted.where(calls.c.duration_s >= query.min_duration_s)
    if query.recorded is not None:
        erased = exists().where(recordings.c.file == calls.c.recording, recordings.c.state == "erased")
        has = and_(calls.c.recording != "", ~erased)
        wanted = wanted.where(has if query.recorded else ~has)
    if query.tag:
        wanted = wanted.where(exists().where(tags.c.call_id == calls.c.id, tags.c.tag == storable(query.tag)))
    words = _WORD.findall(query.words)
    if query.words.strip() and not words:
        raise RequestRefused("q", "holds no word that could be looked for")
    if words:
        wanted = wanted.where(calls.c.id.in_(_said(connection.dialect.name, words)))
    return wanted


def _said(dialect: str, words: Sequence[str]) -> Any:
    """Return a selection of the calls that hold every word. The words are parameters, never syntax."""
    if dialect == "sqlite":
        # Inside double quotes FTS5 knows no operators.
        match = " ".join('"' + word.replace('"', '""') + '"*' for word in words)
        found = text("SELECT call_id FROM call_text WHERE call_text MATCH :match")
    else:
        plain = [one for word in words for one in _plain_words(word)]
        match = " & ".join("'" + word.replace("\\", "\\\\").replace("'", "''") + "':*" for word in plain)
        found = text("SELECT call_id FROM call_text WHERE search @@ to_tsquery('simple', :match)")
    return found.bindparams(bindparam("match", match)).columns(calls.c.id)


def _cursor(cursor: str) -> tuple[float, str]:
    value, _, call_id = cursor.partition("~")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not call_id:
        raise RequestRefused("after", "is no cursor of ours; take `next` of the page before")
    return number, call_id


def _tags(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        for row in connection.execute(_TAGS, {"some": some}):
            found.setdefault(row.call_id, []).append(row.tag)
    return found


def _record(row: Row[Any]) -> CallRecord:
    values = {name: getattr(row, name) for name in CallRecord.__dataclass_fields__}
    return CallRecord(**(values | {"figures": json.loads(row.figures)}))
