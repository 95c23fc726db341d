"""Ended calls reach the database in order, also when it is away for a while."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.store.kit import record
from voiceagent.app import archive as module
from voiceagent.app.archive import Archive
from voiceagent.records.journal import Journal
from voiceagent.store import Database, DatabaseDown, recordings
from voiceagent.store.history import CallQuery, LineRecord, find

CLOSED = Journal(None, None)
CLOSED.close()


class Flaky(Database):
    """Away for the first ``failures`` pieces of work."""

    def __init__(self, failures: int) -> None:
        super().__init__("sqlite://")
        self.failures = failures

    async def run(self, work: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise DatabaseDown("locked")
        return await super().run(work)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_of(call: Any, provider: str, node: str) -> Any:
        return record(call.id, started_at=call.at), [LineRecord(0.0, "agent", "hi", "hi", False)], []

    monkeypatch.setattr(module, "entry_of", entry_of)
    monkeypatch.setattr(module, "RETRY_S", (0.0,))


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize("failures", [0, 1, 7])
async def test_nothing_is_lost_and_nothing_twice(failures: int) -> None:
    database = Flaky(failures)
    await database.open()
    archive = Archive(database, provider="embedded", node="a")
    told: list[str] = []
    archive.told = told.append
    work = asyncio.create_task(archive.run())
    for n in range(5):
        archive.keep(SimpleNamespace(journal=CLOSED, id=f"call_{n}", at=float(n)))  # type: ignore[arg-type]
    assert await archive.flush(10.0)
    assert told == [f"call_{n}" for n in range(5)]
    page = await database.run(lambda c: find(c, CallQuery(order="oldest")))
    assert [found.call.id for found in page.calls] == told
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await database.close()


@pytest.mark.usefixtures("entries")
async def test_memory_is_bounded_and_the_loss_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MOST", 3)
    archive = Archive(Flaky(10**9), provider="embedded", node="a")
    for n in range(5):
        archive.keep(SimpleNamespace(journal=CLOSED, id=f"call_{n}", at=float(n)))  # type: ignore[arg-type]
    assert (len(archive), archive.dropped) == (3, 2)
    assert not await archive.flush(0.0)


async def test_the_news_of_a_recording_are_kept_in_their_order() -> None:
    database = Flaky(2)
    await database.open()
    archive = Archive(database, provider="embedded", node="a")
    call: Any = SimpleNamespace(
        id="call_1", started_at=100.0, recorder=SimpleNamespace(files=["call_1.wav"], begun=[2.5])
    )
    named = {"name": "call_1", "file": "call_1.wav"}
    archive.keep_recording(call, "recording.started", named)
    archive.keep_recording(call, "recording.paused", named)
    assert len(archive) == 1, "a pause changes nothing of the file"
    archive.keep_recording(
        call, "recording.finished", {**named, "seconds": 3.0, "bytes": 96_044, "sha256": "ab"}
    )
    work = asyncio.create_task(archive.run())
    assert await archive.flush(10.0)
    [kept] = await database.run(lambda c: recordings.of_call(c, "call_1"))
    assert (kept.state, kept.started_at, kept.seconds, kept.bytes) == ("finished", 102.5, 3.0, 96_044)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await database.close()
