"""A process may die anywhere: every call ends up with one terminal entry, one row and one event."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.notify.kit import Clock, Receiver, an_endpoint
from tests.store.journals import journal_lines, write_journal
from voiceagent.app import archive as archive_module
from voiceagent.app import intake as module
from voiceagent.app.archive import Archive
from voiceagent.app.intake import Intake
from voiceagent.app.losses import Losses, lost_record
from voiceagent.app.outgoing import Outgoing
from voiceagent.cluster.ports import CallEntry, NodeFacts, NodeView
from voiceagent.console.ports import LiveEvent
from voiceagent.errors import ConfigError
from voiceagent.ids import counted_tokens
from voiceagent.notify.message import end_token
from voiceagent.observe.metrics import Metrics
from voiceagent.records.closing import read_and_close
from voiceagent.records.reading import entries_of
from voiceagent.store import Database, DatabaseDown, history, outbox
from voiceagent.tasks import TaskNest


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "RETRY_S", (0.0,))
    monkeypatch.setattr(module, "RETRY_S", 0.0)


class Node:
    """What of a service takes in journals."""

    def __init__(self, folder: Path, database: Database, clock: Callable[[], float]) -> None:
        self.archive = Archive(database, provider="embedded", node="a")
        self.outgoing = Outgoing(
            [an_endpoint()],
            database,
            self.archive,
            Metrics(),
            counted_tokens("t"),
            send=Receiver().send,
            clock=clock,
        )
        self.intake = Intake(
            folder, database, self.archive, announce=self.outgoing.ended_before, holder="node a", clock=clock
        )
        self.losses = Losses(self.archive, self.outgoing, clock=clock)


@asynccontextmanager
async def started(folder: Path, database: Database, clock: Clock | None = None) -> AsyncIterator[Node]:
    """A node that has taken in what there was; leaving it is a death without warning."""
    node = Node(folder, database, clock or Clock())
    nest = TaskNest("test")
    node.intake.open()
    try:
        nest.start("archive", node.archive.run())
        node.intake._looked = await node.intake.take_in()
        assert await node.archive.flush(10)
        yield node
    finally:
        await nest.close()
        node.intake._looked = False  # a killed process keeps no mark
        node.intake.close()


@asynccontextmanager
async def a_database(url: str = "sqlite://") -> AsyncIterator[Database]:
    database = Database(url)
    await database.open()
    yield database
    await database.close()


def ends(path: Path) -> list[Any]:
    return [entry for entry in entries_of(path) if entry["type"] == "call.ended"]


async def rows(database: Database) -> list[history.CallRecord]:
    page = await database.run(lambda c: history.find(c, history.CallQuery(limit=500)))
    return [found.call for found in page.calls]


async def events(database: Database) -> list[Any]:
    kept = await database.run(lambda c: outbox.page(c, limit=500))
    return [one for one in kept if one.type == "call.ended"]


def _fail_points() -> list[int]:
    """Bytes of a journal after which its process is killed: all that matter, and where chance says."""
    whole = b"".join(journal_lines("call_x"))
    lines = [0]
    for line in journal_lines("call_x"):
        lines.append(lines[-1] + len(line))
    dice = random.Random(7)
    early = [at for line in lines[:8] for at in (line, line + 1, line - 1, line + 40) if at >= 0]
    late = [at for line in lines[-3:] for at in (line, line - 1, line - 30) if at <= len(whole)]
    return sorted({0, *early, *late, *(dice.randrange(len(whole)) for _ in range(40))})


def test_there_are_enough_fail_points() -> None:
    assert len(_fail_points()) >= 60


async def test_killed_anywhere_a_call_ends_once(tmp_path: Path) -> None:
    points = _fail_points()
    clock = Clock()
    for count, at in enumerate(points):
        call_id = f"call_{count:03}"
        whole = b"".join(journal_lines(call_id))
        (tmp_path / f"{call_id}.jsonl").write_bytes(whole[:at])
    async with a_database() as database:
        for _ in range(2):  # and the node dies again right after each intake
            async with started(tmp_path, database, clock):
                pass
            found = {one.id: one for one in await rows(database)}
            assert len(found) == len(points)
            told = await events(database)
            assert len(told) == len({one.id for one in told}) == len(points)
            for count, at in enumerate(points):
                path = tmp_path / f"call_{count:03}.jsonl"
                [end] = ends(path)
                seqs = [entry["seq"] for entry in entries_of(path)]
                assert seqs == sorted(set(seqs)), "the sequence goes on"
                row = found[f"call_{count:03}"]
                whole = at >= len(b"".join(journal_lines("call_000"))) - 1
                assert (row.outcome, row.reason) == (
                    ("success", "completed") if whole else ("ours", "crashed")
                ), at
                assert end["reason"] == row.reason
                assert row.ended_at == end["ended_at"] or whole
                made = read_and_close(path)
                assert made is not None
                assert made.kept() is not None
                kept = made.kept()
                assert kept is not None
                assert await database.run(lambda c, k=kept: history.one(c, k.call.id)) == history.Found(
                    kept.call, []
                ), "the row is what the journal says"


async def test_what_was_said_before_the_crash_is_kept(tmp_path: Path) -> None:
    write_journal(tmp_path, "call_1", lines=len(journal_lines("call_1")) * 2 // 3)
    async with a_database() as database, started(tmp_path, database):
        lines = await database.run(lambda c: history.lines_of(c, "call_1"))
        asked = await database.run(lambda c: history.responses_of(c, "call_1"))
        [event] = await events(database)
    assert [line.speaker for line in lines][:1] == ["agent"]
    assert all(one.outcome is not None for one in asked)
    data = json.loads(event.payload)["data"]
    assert data["outcome"] == {
        "kind": "ours",
        "reason": "crashed",
        "detail": "the process ended before the call did",
    }
    assert data["flow"] == "front-desk"


async def test_torn_within_the_entry_that_ends_it(tmp_path: Path) -> None:
    """Killed while the intake itself wrote the end: it is written again, once."""
    path = write_journal(tmp_path, "call_1", lines=30)
    read_and_close(path)
    whole = path.read_bytes()
    for cut in (1, 2, 20, 100):
        path.write_bytes(whole[:-cut])
        async with a_database() as database, started(tmp_path, database):
            assert len(ends(path)) == 1
            assert [one.reason for one in await rows(database)] == ["crashed"]


async def test_ends_that_the_database_missed_are_taken_in(tmp_path: Path) -> None:
    """The process died during an outage: the journals have what the database never heard of."""
    for n in range(4):
        write_journal(tmp_path, f"call_{n}")
    async with a_database() as database:
        await database.run(lambda c: history.write(c, replace(derived(tmp_path, "call_0"))))
        async with started(tmp_path, database):
            found = await rows(database)
            assert sorted(one.id for one in found) == [f"call_{n}" for n in range(4)]
            assert {one.reason for one in found} == {"completed"}
            assert len(await events(database)) == 3, "the first had its row, and was told with it"


def derived(folder: Path, call_id: str) -> history.CallRecord:
    made = read_and_close(folder / f"{call_id}.jsonl")
    assert made is not None
    kept = made.kept()
    assert kept is not None
    return kept.call


class Away(Database):
    """Away for the first pieces of work."""

    away = 5

    async def run(self, work: Any) -> Any:
        if self.away:
            self.away -= 1
            raise DatabaseDown("locked")
        return await super().run(work)


async def test_the_database_may_be_away_meanwhile(tmp_path: Path) -> None:
    for n in range(3):
        write_journal(tmp_path, f"call_{n}", lines=50 if n else None)
    database = Away("sqlite://")
    await database.open()
    async with started(tmp_path, database):
        assert len(await rows(database)) == len(await events(database)) == 3
    await database.close()


async def test_only_what_was_written_since_is_looked_at(tmp_path: Path) -> None:
    clock = Clock(2_000_000_000.0)
    write_journal(tmp_path, "call_1")
    os.utime(tmp_path / "call_1.jsonl", (clock.now - 9_000, clock.now - 9_000))
    async with a_database() as database:
        async with started(tmp_path, database, clock) as node:
            node.intake.mark()
        node = Node(tmp_path, database, clock)
        node.intake.open()
        assert len(node.intake._left) == 0
        assert node.intake.knows_database
        node.intake.close()
        other = Node(tmp_path, Database("sqlite:///other.db"), clock)
        other.intake.open()
        assert not other.intake.knows_database
        other.intake.close()


async def test_no_mark_while_anything_is_on_its_way(tmp_path: Path) -> None:
    async with a_database() as database, started(tmp_path, database) as node:
        node.archive._waiting.append(archive_module.Waiting(None, None))
        node.intake.mark()
        assert json.loads((tmp_path / ".taken_in").read_text())["at"] == 0.0
        assert node.intake.knows_database
        node.archive._waiting.clear()
        node.intake._oldest_live = lambda: 77.0
        node.intake.mark()
        assert json.loads((tmp_path / ".taken_in").read_text())["at"] == 77.0, "a running call is not done"


async def test_what_the_archive_had_no_place_for_comes_from_the_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "WAITING_MOST", 2)
    database = Away("sqlite://")
    await database.open()
    async with started(tmp_path, database) as node:
        database.away = 10**9
        for n in range(6):
            write_journal(tmp_path, f"call_{n}")
            record = derived(tmp_path, f"call_{n}")
            message = node.outgoing.ended_before(record)
            node.archive._add(archive_module.Waiting((record, [], []), message))
            if node.archive._calls > 2:
                node.archive._drop_oldest_call()
        assert node.archive.dropped == 4
        database.away = 0
        assert await node.intake.take_in()
        assert await node.archive.flush(10)
        assert len(await rows(database)) == len(await events(database)) == 6
    await database.close()


async def test_a_journal_that_cannot_be_ended_now_is_ended_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_journal(tmp_path, "call_1", lines=20)
    write_journal(tmp_path, "call_2", lines=20)
    full = {"call_1.jsonl"}

    def on_a_full_disk(path: Path) -> Any:
        if path.name in full:
            raise OSError(28, "No space left on device")
        return read_and_close(path)

    monkeypatch.setattr(module, "read_and_close", on_a_full_disk)
    async with a_database() as database, started(tmp_path, database) as node:
        assert [one.id for one in await rows(database)] == ["call_2"]
        node.intake.mark()
        node.intake._looked = await node.intake.take_in()
        node.intake.mark()
        assert not (tmp_path / ".taken_in").exists(), "what is not taken in must be looked at again"
        full.clear()
        node.intake._looked = await node.intake.take_in()
        assert await node.archive.flush(10)
        assert {one.id for one in await rows(database)} == {"call_1", "call_2"}
        node.intake.mark()
        assert (tmp_path / ".taken_in").exists()


async def test_one_node_at_a_time(tmp_path: Path) -> None:
    write_journal(tmp_path, "call_1", lines=20)
    async with a_database() as database:
        async with started(tmp_path, database):
            with pytest.raises(ConfigError, match=r"journal_dir.*belongs to node a: each node needs its own"):
                Node(tmp_path, database, Clock()).intake.open()
            assert len(ends(tmp_path / "call_1.jsonl")) == 1
        async with started(tmp_path, database):
            assert len(await events(database)) == 1


def test_a_folder_that_cannot_be_used_is_told_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    node = Node(tmp_path / "file" / "x", Database("sqlite://"), Clock())
    with pytest.raises(ConfigError, match="journal_dir"):
        node.intake.open()


# ── a node of a fleet vanishes ──────────────────────────────────────────────────────────────────
def entry(call_id: str, **data: Any) -> CallEntry:
    plain = {
        "caller": "+49301",
        "called": "100",
        "flow": "front-desk",
        "started_at": 900.0,
        "state": "talking",
    }
    return CallEntry(call_id=call_id, node="b", epoch="e1", data={**plain, **data})


def gone(seen_at: float = 1000.0) -> NodeView:
    return NodeView(name="b", epoch="e1", facts=NodeFacts(), seen_at=seen_at)


async def test_a_vanished_node_s_calls_are_lost_once(tmp_path: Path) -> None:
    async with a_database() as database, started(tmp_path / "a", database) as survivor:
        calls = [entry("call_1"), entry("call_2"), entry("call_3", state="ended")]
        for _ in range(2):  # told twice: a second survivor, or the same again
            survivor.losses.on_node_lost(gone(), calls)
            assert await survivor.archive.flush(10)
        found = {one.id: one for one in await rows(database)}
        assert sorted(found) == ["call_1", "call_2"]
        one = found["call_1"]
        assert (one.node, one.outcome, one.reason) == ("b", "ours", "node_lost")
        assert (one.started_at, one.ended_at, one.duration_s) == (900.0, 1000.0, 100.0)
        assert len(await events(database)) == 2


async def test_a_lost_call_that_was_found_again_may_be_lost_once_more(tmp_path: Path) -> None:
    write_journal(tmp_path / "b", "call_1", lines=60)
    async with a_database() as database, started(tmp_path / "a", database) as survivor:

        async def told(loses: bool = True) -> list[str]:
            if loses:
                survivor.losses.on_node_lost(gone(), [entry("call_1")])
            assert await survivor.archive.flush(10)
            return [one.id for one in await events(database)]

        first = await told()
        assert first == await told() == [f"msg_{end_token('call_1')}"]
        survivor.outgoing.on_event(LiveEvent(1, "call.found_again", "call_1", {"id": "call_1"}))
        assert await told(loses=False) == first
        survivor.outgoing._found.clear()  # what is told from now on is told by other processes
        again = await told()
        assert again == await told()
        assert sorted(again) == sorted([*first, f"msg_{end_token('call_1', again=True)}"])
        async with started(tmp_path / "b", database):
            (row,) = await rows(database)
            assert row.reason == "crashed"
            assert await told(loses=False) == again, "its second end stands already"


async def test_a_call_that_tells_nonsense_keeps_no_other_from_being_lost(tmp_path: Path) -> None:
    async with a_database() as database, started(tmp_path / "a", database) as survivor:
        odd = [entry("call_1", started_at="x"), entry("call_2", figures=[1]), entry("call_3")]
        survivor.losses.on_node_lost(gone(), odd)
        assert await survivor.archive.flush(10)
        assert {one.id for one in await rows(database)} == {"call_1", "call_2", "call_3"}


async def test_the_dead_node_comes_back_with_more(tmp_path: Path) -> None:
    write_journal(tmp_path / "b", "call_1", lines=60)
    write_journal(tmp_path / "b", "call_2")
    async with a_database() as database:
        async with started(tmp_path / "a", database) as survivor:
            survivor.losses.on_node_lost(gone(), [entry("call_1"), entry("call_2")])
            assert await survivor.archive.flush(10)
        async with started(tmp_path / "b", database):
            found = {one.id: one for one in await rows(database)}
            assert found["call_1"].reason == "crashed"
            assert found["call_2"].reason == "completed", "it had ended; only its row was not written"
            assert await database.run(lambda c: history.lines_of(c, "call_1")) != []
            assert len(await events(database)) == 2, "nobody hears of a second end"
        async with started(tmp_path / "a", database) as survivor:
            survivor.losses.on_node_lost(gone(), [entry("call_1")])
            assert await survivor.archive.flush(10)
            assert {one.id: one for one in await rows(database)} == found, "the owner's word stands"


async def test_the_owner_s_own_row_is_not_made_worse_by_a_torn_journal(tmp_path: Path) -> None:
    write_journal(tmp_path, "call_1")
    record = derived(tmp_path, "call_1")
    write_journal(tmp_path, "call_1", lines=-1)
    async with a_database() as database:
        await database.run(lambda c: history.write(c, record))
        async with started(tmp_path, database):
            assert (await rows(database)) == [record]


def test_what_a_node_published_may_lack_anything() -> None:
    bare = lost_record(CallEntry(call_id="call_1", node="b", epoch="e", data={}), 50.0)
    assert bare is not None
    assert (bare.started_at, bare.ended_at, bare.duration_s) == (50.0, 50.0, 0.0)
    late = lost_record(entry("call_2", started_at=60.0), 50.0)
    assert late is not None
    assert late.duration_s == 0.0


async def test_who_waits_for_the_disk_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "JOURNAL_LOOK_S", 0.0)

    class Stuck:
        complete = False

    async with asyncio.timeout(45):
        await archive_module._complete(Stuck())  # type: ignore[arg-type]
