"""The database is an index of the journals: made anew from them, and compared with them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.store.journals import journal_lines, write_journal
from voiceagent.app.late_tags import LateTags
from voiceagent.cli.main import app
from voiceagent.records.lock import FolderLock
from voiceagent.records.reading import entries_of, has_end, read_whole
from voiceagent.store import Database, audit, history, outbox, presets, users
from voiceagent.store.audit import Deed
from voiceagent.store.rebuild import look_through

OLD = Path(__file__).parents[1] / "simulate" / "demo.jsonl"
"""A journal of a real call, made before journals had entries for the record."""


def everything(database: Database) -> Any:
    def work(connection: Any) -> Any:
        page = history.find(connection, history.CallQuery(order="oldest"))
        return [
            (one, history.lines_of(connection, one.call.id), history.responses_of(connection, one.call.id))
            for one in page.calls
        ]

    return database.run_now(work)


def test_a_rebuild_makes_the_rows_that_were_there(tmp_path: Path, database: Database) -> None:
    for n in range(3):
        write_journal(tmp_path, f"call_{n}")
    first = look_through(database, tmp_path, write=True)
    assert (first.calls, first.written, len(first.missing)) == (3, 3, 3)
    before = everything(database)
    [call, lines, responses] = before[0]
    assert call.call.outcome == "success"
    assert call.call.answered_at is not None
    assert "recordings" in call.call.figures
    assert {line.speaker for line in lines} == {"caller", "agent"}
    assert all(one.outcome is not None for one in responses)
    again = look_through(database, tmp_path, write=True)
    assert (again.written, again.agree) == (0, True), "a second one has nothing to do"
    database.run_now(lambda c: history.write(c, replace(call.call, reason="forged"), lines[:-1], responses))
    damaged = look_through(database, tmp_path, write=False)
    assert damaged.differing == {"call_0": ["reason", "lines"]}
    assert everything(database) != before, "looking changes nothing"
    look_through(database, tmp_path, write=True)
    assert everything(database) == before
    assert database.run_now(lambda c: history.find(c, history.CallQuery(words="billing"))).calls != []


def test_what_no_journal_holds_stays(tmp_path: Path, database: Database) -> None:
    write_journal(tmp_path, "call_0")

    def fill(connection: Any) -> None:
        users.add_user(connection, "ada", "admin", None)
        presets.save_preset(connection, presets.Preset("hurry", "Be quick."), by="ada")
        audit.append(connection, [Deed("ada", "admin", "cli", "user.add")], at=1.0)
        outbox.put(
            connection, ["crm"], event_id="msg_1", kind="call.ended", call_id="x", payload="{}", at=1.0
        )
        history.tag(connection, "call_0", "vip", by="ada", at=2.0)

    def others(connection: Any) -> Any:
        return (
            users.list_users(connection),
            presets.list_presets(connection),
            audit.read(connection),
            outbox.page(connection),
            history.tags_of(connection, "call_0"),
        )

    database.run_now(fill)
    before = database.run_now(others)
    look_through(database, tmp_path, write=True)
    assert database.run_now(others) == before
    assert database.run_now(lambda c: history.one(c, "call_0")) is not None


def test_tags_come_from_the_journal_where_the_database_has_none(tmp_path: Path, database: Database) -> None:
    tags = {"type": "operator.tag", "operator": "ada", "at": 5.0, "tags": ["vip", "late"]}
    fewer = {"type": "operator.tag", "operator": "bob", "at": 6.0, "tags": ["vip"]}
    write_journal(tmp_path, "call_0", tags, fewer)
    look_through(database, tmp_path, write=True)
    assert database.run_now(lambda c: history.tags_of(c, "call_0")) == ["vip"]
    found = database.run_now(lambda c: history.find(c, history.CallQuery(tag="vip"))).calls
    assert [one.call.id for one in found] == ["call_0"]


def test_tags_that_were_put_after_the_end_stand_in_the_journal(tmp_path: Path, database: Database) -> None:
    path = write_journal(tmp_path, "call_0")
    write_journal(tmp_path, "call_1", lines=20)
    written = path.stat().st_mtime_ns
    late = LateTags(tmp_path)
    for tags in (["vip"], ["vip", "late"]):
        done = late.put("call_0", tags, "ada")
        assert done is not None
        done.result(10)
    assert path.stat().st_mtime_ns == written, "the time of a journal is its call's"
    for other in ("call_1", "call_2"):
        ignored = late.put(other, ["x"], "ada")
        assert ignored is not None
        ignored.result(10)
    assert not (tmp_path / "call_2.jsonl").exists()
    assert len(list(entries_of(tmp_path / "call_1.jsonl"))) == 20, "what has no end may still be written"
    assert late.put("../call_0", ["x"], "ada") is None
    look_through(database, tmp_path, write=True)
    assert database.run_now(lambda c: history.tags_of(c, "call_0")) == ["vip", "late"]
    seqs = [entry["seq"] for entry in entries_of(path)]
    assert seqs == sorted(set(seqs))
    assert has_end(path)


def test_what_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path, database: Database) -> None:
    write_journal(tmp_path, "call_good")
    shutil.copy(tmp_path / "call_good.jsonl", tmp_path / "kopie.jsonl")
    (tmp_path / "call_bad.jsonl").write_bytes(b"{}\nnot json\n{}\n")
    (tmp_path / "call_odd.jsonl").write_bytes(b'{"type":"record.line","seq":1}\n')
    (tmp_path / "call_empty.jsonl").write_bytes(b"")
    (tmp_path / "call_folder.jsonl").mkdir()
    write_journal(tmp_path, "call_running", lines=40)
    told: list[tuple[int, int]] = []
    found = look_through(database, tmp_path, write=True, progress=lambda done, of: told.append((done, of)))
    assert (found.calls, found.written, found.doubled) == (1, 1, ["kopie.jsonl"])
    assert sorted(found.unreadable) == ["call_bad.jsonl", "call_folder.jsonl", "call_odd.jsonl"]
    assert "line 2" in found.unreadable["call_bad.jsonl"]
    assert found.unended == ["call_empty.jsonl", "call_running.jsonl"]
    assert told[-1] == (7, 7)
    assert database.run_now(lambda c: history.one(c, "call_running")) is None, "it may still run"


@pytest.mark.parametrize("torn", [b'{"v":1,"seq":999,"type":"no', '{"a":"ä'.encode()[:-1], b"\x00\xff"])
def test_a_torn_last_line_is_no_fault(tmp_path: Path, database: Database, torn: bytes) -> None:
    path = write_journal(tmp_path, "call_0")
    path.write_bytes(path.read_bytes() + torn)
    assert look_through(database, tmp_path, write=True).agree is False
    assert look_through(database, tmp_path, write=False).agree


def test_a_journal_without_its_last_newline_is_whole(tmp_path: Path) -> None:
    path = write_journal(tmp_path, "call_0")
    path.write_bytes(path.read_bytes()[:-1])
    assert read_whole(path).ended


def test_journals_of_older_versions_are_read(tmp_path: Path, database: Database) -> None:
    shutil.copy(OLD, tmp_path / "call_old.jsonl")
    found = look_through(database, tmp_path, write=True)
    assert (found.written, found.unreadable) == (1, {})
    [(call, lines, responses)] = everything(database)
    assert call.call.flow == "front-desk"
    assert call.call.answered_at == pytest.approx(call.call.started_at + 0.124)
    assert call.call.first_words_ms == 168.0
    assert next(line.text for line in lines if line.speaker == "caller") == "billing please"
    assert next(line.text for line in lines if line.speaker == "agent").startswith("Hello, this is the front")
    assert any(line.cut and line.full_text != line.text for line in lines)
    assert len(responses) == 9
    assert {one.origin for one in responses} >= {"ivr", "operator"}
    assert look_through(database, tmp_path, write=False).agree


def test_every_entry_of_a_journal_is_of_the_one_version() -> None:
    assert {json.loads(line)["v"] for line in journal_lines("call_0")} == {1}


def test_the_commands(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, Any]:
        url = f"sqlite:///{tmp_path}/v.db"
        where = ["--json", "--set", f"journal_dir={tmp_path}/j", "--set", f"database.url={url}"]
        result = CliRunner().invoke(app, ["db", *words, *where])
        return result.exit_code, json.loads(result.stdout)

    write_journal(tmp_path / "j", "call_0")
    write_journal(tmp_path / "j", "call_1", lines=30)
    assert run("upgrade") == (0, {"before": None, "after": run("upgrade")[1]["after"]})
    status, told = run("check")
    assert (status, told["missing"], told["unended"]) == (1, ["call_0"], ["call_1.jsonl"])
    assert run("rebuild", "--dry-run")[1]["written"] == 0
    assert run("rebuild")[1]["written"] == 1
    assert run("check")[0] == 0
    with FolderLock(tmp_path / "j", "a node"):
        assert run("check")[1]["running"] is True
    (tmp_path / "j" / "call_2.jsonl").write_bytes(b"?\n?\n")
    status, told = run("rebuild")
    assert (status, list(told["unreadable"])) == (1, ["call_2.jsonl"])
    text = CliRunner().invoke(
        app,
        [
            "db",
            "rebuild",
            "--set",
            f"journal_dir={tmp_path}/j",
            "--set",
            f"database.url=sqlite:///{tmp_path}/v.db",
        ],
    )
    assert "without an end, left alone: the service closes them" in text.stdout
    assert "unreadable: call_2.jsonl, line 1" in text.stdout
