"""Audit lines outlive an outage of the database, a full queue and a killed process; each is there once."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from voiceagent.console import audit as module
from voiceagent.console.audit import AuditDesk
from voiceagent.console.audit_spill import AuditSpill
from voiceagent.console.auth import Visitor
from voiceagent.console.rights import Role
from voiceagent.store import Database, DatabaseDown, audit
from voiceagent.store.audit import Deed

from .kit import PATIENCE_S


class Away(Database):
    away = False

    async def run(self, work: Any) -> Any:
        if self.away:
            await asyncio.sleep(0)
            raise DatabaseDown("locked")
        return await super().run(work)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.001)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: Any) -> AsyncIterator[Away]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres").new_url()
    store = Away(url)
    await store.open()
    yield store
    await store.close()


@asynccontextmanager
async def running(desk: AuditDesk) -> AsyncIterator[AuditDesk]:
    """Leaving it is a death without warning."""
    work = asyncio.create_task(desk.run())
    yield desk
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def note(desk: AuditDesk, *targets: str) -> None:
    visitor = Visitor(Role.ADMIN, "bearer")
    for target in targets:
        desk.note(visitor, "127.0.0.1", "call.respond", target, words="x")


async def targets(database: Away) -> list[str]:
    database.away = False
    count, wrong = await database.run(audit.verify)
    assert wrong == ""
    lines = await database.run(lambda c: audit.read_on(c, 0, 10_000))
    assert len(lines) == count
    return [line.target for line in lines]


async def test_killed_during_an_outage(tmp_path: Path, database: Away) -> None:
    path = tmp_path / "audit.waiting"
    async with running(AuditDesk(database, AuditSpill(path))) as desk:
        note(desk, "a")
        assert await desk.flush(PATIENCE_S)
        assert not path.exists()
        database.away = True
        note(desk, "b", "c")
        assert len(desk) == 2
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes() + b'\n{"at": 1.0, "actor": "torn')
    async with running(AuditDesk(database, AuditSpill(path))) as desk:
        note(desk, "d")
        database.away = False
        assert await desk.flush(PATIENCE_S)
        assert not path.exists()
    assert await targets(database) == ["a", "b", "c", "d"]


async def test_killed_between_the_commit_and_its_being_known(tmp_path: Path, database: Away) -> None:
    spill = AuditSpill(tmp_path / "audit.waiting")
    done = Deed("ada", "admin", "api", "call.respond", "a")
    spill.add(5.25, done)
    spill.add(5.5, done)
    await database.run(lambda c: audit.append(c, [done], at=5.25))
    async with running(AuditDesk(database, AuditSpill(tmp_path / "audit.waiting"))) as desk:
        note(desk, "b")
        assert await desk.flush(PATIENCE_S)
    assert await targets(database) == ["a", "a", "b"]


async def test_memory_is_bounded_and_order_is_kept(
    tmp_path: Path, database: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    names = [f"{n:02}" for n in range(20)]
    async with running(AuditDesk(database, AuditSpill(tmp_path / "audit.waiting"))) as desk:
        await desk.flush(PATIENCE_S)
        note(desk, "first")
        assert await desk.flush(PATIENCE_S)
        database.away = True
        note(desk, *names)
        assert len(desk) == 20
        assert len(desk._waiting) == 3
        database.away = False
        note(desk, "last")
        assert await desk.flush(PATIENCE_S)
    assert await targets(database) == ["first", *names, "last"]


async def test_without_a_disk_there_is_memory(
    tmp_path: Path, database: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with running(AuditDesk(database, AuditSpill(tmp_path / "audit.waiting"))) as desk:
        with monkeypatch.context() as full:
            full.setattr(os, "write", refuse)
            spill = AuditSpill(tmp_path / "audit.waiting")
            assert not spill.add(1.0, Deed("a", "admin", "api", "x"))
        note(desk, "a")
        assert await desk.flush(PATIENCE_S)
    assert await targets(database) == ["a"]


async def test_two_nodes_write_one_chain(postgres: Any) -> None:
    url = postgres.new_url()
    nodes = [Away(url), Away(url)]
    for one in nodes:
        await one.open()

    async def some(node: Away, name: str) -> None:
        for n in range(15):
            await node.run(lambda c, n=n: audit.append(c, [Deed(name, "admin", "api", "x", str(n))]))

    await asyncio.gather(*(some(node, name) for node, name in zip(nodes, "ab", strict=True)))
    assert len(await targets(nodes[0])) == 30
    for one in nodes:
        await one.close()
