"""The audit log: append-only, each line holding the hash of the one before it.

A line's hash is SHA-256 over its fields as canonical JSON, the previous hash among them. Who changes or
removes a line breaks every hash after it; :func:`verify` says where. It cannot show that the newest lines
were cut off: keep the last hash elsewhere (the export and the log line of each start tell it).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select, text

from voiceagent.store.tables import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection

GENESIS = "0" * 64
LOCK = 7_262_001
"""Number of PostgreSQL's lock for the log's end: any that nobody else has."""
PURGE = "retention.purge"
"""Action of the line that tells what was removed when its time was over."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did, or was refused."""

    actor: str
    role: str
    via: str
    """page, key, token, cli."""
    action: str
    """``call.respond``, ``call.listen``, ``user.add``, ``session.sign_in`` …"""
    target: str = ""
    """What it was done to: an id of a call, a user, a key."""
    result: str = "done"
    """done, or the code of the refusal."""
    peer: str = ""
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the log."""

    n: int
    at: float
    actor: str
    role: str
    via: str
    peer: str
    action: str
    target: str
    result: str
    detail: str
    previous: str
    hash: str


def take_turn(connection: Connection) -> None:
    """Wait until no other node is writing to the log, and keep them waiting until the transaction's end.

    Whatever locks the table as well takes its turn before: in the other order two nodes lock each other out.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def append(connection: Connection, deeds: Sequence[Deed], *, at: float | None = None) -> Sequence[AuditLine]:
    """Write lines at the end. Nodes with one database do so one after the other."""
    take_turn(connection)
    last = connection.execute(select(audit.c.n, audit.c.hash).order_by(audit.c.n.desc()).limit(1)).first()
    n, previous = (0, GENESIS) if last is None else (last.n, last.hash)
    now = round(time.time() if at is None else at, 6)
    written: list[AuditLine] = []
    for deed in deeds:
        n += 1
        fields: dict[str, Any] = {
            "n": n,
            "at": now,
            "actor": deed.actor,
            "role": deed.role,
            "via": deed.via,
            "peer": deed.peer,
            "action": deed.action,
            "target": deed.target,
            "result": deed.result,
            "detail": json.dumps(deed.detail or {}, sort_keys=True, default=str),
            "previous": previous,
        }
        previous = hash_of(fields)
        connection.execute(insert(audit).values(**fields, hash=previous))
        written.append(AuditLine(**fields, hash=previous))
    return written


def has(connection: Connection, deed: Deed, *, at: float) -> bool:
    """Return whether the log has this line: the same deed of the same microsecond."""
    same = select(audit.c.n).where(
        audit.c.at == round(at, 6),
        audit.c.actor == deed.actor,
        audit.c.action == deed.action,
        audit.c.target == deed.target,
        audit.c.result == deed.result,
    )
    return connection.execute(same.limit(1)).first() is not None


def hash_of(fields: Mapping[str, Any]) -> str:
    """Return the hash of a line's fields (all but ``hash``)."""
    plain = json.dumps(dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(plain.encode("ascii")).hexdigest()


def read(
    connection: Connection,
    *,
    before: int | None = None,
    limit: int = 100,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
) -> Sequence[AuditLine]:
    """Return lines, the newest first; ``action`` is a whole one or a beginning with a dot, ``call.``."""
    wanted = select(audit).order_by(audit.c.n.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(audit.c.n < before)
    if actor is not None:
        wanted = wanted.where(audit.c.actor == actor)
    if action is not None:
        by = (
            audit.c.action.startswith(action, autoescape=True)
            if action.endswith(".")
            else audit.c.action == action
        )
        wanted = wanted.where(by)
    if target is not None:
        wanted = wanted.where(audit.c.target == target)
    return [_line(row) for row in connection.execute(wanted)]


def walk(connection: Connection, *, page: int = 1000) -> Iterator[AuditLine]:
    """Yield every line, the oldest first."""
    after = 0
    while lines := read_on(connection, after, page):
        yield from lines
        after = lines[-1].n


def read_on(connection: Connection, after: int, limit: int) -> Sequence[AuditLine]:
    """Return the lines that follow line ``after``, the oldest first; none when there are no more."""
    wanted = select(audit).where(audit.c.n > after).order_by(audit.c.n).limit(limit)
    return [_line(row) for row in connection.execute(wanted)]


class Chain:
    """PURE. Follows the lines from the first on: ``wrong`` says what is with the first bad one.

    The oldest lines may have been removed when their time was over; a later line tells where (action
    ``retention.purge``), and without it they are missing: :meth:`finish` knows.
    """

    def __init__(self) -> None:
        self._cut: tuple[int, str] | None = None
        self.count = 0
        self.wrong = ""
        self.last_hash = ""
        self.last_n = 0

    def follow(self, lines: Iterable[AuditLine]) -> bool:
        """Take the next lines; False as soon as one is wrong."""
        for line in lines:
            if not self.count and line.n > 1:
                self._cut = line.n - 1, line.previous
                self.last_n, self.last_hash = self._cut
            self.count += 1
            fields = asdict(line)
            told = fields.pop("hash")
            if line.n != self.last_n + 1:
                self.wrong = f"line {self.last_n + 1} is missing"
            elif line.previous != (self.last_hash or GENESIS):
                self.wrong = f"line {line.n} does not follow the line before it"
            elif hash_of(fields) != told:
                self.wrong = f"line {line.n} has been changed"
            if self.wrong:
                return False
            self.last_hash, self.last_n = told, line.n
            if self._cut is not None and line.action == PURGE and _cut_of(line) == self._cut:
                self._cut = None
        return True

    def finish(self) -> str:
        """Return what is wrong, now that there are no more lines; empty: all is well."""
        if not self.wrong and self._cut is not None:
            self.wrong = f"lines 1 to {self._cut[0]} are missing"
        return self.wrong


def _cut_of(line: AuditLine) -> tuple[int, str] | None:
    try:
        cut: Any = json.loads(line.detail).get("audit")
        return int(cut["n"]), str(cut["hash"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def verify(connection: Connection) -> tuple[int, str]:
    """Return how many lines there are, and what is wrong with the first bad one (empty: all is well)."""
    chain = Chain()
    chain.follow(walk(connection))
    return chain.count, chain.finish()


def _line(row: Row[Any]) -> AuditLine:
    return AuditLine(*row)
