"""What an erasure must not pass over, and what it must not touch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.test_erasure import DIGITS, WORDS, run
from voiceagent.records.stub import is_stub
from voiceagent.store import Database, DatabaseDown, audit, database
from voiceagent.store.audit import Deed

from .kept_calls import keep, shelves


def test_a_call_that_began_while_the_journals_were_read_keeps_its_journal(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        keep(where, "call_live", 200.0, words=WORDS, caller=f"+{DIGITS}")
        path = where.journals / "call_live.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if '"call.ended"' not in line))
        before = path.read_bytes()
        forgotten: list[str] = []
        where = replace(where, live=lambda: frozenset({"call_live"}))

        def forget(calls: Sequence[str], files: Sequence[str]) -> None:
            forgotten.extend([*calls, *files])

        done = run(where, live=[], forget=forget)

        assert path.read_bytes() == before, "its process writes on in this file"
        assert (where.recordings / "call_live-xylophone-canary.wav").exists()
        assert not [name for name in forgotten if "call_live" in name]
        assert is_stub(where.journals / "call_1.jsonl")
        assert {one.call_id: bool(one.failed) for one in done.calls} == {"call_1": False, "call_live": True}
        assert not done.complete


@pytest.mark.parametrize("name", ["Zoé Ünal", 'zoe "z" smith'])
def test_a_name_that_json_escapes_is_found_in_the_audit_log(tmp_path: Path, name: str) -> None:
    with shelves(tmp_path) as where:
        denied = Deed("ann", "operator", "page", "call.dial", "", result="denied", detail={"to": name})
        where.database.run_now(lambda c: audit.append(c, [denied], at=5.0))
        done = run(where, name)
        lines = where.database.run_now(lambda c: audit.read(c))
        assert done.audit["changed"] == 1
        assert json.loads(lines[-1].detail) == {"erased": True}
        assert where.database.run_now(audit.verify) == (2, "")


@pytest.mark.parametrize("name", ['zoe "z" smith', "zoe\\smith"])
def test_a_name_that_json_escapes_is_found_in_a_journal(tmp_path: Path, name: str) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=name)
        where.database.run_now(lambda c: c.exec_driver_sql("DELETE FROM calls"))
        assert [one.call_id for one in run(where, name).calls] == ["call_1"]


def test_a_file_that_a_reader_keeps_from_being_cleaned_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 20)
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        other = Database(where.database.url)
        other.open_now()

        def while_reading(c: object) -> None:
            c.exec_driver_sql("BEGIN")  # type: ignore[attr-defined]
            c.exec_driver_sql("SELECT count(*) FROM calls").all()  # type: ignore[attr-defined]
            with pytest.raises(DatabaseDown):
                run(where)

        other.run_now(while_reading)
        other.close_now()
        run(where)
        for path in where.journals.glob("voiceagent.db*"):
            assert DIGITS.encode() not in path.read_bytes()
