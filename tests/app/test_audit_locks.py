"""Two nodes with one PostgreSQL: an erasure makes hashes anew while the other node writes a line."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from tests.kit.postgres_server import PostgresServer
from voiceagent.store import Database, audit, erasing
from voiceagent.store.audit import Deed

WAITS = text(
    "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE NOT l.granted AND a.datname = current_database()"
)


@pytest.mark.fleet
def test_an_erasure_and_another_node_do_not_lock_each_other_out(postgres: PostgresServer) -> None:
    url = postgres.new_url()
    ours, theirs, watcher = Database(url), Database(url), Database(url)
    for one in (ours, theirs, watcher):
        one.open_now()
    said = Deed("ann", "operator", "page", "call.respond", "call_1", detail={"words": "canary"})
    ours.run_now(lambda c: audit.append(c, [said], at=1.0))
    late: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as thread:

        def meanwhile(detail: str) -> bool:
            if not late:
                late.append(
                    thread.submit(theirs.run_now, lambda c: audit.append(c, [Deed("b", "", "", "x")], at=2.0))
                )
                for _ in range(100_000):
                    if late[0].done() or watcher.run_now(lambda c: c.execute(WAITS).scalar()):
                        break
            return "canary" in detail

        def erase(connection: Any) -> None:
            assert erasing.empty_audit(connection, [], meanwhile)["changed"] == 1
            audit.append(connection, [Deed("ann", "", "", "erasure")], at=3.0)

        ours.run_now(erase)
        late[0].result(30)
    assert ours.run_now(audit.verify) == (3, "")
    for one in (ours, theirs, watcher):
        one.close_now()
