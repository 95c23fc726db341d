"""Records to put into a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.postgres_server import PostgresServer
from voiceagent.store import Database
from voiceagent.store.history import CallRecord


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        url = "sqlite://"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_url()
    store = Database(url)
    store.open_now()
    yield store
    store.close_now()


def record(call_id: str, **changes: Any) -> CallRecord:
    plain = CallRecord(
        id=call_id,
        node="a",
        direction="inbound",
        kind="direct",
        caller="+4930123456",
        called="+4930900100",
        flow="front-desk",
        trunk="default",
        provider="embedded",
        started_at=1000.0,
        answered_at=1001.0,
        ended_at=1060.0,
        duration_s=60.0,
        outcome="completed",
        reason="flow_ended",
        fault="",
    )
    from dataclasses import replace

    return replace(plain, **changes)
