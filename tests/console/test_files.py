"""Recordings and journals: pieces for a player that seeks, and nothing but what lies in its folder."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from tests.store.kit import record
from voiceagent.console.files import disposition, open_below
from voiceagent.console.history_audio import PLAY_S, Plays
from voiceagent.console.ranges import NotSatisfiable, piece_of
from voiceagent.records.objects import open_store
from voiceagent.records.states import RecordingRecord
from voiceagent.store import Database, audit, history, recordings

from .fake_directory import FakeDirectory
from .kit import BEARER, PATIENCE_S, a_client, an_app

SOUND = bytes(range(256)) * 600
"""More than one piece of a file."""


@pytest_asyncio.fixture
async def client(store: Database, tmp_path: Path):
    for name in ("recordings", "journals"):
        (tmp_path / name).mkdir()
    app = an_app(
        FakeDirectory(),
        database=store,
        recordings_dir=str(tmp_path / "recordings"),
        journal_dir=str(tmp_path / "journals"),
    )
    writer = asyncio.create_task(app.state.parts.audit.run())
    async with a_client(app, headers=BEARER) as client:
        client.app = app  # type: ignore[attr-defined]
        yield client
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)


async def keep(store: Database, **facts: Any) -> None:
    await store.run(lambda c: history.write(c, record("call_1", **facts)))


async def test_a_recording_is_played_whole_and_in_pieces(
    client: httpx.AsyncClient, store: Database, tmp_path: Path
) -> None:
    (tmp_path / "recordings" / "call_1.wav").write_bytes(SOUND)
    (tmp_path / "recordings" / "two.wav").write_bytes(b"two")
    await keep(store, recording="call_1.wav", figures={"recordings": ["call_1.wav", "two.wav"]})
    path = "/v1/history/call_1/recording"
    whole = await client.get(path)
    assert (whole.status_code, whole.content) == (200, SOUND)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["content-disposition"] == 'inline; filename="call_1.wav"'
    piece = await client.get(path, headers={"Range": "bytes=100-199"})
    assert (piece.status_code, piece.content) == (206, SOUND[100:200])
    assert piece.headers["content-range"] == f"bytes 100-199/{len(SOUND)}"
    assert (await client.get(path, headers={"Range": "bytes=-5"})).content == SOUND[-5:]
    beyond = await client.get(path, headers={"Range": f"bytes={len(SOUND)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(SOUND)}")
    assert beyond.json()["field"] == "Range"
    changed = await client.get(path, headers={"Range": "bytes=0-0", "If-Range": '"another"'})
    assert changed.status_code == 200
    same = await client.get(path, headers={"Range": "bytes=0-0", "If-Range": whole.headers["etag"]})
    assert (same.status_code, same.content) == (206, SOUND[:1])
    assert (await client.get(path, params={"file": "two.wav"})).content == b"two"
    other = await client.get(path, params={"file": "three.wav"})
    assert (other.status_code, other.json()["field"]) == (404, "file")


async def test_listening_stands_once_in_the_audit_log(
    client: httpx.AsyncClient, store: Database, tmp_path: Path
) -> None:
    (tmp_path / "recordings" / "call_1.wav").write_bytes(SOUND)
    await keep(store, recording="call_1.wav")
    for start in (0, 500, 900):
        await client.get("/v1/history/call_1/recording", headers={"Range": f"bytes={start}-"})
    assert await client.app.state.parts.audit.flush(PATIENCE_S)  # type: ignore[attr-defined]
    lines = await store.run(lambda c: audit.read(c))
    assert [(line.action, line.target) for line in lines] == [("call.play_recording", "call_1")]


def test_each_new_listening_is_told() -> None:
    plays = Plays(most=2)
    assert plays.begins("ann", "a.wav", 0.0)
    assert not plays.begins("ann", "a.wav", PLAY_S - 1)
    assert plays.begins("ben", "a.wav", 1.0)
    assert plays.begins("ann", "b.wav", 1.0)
    assert plays.begins("ann", "a.wav", 2.0), "forgotten, and told again"
    assert plays.begins("ann", "b.wav", PLAY_S + 1)


async def test_only_files_of_the_folder_are_played(
    client: httpx.AsyncClient, store: Database, tmp_path: Path
) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    folder = tmp_path / "recordings"
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    away = str(tmp_path / "secret.wav")
    for name in ("../secret.wav", away, "link.wav", "folder.wav", "pipe.wav", ".", "none.wav", "a\0b"):
        with pytest.raises(FileNotFoundError):
            open_below(str(folder), name)
    with pytest.raises(FileNotFoundError):
        open_below("", "secret.wav")
    for name in ("../secret.wav", away, "link.wav", "none.wav"):
        await keep(store, recording=name, journal=name)
        for what in ("recording", "journal"):
            answer = await client.get(f"/v1/history/call_1/{what}")
            assert (answer.status_code, answer.json()["code"]) == (404, f"no_{what}")


async def test_a_journal_is_downloaded_and_that_is_audited(
    client: httpx.AsyncClient, store: Database, tmp_path: Path
) -> None:
    (tmp_path / "journals" / "call_1.jsonl").write_bytes(b'{"seq":1}\n')
    await keep(store, journal="call_1.jsonl")
    answer = await client.get("/v1/history/call_1/journal", headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (200, b'{"seq":1}\n')
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="call_1.ndjson"'
    assert await client.app.state.parts.audit.flush(PATIENCE_S)  # type: ignore[attr-defined]
    assert [line.action for line in await store.run(lambda c: audit.read(c))] == ["call.read_journal"]


async def test_every_file_is_closed(client: httpx.AsyncClient, store: Database, tmp_path: Path) -> None:
    (tmp_path / "recordings" / "call_1.wav").write_bytes(SOUND)
    await keep(store, recording="call_1.wav")
    before = len(os.listdir("/proc/self/fd"))
    for asked in ("bytes=0-", "bytes=5-4", "bytes=999999-", ""):
        await client.get("/v1/history/call_1/recording", headers={"Range": asked})
    assert len(os.listdir("/proc/self/fd")) == before


@given(
    size=st.integers(0, 50), header=st.none() | st.text(max_size=12) | st.from_regex(r"bytes=\d{0,2}-\d{0,2}")
)
def test_any_range_is_a_piece_of_the_file_or_none(size: int, header: str | None) -> None:
    try:
        piece = piece_of(header, size)
    except NotSatisfiable:
        return
    if piece is not None:
        assert 0 <= piece.start < piece.end <= size == piece.size


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("bytes=0-0", "bytes 0-0/10"),
        ("bytes=5-", "bytes 5-9/10"),
        ("bytes=5-99", "bytes 5-9/10"),
        ("bytes=-3", "bytes 7-9/10"),
        ("bytes=-99", "bytes 0-9/10"),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        (None, None),
    ],
)
def test_ranges_as_rfc_9110_reads_them(header: str | None, told: str | None) -> None:
    piece = piece_of(header, 10)
    assert (None if piece is None else piece.told) == told


def test_names_of_downloads_are_quoted() -> None:
    assert disposition("inline", 'ä"\r\n.wav') == (
        "inline; filename=\"____.wav\"; filename*=UTF-8''%C3%A4%22%0D%0A.wav"
    )


async def test_a_recording_is_found_as_opus_and_in_the_store(store: Database, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    folder = tmp_path / "recordings"
    folder.mkdir()
    shelf = open_store(f"file://{tmp_path}/shelf")
    app = an_app(FakeDirectory(), database=store, recordings_dir=str(folder), store=shelf)
    await keep(store, recording="call_1.wav", figures={"recordings": ["call_1.wav"]})
    known = RecordingRecord(
        file="call_1.wav", call_id="call_1", name="call_1", started_at=1.0, location="call_1.wav"
    )
    path = "/v1/history/call_1/recording"
    (folder / "call_1.opus").write_bytes(SOUND)
    async with a_client(app, headers=BEARER) as client:
        for state in ("finished", "encoded"):  # the file may be ahead of the database
            await store.run(lambda c, state=state: recordings.put(c, replace(known, state=state)))
            answer = await client.get(path)
            assert (answer.status_code, answer.content) == (200, SOUND)
            assert answer.headers["content-type"] == "audio/ogg"
            assert answer.headers["content-disposition"] == 'inline; filename="call_1.opus"'

        shelf.put("call_1.opus", folder / "call_1.opus")
        (folder / "call_1.opus").unlink()
        stored = replace(known, state="stored", location=f"{shelf.url}/call_1.opus", sha256="ab" * 32)
        await store.run(lambda c: recordings.put(c, stored))
        whole = await client.get(path)
        assert (whole.status_code, whole.content) == (200, SOUND)
        piece = await client.get(path, headers={"Range": "bytes=100-199", "If-Range": whole.headers["etag"]})
        assert (piece.status_code, piece.content) == (206, SOUND[100:200])
        shelf.delete("call_1.opus")
        assert (await client.get(path)).status_code == 404
        elsewhere = replace(stored, location="s3://another/call_1.opus")
        await store.run(lambda c: recordings.put(c, elsewhere))
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "object_store")
        await store.run(lambda c: recordings.put(c, replace(known, state="erased", location="")))
        (folder / "call_1.wav").write_bytes(SOUND)  # not gone yet, and not to be heard either
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_recording")
        assert "erased" in answer.json()["detail"]
