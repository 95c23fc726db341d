"""Each kind is kept for its days and no longer; what went is told; nothing comes back by itself."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_aftercare import Shelf
from voiceagent.app.retention import Item, days_of, due, keep_house, purge
from voiceagent.cli.records import run_purge
from voiceagent.records.objects import StoreError
from voiceagent.records.states import RecordingRecord
from voiceagent.records.stub import is_stub
from voiceagent.settings.retention import RetentionSettings
from voiceagent.store import audit, history, recordings
from voiceagent.store.history import CallQuery

from .kept_calls import DAY, keep, shelves

NOW = 1_000 * DAY
KEEP_ALL = {"recordings": 0, "transcripts": 0, "journals": 0, "calls": 0, "audit": 0}


def test_what_is_due() -> None:
    items = [Item("recordings", f"{n}.wav", NOW - n * DAY) for n in (29, 30, 31)]
    items += [Item("journals", "old", 0.0), Item("calls", "old", 0.0)]
    days = KEEP_ALL | {"recordings": 30, "calls": 90}
    assert due(items, days, NOW) == {"recordings": ["31.wav"], "calls": ["old"]}
    assert due(items, KEEP_ALL, NOW) == {}


def test_the_defaults() -> None:
    assert days_of(RetentionSettings()) == KEEP_ALL | {"recordings": 30, "transcripts": 90}


def state(where: Any) -> dict[str, Any]:
    page = where.database.run_now(lambda c: history.find(c, CallQuery(order="oldest")))
    return {
        "calls": [one.call.id for one in page.calls],
        "wavs": sorted(path.name for path in where.recordings.glob("*.wav")),
        "journals": sorted(path.stem for path in where.journals.glob("*.jsonl")),
        "stubs": sorted(path.stem for path in where.journals.glob("*.jsonl") if is_stub(path)),
        "said": [
            one.call.id
            for one in page.calls
            if where.database.run_now(lambda c, i=one.call.id: history.lines_of(c, i))
        ],
    }


ALL = {
    "calls": ["call_old", "call_new"],
    "wavs": ["call_new-hello.wav", "call_old-hello.wav"],
    "journals": ["call_new", "call_old"],
    "stubs": [],
    "said": ["call_old", "call_new"],
}


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("recordings", {"wavs": ["call_new-hello.wav"]}),
        ("transcripts", {"stubs": ["call_old"], "said": ["call_new"]}),
        ("journals", {"journals": ["call_new"]}),
        (
            "calls",
            {
                "calls": ["call_new"],
                "wavs": ["call_new-hello.wav"],
                "journals": ["call_new"],
                "said": ["call_new"],
            },
        ),
    ],
)
def test_each_kind_takes_its_own_and_no_more(tmp_path: Path, kind: str, left: dict[str, Any]) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_old", NOW - 41 * DAY)
        keep(where, "call_new", NOW - 39 * DAY)
        days = KEEP_ALL | {kind: 40}
        would = purge(where, days, now=NOW, dry_run=True)
        assert state(where) == ALL
        done = purge(where, days, now=NOW)
        assert state(where) == ALL | left
        assert would.counts == done.counts
        [line] = where.database.run_now(lambda c: audit.read(c))
        told = json.loads(line.detail)
        assert (line.actor, line.action) == ("retention", "retention.purge")
        assert told[kind] == {"count": 1, "before": NOW - 40 * DAY}
        purge(where, days, now=NOW)
        assert len(where.database.run_now(lambda c: audit.read(c))) == 1, "nothing to tell the second time"


def test_a_purged_recording_is_told_as_erased_and_found_no_more(tmp_path: Path) -> None:
    store = Shelf()
    with shelves(tmp_path, store) as where:
        keep(where, "call_old", NOW - 41 * DAY)
        file = "call_old-hello.wav"
        [known] = where.database.run_now(lambda c: recordings.of_call(c, "call_old"))
        stored = replace(known, state="stored", location=f"{store.url}/call_old-hello.opus")
        where.database.run_now(lambda c: recordings.put(c, stored))
        store.kept["call_old-hello.opus"] = b"audio"
        purge(where, KEEP_ALL | {"recordings": 40}, now=NOW)
        assert store.kept == {}
        [erased] = where.database.run_now(lambda c: recordings.of_call(c, "call_old"))
        assert (erased.state, erased.location, erased.sha256) == ("erased", "", "")
        assert not (where.recordings / file).exists()
        for recorded, ids in ((True, []), (False, ["call_old"])):
            page = where.database.run_now(lambda c, r=recorded: history.find(c, CallQuery(recorded=r)))
            assert [one.call.id for one in page.calls] == ids


def test_what_cannot_be_removed_is_told_and_tried_again(tmp_path: Path) -> None:
    with shelves(tmp_path, Shelf()) as where:
        keep(where, "call_old", NOW - 41 * DAY)
        [known] = where.database.run_now(lambda c: recordings.of_call(c, "call_old"))
        away = replace(known, state="stored", location="s3://elsewhere/call_old.opus")
        where.database.run_now(lambda c: recordings.put(c, away))
        for _ in range(2):
            done = purge(where, KEEP_ALL | {"recordings": 40}, now=NOW)
            assert done.failed == ["call_old-hello.wav"]
            assert done.counts["recordings"] == 0
        [kept] = where.database.run_now(lambda c: recordings.of_call(c, "call_old"))
        assert kept.state == "stored"


def test_a_store_that_is_away_is_asked_once(tmp_path: Path) -> None:
    asked: list[str] = []

    class Away(Shelf):
        def delete(self, name: str) -> bool:
            asked.append(name)
            raise StoreError("away")

    store = Away()
    with shelves(tmp_path, store) as where:
        for n in range(3):
            keep(where, f"call_{n}", NOW - 41 * DAY)
            [known] = where.database.run_now(lambda c, n=n: recordings.of_call(c, f"call_{n}"))
            stored = replace(known, state="stored", location=f"{store.url}/call_{n}.opus")
            where.database.run_now(lambda c, one=stored: recordings.put(c, one))
        done = purge(where, KEEP_ALL | {"recordings": 40}, now=NOW)
        assert (len(asked), len(done.failed), done.counts["recordings"]) == (1, 3, 0)


def test_another_node_s_files_are_its_own_to_remove(tmp_path: Path) -> None:
    theirs = RecordingRecord(
        file="call_2.wav",
        call_id="call_2",
        name="call_2",
        started_at=NOW - 50 * DAY,
        location="call_2.wav",
        state="finished",
    )
    with shelves(tmp_path) as where:
        where.database.run_now(lambda c: recordings.put(c, theirs))
        assert purge(where, KEEP_ALL | {"recordings": 40}, now=NOW).detail == {}
        assert where.database.run_now(lambda c: recordings.get(c, "call_2.wav")) == theirs


def test_a_live_call_is_left_alone_however_old(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_old", NOW - 41 * DAY)
        busy = replace(where, live=lambda: frozenset({"call_old"}))
        days = dict.fromkeys(KEEP_ALL, 40) | {"audit": 0}
        assert purge(busy, days, now=NOW).detail == {}
        assert state(where)["journals"] == ["call_old"]


def test_the_stub_keeps_who_called_when_and_what_was_recorded(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_old", NOW - 41 * DAY, words="secret words", caller="+4915100000")
        path = where.journals / "call_old.jsonl"
        times = path.stat().st_mtime_ns
        purge(where, KEEP_ALL | {"transcripts": 40}, now=NOW)
        text = path.read_text()
        assert "secret words" not in text
        assert "+4915100000" in text
        entries = [json.loads(line) for line in text.splitlines()]
        kinds = ["call.erased", "call.offered", "call.answered", "recording.started", "call.ended"]
        assert [(one["seq"], one["type"]) for one in entries] == list(enumerate(kinds, 1))
        assert path.stat().st_mtime_ns == times, "its age is that of the call"
        assert where.database.run_now(lambda c: history.find(c, CallQuery(words="words"))).calls == []


def test_old_lines_of_the_audit_log_go_and_the_rest_still_proves_itself(tmp_path: Path) -> None:
    deed = audit.Deed("ann", "admin", "page", "call.hang_up")
    with shelves(tmp_path) as where:
        for n in range(5):
            where.database.run_now(lambda c, n=n: audit.append(c, [deed], at=NOW - (45 - 2 * n) * DAY))
        purge(where, KEEP_ALL | {"audit": 40}, now=NOW)
        lines = where.database.run_now(lambda c: list(audit.walk(c)))
        assert [line.n for line in lines] == [4, 5, 6]
        assert where.database.run_now(audit.verify) == (3, "")

        def tear(c: Any) -> None:
            from sqlalchemy import text

            c.execute(text("DELETE FROM audit WHERE n = 4"))

        where.database.run_now(tear)
        assert where.database.run_now(audit.verify)[1] == "lines 1 to 4 are missing"


async def test_a_clock_that_jumps_has_an_hour_to_be_put_right(tmp_path: Path) -> None:
    clock, waits = [NOW], list[float]()

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds
        if len(waits) == 1:
            clock[0] += 3650 * DAY
        elif len(waits) == 2:
            clock[0] -= 3650 * DAY
        else:
            raise asyncio.CancelledError

    @asynccontextmanager
    async def held() -> Any:
        yield

    with shelves(tmp_path) as where:
        keep(where, "call_1", NOW - DAY)
        with pytest.raises(asyncio.CancelledError):
            await keep_house(
                where, KEEP_ALL | {"recordings": 40}, held=held, wall=lambda: clock[0], pause=pause
            )
        assert state(where)["wavs"] == ["call_1-hello.wav"]
        assert waits == [DAY, 3600.0, DAY]


async def test_every_day_by_the_clock(tmp_path: Path) -> None:
    clock, waits = [NOW], list[float]()

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds
        if len(waits) == 3:
            raise asyncio.CancelledError

    @asynccontextmanager
    async def held() -> Any:
        yield

    with shelves(tmp_path) as where:
        keep(where, "call_old", NOW - 39.5 * DAY)
        keep(where, "call_new", NOW - 38.5 * DAY)
        with pytest.raises(asyncio.CancelledError):
            days = KEEP_ALL | {"recordings": 40}
            await keep_house(where, days, held=held, wall=lambda: clock[0], pause=pause)
        assert waits == [DAY] * 3
        lines = where.database.run_now(lambda c: audit.read(c))
        assert [line.at for line in reversed(lines)] == [NOW + DAY, NOW + 2 * DAY]
        assert state(where)["wavs"] == []


def test_the_command_says_what_it_would_do_and_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_old", NOW - 41 * DAY)
    monkeypatch.setattr("voiceagent.cli.records.time.time", lambda: NOW)
    places = [f"journal_dir={tmp_path}/journals", f"recordings_dir={tmp_path}/recordings"]
    for dry_run, left in ((True, 1), (False, 0)):
        with pytest.raises(SystemExit) as ended:
            run_purge(None, places, dry_run=dry_run, as_json=True)
        assert ended.value.code == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["dry_run"], told["recordings"], told["transcripts"]) == (dry_run, 1, 0)
        assert len(list((tmp_path / "recordings").glob("*.wav"))) == left
