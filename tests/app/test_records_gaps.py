"""Recordings and rows between two steps: a killed process, a store that is away, a row that nobody takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, IntegrityError

from tests.app.test_aftercare import FILE, Encoder, Shelf, names, wav, write
from tests.kit.postgres_server import PostgresServer
from tests.kit.service import until
from voiceagent.app import archive as archive_module
from voiceagent.app.aftercare import Aftercare, AftercarePlan, known_of
from voiceagent.app.archive import Archive
from voiceagent.app.retention import purge
from voiceagent.records.opus import Encoded
from voiceagent.records.states import RecordingRecord, StateLog
from voiceagent.records.sweep import opus_name
from voiceagent.store import Database, WorkRefused, recordings

from .kept_calls import DAY, keep, shelves

NOW = 1_000 * DAY
KEEP_ALL = {"recordings": 0, "transcripts": 0, "journals": 0, "calls": 0, "audit": 0}


def many_encoded(folder: Path, count: int) -> Sequence[RecordingRecord]:
    made: list[RecordingRecord] = []
    folder.mkdir(exist_ok=True)
    for n in range(count):
        file = f"call_{n}-a.wav"
        made.append(
            RecordingRecord(
                file=file,
                call_id=f"call_{n}",
                name="a",
                started_at=1.0,
                location=opus_name(file),
                format="opus",
                state="encoded",
            )
        )
        write(folder / opus_name(file), b"x")
        StateLog(folder).append(made[-1])
    return made


async def test_what_the_database_knows_is_not_told_again_at_each_start(tmp_path: Path) -> None:
    database = Database("sqlite://")
    await database.open()
    first, *others = many_encoded(tmp_path, 5)
    await database.run(lambda c: [recordings.put(c, one) for one in others])
    told: list[RecordingRecord] = []
    care = Aftercare(tmp_path, AftercarePlan(opus=True), told.append)
    await care.take_up(await known_of(care, database))
    assert told == [first]
    await database.close()


async def test_what_was_stored_before_the_process_was_killed_is_told_at_the_next_start(
    tmp_path: Path,
) -> None:
    database = Database("sqlite://")
    await database.open()
    record = wav(tmp_path)
    stored = replace(record, state="stored", location=f"{Shelf.url}/{FILE}")
    await database.run(lambda c: recordings.put(c, record))
    StateLog(tmp_path).append(stored)  # and killed, before the database heard of it
    (tmp_path / FILE).unlink()
    told: list[RecordingRecord] = []
    care = Aftercare(tmp_path, AftercarePlan(store=Shelf()), told.append)
    await care.take_up(await known_of(care, database))
    assert told == [stored]
    assert len(care) == 0
    await database.close()


async def test_what_was_purged_while_it_was_encoded_does_not_come_back(tmp_path: Path) -> None:
    shelf, encoder, told = Shelf(), Encoder(), list[RecordingRecord]()

    def purged() -> None:
        (tmp_path / FILE).unlink()
        StateLog(tmp_path).append(replace(record, state="erased", location=""))

    async def encode(source: Path, to: Path, bitrate: int) -> Encoded:
        done = await encoder(source, to, bitrate)
        purged()  # retention had looked for parts a moment before there was one
        return done

    record = wav(tmp_path)
    care = Aftercare(tmp_path, AftercarePlan(opus=True, store=shelf), told.append, encode=encode)
    care.take(record)
    work = asyncio.create_task(care.run())
    await until(lambda: len(care) == 0)
    work.cancel()
    assert names(tmp_path) == set()
    assert shelf.kept == {}
    assert told == []


def test_a_call_stays_while_its_recording_cannot_be_removed(tmp_path: Path) -> None:
    class Away(Shelf):
        away = True

        def delete(self, name: str) -> bool:
            if self.away:
                raise OSError("away")
            return super().delete(name)

    store = Away()
    with shelves(tmp_path, store) as where:
        keep(where, "call_1", NOW - 41 * DAY)
        [known] = where.database.run_now(lambda c: recordings.of_call(c, "call_1"))
        stored = replace(known, state="stored", location=f"{store.url}/{FILE}")
        where.database.run_now(lambda c: recordings.put(c, stored))
        StateLog(where.recordings).append(stored)
        store.kept[FILE] = b"voice"
        days = KEEP_ALL | {"calls": 40}
        first = purge(where, days, now=NOW)
        assert (first.failed, first.counts["calls"]) == ([known.file], 0)
        store.away = False
        second = purge(where, days, now=NOW)
        assert (second.failed, second.counts["calls"], store.kept) == ([], 1, {})


async def test_a_row_that_the_database_never_takes_keeps_no_other_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive_module, "RETRY_S", (0.0,))
    put, tries = archive_module.recordings.put, list[str]()

    def picky(connection: Connection, record: RecordingRecord) -> bool:
        tries.append(record.file)
        if record.file == "bad.wav" and len(tries) < 50:  # as PostgreSQL with a text that holds NUL
            raise DataError("INSERT", {}, ValueError("cannot contain NUL"))
        return put(connection, record)

    monkeypatch.setattr(archive_module.recordings, "put", picky)
    database = Database("sqlite://")
    await database.open()
    archive = Archive(database, provider="embedded", node="a")
    work = asyncio.create_task(archive.run())
    for file in ("bad.wav", "good.wav"):
        archive.keep_state(RecordingRecord(file=file, call_id="call_1", name="a", started_at=1.0))
    assert await archive.flush(10.0)
    assert tries == ["bad.wav", "good.wav"]
    assert database.down == "", "it is there"
    work.cancel()
    await database.close()


async def test_a_row_that_another_node_writes_at_the_same_moment_is_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put, tries = archive_module.recordings.put, list[str]()

    def raced(connection: Connection, record: RecordingRecord) -> bool:
        tries.append(record.file)
        if len(tries) == 1:
            raise IntegrityError("INSERT", {}, ValueError("duplicate key"))
        return put(connection, record)

    monkeypatch.setattr(archive_module.recordings, "put", raced)
    database = Database("sqlite://")
    await database.open()
    archive = Archive(database, provider="embedded", node="a")
    work = asyncio.create_task(archive.run())
    archive.keep_state(RecordingRecord(file="a.wav", call_id="call_1", name="a", started_at=1.0))
    assert await archive.flush(10.0)
    assert await database.run(lambda c: recordings.get(c, "a.wav")) is not None
    work.cancel()
    await database.close()


@pytest.mark.fleet
def test_a_full_text_that_postgresql_does_not_take_is_no_outage(postgres: PostgresServer) -> None:
    database = Database(postgres.new_url())
    database.open_now()
    words = " ".join(f"{n:x}wordwordwordword" for n in range(60_000))
    insert = text("INSERT INTO call_text (call_id, body) VALUES ('call_1', :body)")
    for value in (words, "NUL\0"):
        with pytest.raises(WorkRefused):
            database.run_now(lambda c, body=value: c.execute(insert, {"body": body}))
    assert database.run_now(lambda c: c.execute(text("SELECT 1")).scalar()) == 1
    database.close_now()
