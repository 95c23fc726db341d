"""The database is locked, full, stopped, or away at a start: nothing is lost and nothing doubled."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.app.test_intake import Node, derived, ends, events, rows
from tests.kit.postgres_server import PostgresServer
from tests.store.journals import write_journal
from voiceagent.app import archive as archive_module
from voiceagent.app import intake as intake_module
from voiceagent.app.archive import Waiting
from voiceagent.errors import ConfigError
from voiceagent.store import Database
from voiceagent.store import database as database_module
from voiceagent.tasks import TaskNest


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "RETRY_S", (0.01,))
    monkeypatch.setattr(intake_module, "RETRY_S", 0.01)
    monkeypatch.setattr(database_module, "BUSY_MS", 10)


def end(node: Node, folder: Path, call_id: str) -> None:
    """A call of this node ends, as calls do: its journal is complete, and the archive hears of it."""
    write_journal(folder, call_id)
    record = derived(folder, call_id)
    node.archive._add(Waiting((record, [], []), node.outgoing.ended_before(record)))


@asynccontextmanager
async def running(folder: Path, database: Database) -> AsyncIterator[Node]:
    """A node; leaving it is a death without warning."""
    node, nest = Node(folder, database, time.time), TaskNest("test")
    node.intake.open()
    nest.start("archive", node.archive.run())
    nest.start("intake", node.intake.run())
    try:
        yield node
    finally:
        await nest.close()
        node.intake._looked = False  # a killed process keeps no mark
        node.intake.close()
        await database.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(45):
        while not condition():  # noqa: ASYNC110 - what happens is on the database's thread
            await asyncio.sleep(0.005)


async def opened(url: str, **how: Any) -> Database:
    database = Database(url)
    await database.open(**how)
    return database


async def all_once(url: str, ids: list[str], folder: Path) -> None:
    database = await opened(url)
    assert sorted(one.id for one in await rows(database)) == ids
    told = await events(database)
    assert sorted(one.call_id for one in told) == ids
    assert all(len(ends(folder / f"{one}.jsonl")) == 1 for one in ids)
    await database.close()


async def test_sqlite_is_locked_by_somebody_else(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/v.db"
    async with running(tmp_path / "j", await opened(url)) as node:
        with closing(sqlite3.connect(tmp_path / "v.db", isolation_level=None)) as other:
            await until(lambda: node.intake._looked)
            other.execute("BEGIN EXCLUSIVE")
            for n in range(4):
                end(node, tmp_path / "j", f"call_{n}")
            await until(lambda: "locked" in node.intake._database.down)
            assert len(node.archive) == 4
            other.execute("ROLLBACK")
        assert await node.archive.flush(45)
    await all_once(url, [f"call_{n}" for n in range(4)], tmp_path / "j")


async def test_the_disk_of_the_database_is_full(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/v.db"

    def pages(most: int) -> Callable[[Any], object]:
        return lambda connection: connection.execute(text(f"PRAGMA max_page_count={most}")).scalar()

    database = await opened(url)
    async with running(tmp_path / "j", database) as node:
        await until(lambda: node.intake._looked)
        await database.run(pages(1))  # as many as there are
        for n in range(60):
            end(node, tmp_path / "j", f"call_{n:02}")
        await until(lambda: "full" in database.down)
        await database.run(pages(1_000_000))
        assert await node.archive.flush(45)
    await all_once(url, [f"call_{n:02}" for n in range(60)], tmp_path / "j")


async def test_killed_while_the_database_is_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/v.db"
    with closing(sqlite3.connect(tmp_path / "v.db", isolation_level=None)) as other:
        async with running(tmp_path / "j", await opened(url)) as node:
            await until(lambda: (tmp_path / "j" / intake_module.MARK).exists())
            other.execute("BEGIN EXCLUSIVE")
            for n in range(3):
                end(node, tmp_path / "j", f"call_{n}")
            write_journal(tmp_path / "j", "call_3", lines=40)
            await until(lambda: bool(node.intake._database.down))
        other.execute("ROLLBACK")
    async with running(tmp_path / "j", await opened(url)) as node:
        await until(lambda: node.intake._looked)
        assert await node.archive.flush(45)
    await all_once(url, [f"call_{n}" for n in range(4)], tmp_path / "j")


async def test_postgresql_is_stopped_and_a_node_starts_meanwhile(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_url()
    try:
        async with running(tmp_path, await opened(url)) as node:
            end(node, tmp_path, "call_0")
            assert await node.archive.flush(45)
            await until(lambda: (tmp_path / intake_module.MARK).exists())
            postgres.stop()
            for n in range(1, 4):
                end(node, tmp_path, f"call_{n}")
            await until(lambda: bool(node.intake._database.down))
            assert len(node.archive) == 3

        with pytest.raises(ConfigError, match=r"database\.url"):
            Database(url).open_now()
        assert Node(tmp_path, Database(url), time.time).intake.knows_database
        async with running(tmp_path, await opened(url, patient=True)) as node:
            end(node, tmp_path, "call_4")
            write_journal(tmp_path, "call_5", lines=30)
            await until(lambda: bool(node.intake._database.down))
            postgres.start()
            await until(lambda: node.intake._looked)
            assert await node.archive.flush(45)
            end(node, tmp_path, "call_6")
            postgres.stop()
            postgres.start()  # shorter than any look at it
            assert await node.archive.flush(45)
        async with running(tmp_path, await opened(url)) as node:
            await until(lambda: node.intake._looked)
            assert await node.archive.flush(45)
    finally:
        postgres.stop()
        postgres.start()
    await all_once(url, [f"call_{n}" for n in range(7)], tmp_path)
