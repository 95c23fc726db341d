"""``kill -9`` of a serving process with live calls: at the next start each of them ends, once, everywhere."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import until
from tests.loopback import test_process
from tests.loopback.test_process import arguments, clean_environment, serving
from tests.loopback.test_webhooks import TAKEN, a_webhook, verified
from tests.notify.server import receiver
from voiceagent.media.wav import read_wav
from voiceagent.phone.phone import Phone
from voiceagent.records.opus import opus_available
from voiceagent.records.reading import entries_of, has_end
from voiceagent.store import Database
from voiceagent.store.rebuild import look_through

pytestmark = [pytest.mark.loopback, pytest.mark.fleet]

CALLS = 2
RECORDED = test_process.FLOW.replace("    await call.say(", "    await call.record()\n    await call.say(")


def journals(folder: Path) -> list[Path]:
    return sorted((folder / "journals").glob("call_*.jsonl"))


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "journals" / "voiceagent.db")) as connection:
        return connection.execute(query).fetchall()


def newest_of(folder: Path) -> list[float]:
    """When the newest entry of each journal was written (seconds since the epoch)."""
    return [max((entry["at"] for entry in entries_of(path)), default=0.0) for path in journals(folder)]


def heard_s(folder: Path) -> list[float]:
    """How much each recording says that it holds, in seconds."""
    begun = [path for path in (folder / "recordings").glob("*.wav") if path.stat().st_size > 44]
    return [len(read_wav(path).data) / 32_000 for path in begun]


async def a_second_one(folder: Path, *settings: str) -> tuple[int, str]:
    """Start another process on the same folder; return its status and words."""
    process = await asyncio.create_subprocess_exec(
        *[one for one in arguments(folder, *settings) if one != "--json"],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=clean_environment(),
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_every_call_of_a_killed_process_ends_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_process, "FLOW", RECORDED)
    audio = f"recordings_dir={tmp_path}/recordings"
    taken: list[bytes] = []
    async with receiver(TAKEN, taken) as port:
        hook = f"webhooks={json.dumps(a_webhook(port, events=['call.ended']))}"
        async with serving(tmp_path, hook, audio, "recording.format=wav") as child, AsyncExitStack() as stack:
            for _ in range(CALLS):
                phone = await stack.enter_async_context(Phone())
                call = phone.dial(child.target)
                await call.answered(45)
                await call.until_speaking(45)
            status, words = await a_second_one(tmp_path, hook)
            assert status == 2, words
            assert words.startswith("voiceagent: journal_dir: "), words
            assert f"process {child.process.pid}: each node needs its own" in words
            await until(lambda: len(now := heard_s(tmp_path)) == CALLS and min(now) > 1.0)
            # A call in which nothing happens writes an entry about once a second: how its audio came.
            heard_at = time.time()
            await until(lambda: len(told := newest_of(tmp_path)) == CALLS and min(told) > heard_at)
            await until(lambda: rows(tmp_path, "SELECT state FROM recordings") == [("live",)] * CALLS)
            child.process.send_signal(signal.SIGKILL)
            assert await child.status() == -signal.SIGKILL
        newest = newest_of(tmp_path)
        assert len(newest) == CALLS
        assert min(newest) > heard_at, "the journals are there up to the last second"
        assert not any(has_end(path) for path in journals(tmp_path))
        assert rows(tmp_path, "SELECT id FROM calls") == []

        live = rows(tmp_path, "SELECT state FROM recordings")
        assert live == [("live",)] * CALLS
        kept = heard_s(tmp_path)
        assert min(kept) > 1.0, "they play as they were left"
        wanted = "encoded" if opus_available() else "finished"
        for _ in range(2):
            async with serving(tmp_path, hook, audio) as child:
                await until(lambda: len(taken) == CALLS)
                await until(lambda: rows(tmp_path, "SELECT state FROM recordings") == [(wanted,)] * CALLS)
                child.process.send_signal(signal.SIGTERM)
                assert await child.status() == 0
    for seconds, error in rows(tmp_path, "SELECT seconds, error FROM recordings"):
        assert seconds >= min(kept)
        assert error == "the process ended before the recording did"
    found = rows(tmp_path, "SELECT id, outcome, reason, ended_at FROM calls ORDER BY id")
    assert [row[0] for row in found] == [path.stem for path in journals(tmp_path)]
    assert {row[1:3] for row in found} == {("ours", "crashed")}
    assert [row[3] for row in found] == [pytest.approx(at, abs=0.001) for at in newest]
    told = [verified(one) for one in taken]
    assert sorted(one["data"]["id"] for one in told) == [row[0] for row in found]
    assert len({one["id"] for one in told}) == CALLS
    for path in journals(tmp_path):
        assert sum(entry["type"] == "call.ended" for entry in entries_of(path)) == 1
    database = Database(f"sqlite:///{tmp_path}/journals/voiceagent.db")
    database.open_now()
    assert look_through(database, tmp_path / "journals", write=False).agree
    database.close_now()
