"""The care for recordings: each step proven before the old file goes, taken up wherever it was ended."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kit.service import until
from voiceagent.app import aftercare
from voiceagent.app.aftercare import Aftercare, AftercarePlan, next_step
from voiceagent.errors import MediaError
from voiceagent.media.wav import WavWriter
from voiceagent.records.objects import Head, NoSuchObject, StoreError
from voiceagent.records.opus import Encoded
from voiceagent.records.states import RecordingRecord, StateLog
from voiceagent.records.sweep import call_of

CALL = "call_1"
FILE = "call_1-order.wav"


def wav(folder: Path, file: str = FILE, seconds: float = 2.0) -> RecordingRecord:
    """Write a recording; return what its journal tells of it."""
    folder.mkdir(exist_ok=True)
    with WavWriter(folder / file, channels=2) as out:
        out.write(os.urandom(int(seconds * 8000) * 4))
    call_id, name = call_of(file)
    body = (folder / file).read_bytes()
    return RecordingRecord(
        file=file,
        call_id=call_id,
        name=name,
        started_at=100.0,
        seconds=seconds,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        location=file,
        state="finished",
    )


def names(folder: Path) -> set[str]:
    """All files but the log of states."""
    return {path.name for path in folder.iterdir()} - {"recordings.jsonl", "recordings.lock"}


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, body: bytes) -> None:
    path.write_bytes(body)


class Encoder:
    """Stands for the process that encodes: the digest of what it read is the file it makes."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, source: Path, to: Path, bitrate: int) -> Encoded:
        self.asked.append(source.name)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        write(to, b"half")
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            raise MediaError("cannot", code="opus")
        body = hashlib.sha256(read(source)).digest()
        write(to, body)
        return Encoded(2.0, len(body), hashlib.sha256(body).hexdigest())


class Shelf:
    """A store in memory that fails as often as it is told."""

    url = "s3://bucket/calls"

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.kept: dict[str, bytes] = {}
        self.spoil = False

    def put(self, name: str, path: Path) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("away")
        self.kept[name] = b"other" * 1000 if self.spoil else path.read_bytes()
        self.spoil = False

    def head(self, name: str) -> Head:
        if name not in self.kept:
            raise NoSuchObject(name)
        return Head(len(self.kept[name]), "")

    def read(self, name: str, start: int, end: int) -> bytes:
        return self.kept[name][start:end]

    def delete(self, name: str) -> bool:
        return self.kept.pop(name, None) is not None


@asynccontextmanager
async def caring(
    folder: Path, plan: AftercarePlan, encode: Encoder
) -> AsyncIterator[tuple[Aftercare, list[str]]]:
    """The task, running; and what was told, as ``state location``."""
    told: list[str] = []
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    care = Aftercare(
        folder,
        plan,
        lambda record: told.append(f"{record.state} {record.location}"),
        encode=encode,
        wall=lambda: 500.0,
        pause=pause,
    )
    task = asyncio.create_task(care.run())
    try:
        yield care, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def idle(care: Aftercare) -> None:
    await until(lambda: len(care) == 0)


@pytest.mark.parametrize("keep_local", [False, True])
async def test_a_recording_is_encoded_then_stored(tmp_path: Path, keep_local: bool) -> None:
    record, store = wav(tmp_path), Shelf()
    plan = AftercarePlan(opus=True, store=store, keep_local=keep_local)
    async with caring(tmp_path, plan, Encoder()) as (care, told):
        care.take(record)
        await idle(care)
    assert told == ["encoded call_1-order.opus", "stored s3://bucket/calls/call_1-order.opus"]
    assert names(tmp_path) == ({"call_1-order.opus"} if keep_local else set())
    newest = StateLog(tmp_path).newest()[FILE]
    assert (newest.state, newest.format, newest.changed_at) == ("stored", "opus", 500.0)
    assert newest.sha256 == hashlib.sha256(store.kept["call_1-order.opus"]).hexdigest()


async def test_one_at_a_time_and_everyone_in_turn(tmp_path: Path) -> None:
    encoder = Encoder()
    async with caring(tmp_path, AftercarePlan(opus=True), encoder) as (care, told):
        for n in range(5):
            care.take(wav(tmp_path, f"call_{n}.wav", 0.2))
        await idle(care)
    assert encoder.asked == [f"call_{n}.wav" for n in range(5)]
    assert encoder.most_at_once == 1
    assert len(told) == 5


async def test_a_store_that_is_away_is_asked_again_and_a_spoilt_upload_is_not_believed(
    tmp_path: Path,
) -> None:
    record, store = wav(tmp_path), Shelf(failures=4)
    store.spoil = True
    async with caring(tmp_path, AftercarePlan(store=store), Encoder()) as (care, told):
        care.take(record)
        await idle(care)
    assert told == [f"stored s3://bucket/calls/{FILE}"]
    assert hashlib.sha256(store.kept[FILE]).hexdigest() == record.sha256


async def test_what_cannot_be_encoded_stays_a_wav_file_and_is_stored_so(tmp_path: Path) -> None:
    record, store, encoder = wav(tmp_path), Shelf(), Encoder(failures=99)
    async with caring(tmp_path, AftercarePlan(opus=True, store=store), encoder) as (care, told):
        care.take(record)
        await idle(care)
    assert len(encoder.asked) == 3
    assert told == [f"stored s3://bucket/calls/{FILE}"]
    assert names(tmp_path) == set()


async def test_more_than_fit_into_memory_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftercare, "WAITING_MOST", 2)
    async with caring(tmp_path, AftercarePlan(opus=True), Encoder()) as (care, told):
        for n in range(6):
            care.take(wav(tmp_path, f"call_{n}.wav", 0.2))
        assert len(care) == 2
        await until(lambda: len(names(tmp_path)) == 6 and not list(tmp_path.glob("*.wav")))
    assert {name.partition(".")[2] for name in names(tmp_path)} == {"opus"}
    assert len([one for one in told if one.startswith("encoded")]) == 6


@pytest.mark.parametrize("seen", ["wav", "half", "renamed", "logged", "encoded", "unlogged store", "stored"])
async def test_ended_anywhere_it_is_taken_up_again(tmp_path: Path, seen: str) -> None:
    """Each ``seen`` is what a process left that was killed between two effects."""
    record, store, log = wav(tmp_path), Shelf(), StateLog(tmp_path)
    body = hashlib.sha256((tmp_path / FILE).read_bytes()).digest()
    opus = tmp_path / "call_1-order.opus"
    encoded = replace(
        record,
        state="encoded",
        format="opus",
        location=opus.name,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )
    if seen == "half":
        (tmp_path / "call_1-order.opus.77-0.part").write_bytes(b"half")
    if seen in ("renamed", "logged", "encoded", "unlogged store", "stored"):
        opus.write_bytes(body)
    if seen in ("logged", "encoded", "unlogged store", "stored"):
        log.append(encoded)
    if seen in ("encoded", "unlogged store", "stored"):
        (tmp_path / FILE).unlink()
    if seen in ("unlogged store", "stored"):
        store.kept[opus.name] = body
    if seen == "stored":
        log.append(replace(encoded, state="stored", location=f"s3://bucket/calls/{opus.name}"))
    async with caring(tmp_path, AftercarePlan(opus=True, store=store), Encoder()) as (care, _):
        await care.take_up({FILE: record})
        await idle(care)
    assert store.kept == {opus.name: body}
    assert log.newest()[FILE].state == "stored"
    assert names(tmp_path) == set()


async def test_what_a_crash_left_is_mended_and_told(tmp_path: Path) -> None:
    out = (tmp_path / FILE).open("w+b")
    WavWriter(out, channels=2).write(bytes(4 * 12_000))
    out.close()  # 1.5 s, a header of 1 s … and no end in any journal
    began = RecordingRecord(file=FILE, call_id=CALL, name="order", started_at=100.0, location=FILE)
    async with caring(tmp_path, AftercarePlan(), Encoder()) as (care, told):
        assert await care.take_up({FILE: began}) == 0
        assert told == [f"finished {FILE}"]
        known = StateLog(tmp_path).newest()[FILE]
        assert (known.seconds, known.call_id, known.started_at) == (1.5, CALL, 100.0)
        assert known.error == "the process ended before the recording did"
        assert known.sha256 == hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest()
        told.clear()
        await care.take_up({FILE: known})
        assert told == [], "once is enough"


async def test_what_is_recorded_at_the_moment_is_left_alone(tmp_path: Path) -> None:
    wav(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    encoder = Encoder()
    with (tmp_path / FILE).open("r+b") as elsewhere:
        fcntl.flock(elsewhere, fcntl.LOCK_EX)
        async with caring(tmp_path, AftercarePlan(opus=True), encoder) as (care, told):
            assert await care.take_up({}) == 0
    async with caring(tmp_path, AftercarePlan(opus=True), encoder) as (care, told):
        care.take(RecordingRecord(file=FILE, call_id=CALL, name="order", started_at=1.0))
        assert await care.take_up({}) == 0, "we record it ourselves"
        assert told == []
    assert (tmp_path / FILE).read_bytes() == before
    assert encoder.asked == []


def test_what_is_next() -> None:
    record = RecordingRecord(
        file="a.wav", call_id="a", name="a", started_at=0.0, seconds=2.0, state="finished"
    )
    both = AftercarePlan(opus=True, store=Shelf())
    assert next_step(record, AftercarePlan()) is None
    assert next_step(record, both) == "encode"
    assert next_step(record, both, given_up=True) == "store"
    assert next_step(replace(record, seconds=0.0), both) == "store", "nothing in it"
    assert next_step(replace(record, state="encoded"), AftercarePlan(opus=True)) is None
    for state in ("live", "failed", "stored", "erased"):
        assert next_step(replace(record, state=state), both) is None
