"""Outgoing webhooks: kept until delivered, dead after the last try. Work for :meth:`Database.run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, case, delete, func, or_, select, update

from voiceagent.store.tables import outbox

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Table


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint."""

    n: int
    id: str
    """The event's id, ``msg_…``: the same for every endpoint and every try."""
    endpoint: str
    """The endpoint's name in the settings."""
    type: str
    call_id: str
    payload: str
    """The body, JSON."""
    created_at: float
    state: str
    """waiting, delivered, dead."""
    attempts: int
    next_at: float
    ended_at: float | None
    status: int | None
    """HTTP status of the last try; None when there was no answer."""
    error: str
    leased_by: str | None = None
    """The node that tries it now; None: nobody."""
    leased_until: float | None = None


def put(
    connection: Connection,
    endpoints: Sequence[str],
    *,
    event_id: str,
    kind: str,
    call_id: str,
    payload: str,
    at: float,
) -> None:
    """Keep an event for each endpoint.

    Done again (a commit whose answer was lost, another node that tells the same), it changes nothing.
    """
    if endpoints:
        connection.execute(
            insert_new(connection, outbox),
            [
                {
                    "id": event_id,
                    "endpoint": endpoint,
                    "type": kind,
                    "call_id": call_id,
                    "payload": payload,
                    "created_at": at,
                    "state": "waiting",
                    "attempts": 0,
                    "next_at": at,
                    "error": "",
                }
                for endpoint in endpoints
            ],
        )


def knows(connection: Connection, event_id: str) -> bool:
    """Return whether an event was put here, and is not forgotten yet."""
    return connection.execute(select(outbox.c.n).where(outbox.c.id == event_id).limit(1)).first() is not None


def payload_of(connection: Connection, event_id: str) -> str | None:
    """Return what an event says that was put here; None: it was not, or is forgotten."""
    return connection.execute(select(outbox.c.payload).where(outbox.c.id == event_id).limit(1)).scalar()


def insert_new(connection: Connection, table: Table) -> Any:
    """Return an INSERT that passes over rows that are there already."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()


def due(
    connection: Connection, endpoint: str, *, now: float, first: int = 20, retries: int = 20
) -> Sequence[Delivery]:
    """Return what is to be tried now at an endpoint, and is tried by nobody.

    First what was never tried, in the order of the events, then what failed, the longest overdue first: an
    endpoint that was away long hears of new events in their order all the same.
    """
    waiting = select(outbox).where(outbox.c.endpoint == endpoint, outbox.c.state == "waiting", _free(now))
    new = waiting.where(outbox.c.attempts == 0).order_by(outbox.c.n).limit(first)
    old = waiting.where(outbox.c.attempts > 0, outbox.c.next_at <= now)
    rows = [
        *connection.execute(new),
        *connection.execute(old.order_by(outbox.c.next_at, outbox.c.n).limit(retries)),
    ]
    return [_delivery(row) for row in rows]


def claim(connection: Connection, n: int, *, by: str, now: float, until: float) -> bool:
    """Take one for this node until then; False when another node has it, or it does not wait any more."""
    changed = connection.execute(
        update(outbox)
        .where(outbox.c.n == n, outbox.c.state == "waiting", _free(now))
        .values(leased_by=by, leased_until=until)
    )
    return changed.rowcount == 1


def release(connection: Connection, endpoint: str, *, by: str) -> None:
    """Give back what an earlier run of this node had taken."""
    held = outbox.c.endpoint == endpoint, outbox.c.leased_by == by
    connection.execute(update(outbox).where(*held).values(leased_by=None, leased_until=None))


def _free(now: float) -> ColumnElement[bool]:
    return or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now)


def next_due(connection: Connection, endpoint: str) -> float | None:
    """Return when an endpoint's next try is due; None when nothing waits."""
    leased = func.coalesce(outbox.c.leased_until, 0.0)
    due_at = case((leased > outbox.c.next_at, leased), else_=outbox.c.next_at)
    return connection.execute(
        select(func.min(due_at)).where(outbox.c.endpoint == endpoint, outbox.c.state == "waiting")
    ).scalar()


def delivered(connection: Connection, n: int, *, status: int, at: float) -> None:
    """The endpoint has taken it."""
    connection.execute(
        update(outbox)
        .where(outbox.c.n == n)
        .values(
            state="delivered",
            attempts=outbox.c.attempts + 1,
            status=status,
            ended_at=at,
            error="",
            leased_by=None,
            leased_until=None,
        )
    )


def failed(
    connection: Connection, n: int, *, status: int | None, error: str, at: float, retry_at: float | None
) -> None:
    """The try has failed: again at ``retry_at``, or never (None)."""
    values: dict[str, Any] = {"attempts": outbox.c.attempts + 1, "status": status, "error": error[:500]}
    values |= {"leased_by": None, "leased_until": None}
    if retry_at is None:
        values |= {"state": "dead", "ended_at": at}
    else:
        values |= {"next_at": retry_at}
    connection.execute(update(outbox).where(outbox.c.n == n).values(**values))


def give_up(connection: Connection, endpoint: str, *, error: str, at: float) -> int:
    """Nothing that waits for an endpoint is tried any more; returns how many that were."""
    return connection.execute(
        update(outbox)
        .where(outbox.c.endpoint == endpoint, outbox.c.state == "waiting")
        .values(state="dead", ended_at=at, error=error[:500])
    ).rowcount


def give_up_strangers(connection: Connection, endpoints: Sequence[str], *, error: str, at: float) -> int:
    """… for endpoints that are none of these; returns how many that were."""
    return connection.execute(
        update(outbox)
        .where(outbox.c.endpoint.not_in(list(endpoints)), outbox.c.state == "waiting")
        .values(state="dead", ended_at=at, error=error[:500])
    ).rowcount


def is_gone(connection: Connection, endpoint: str) -> bool:
    """Return whether an endpoint has answered 410 Gone, and has taken nothing since."""
    newest = select(func.max(outbox.c.ended_at)).where(outbox.c.endpoint == endpoint)
    gone = connection.execute(newest.where(outbox.c.state == "dead", outbox.c.status == 410)).scalar()
    taken = connection.execute(newest.where(outbox.c.state == "delivered")).scalar()
    return gone is not None and (taken is None or taken < gone)


def retry(connection: Connection, n: int, *, at: float) -> Delivery:
    """Try a dead one again from the start. Raises KeyError for one that is not dead."""
    changed = connection.execute(
        update(outbox)
        .where(outbox.c.n == n, outbox.c.state == "dead")
        .values(state="waiting", attempts=0, next_at=at, ended_at=None)
    ).rowcount
    if not changed:
        raise KeyError(n)
    return _delivery(connection.execute(select(outbox).where(outbox.c.n == n)).one())


def get(connection: Connection, n: int) -> Delivery:
    """Return one. Raises KeyError."""
    row = connection.execute(select(outbox).where(outbox.c.n == n)).one_or_none()
    if row is None:
        raise KeyError(n)
    return _delivery(row)


def page(
    connection: Connection, *, state: str | None = None, before: int | None = None, limit: int = 100
) -> Sequence[Delivery]:
    """Return deliveries, the newest first."""
    wanted = select(outbox).order_by(outbox.c.n.desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(outbox.c.state == state)
    if before is not None:
        wanted = wanted.where(outbox.c.n < before)
    return [_delivery(row) for row in connection.execute(wanted)]


def waiting(connection: Connection) -> int:
    """Return how many wait."""
    found = connection.execute(select(func.count()).where(outbox.c.state == "waiting")).scalar()
    return found or 0


def counts(connection: Connection) -> dict[str, int]:
    """Return how many there are of each state."""
    rows = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
    return {row[0]: row[1] for row in rows}


def sweep(connection: Connection, *, delivered_before: float, dead_before: float) -> int:
    """Forget old ones; returns how many."""
    gone = connection.execute(
        delete(outbox).where(outbox.c.state == "delivered", outbox.c.ended_at < delivered_before)
    ).rowcount
    return (
        gone
        + connection.execute(
            delete(outbox).where(outbox.c.state == "dead", outbox.c.ended_at < dead_before)
        ).rowcount
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(*row)
