"""Somebody's calls are erased: afterwards no file of the folder holds a word or a digit of theirs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.app.test_aftercare import Shelf
from tests.kit.postgres_server import PostgresServer
from voiceagent.app.erasure import CallIsLive, Erasure, erase
from voiceagent.app.retention import Shelves, purge
from voiceagent.cli.erase import run_erase
from voiceagent.errors import RequestRefused
from voiceagent.records.stub import is_stub
from voiceagent.store import Database, audit, history, recordings
from voiceagent.store.audit import Deed
from voiceagent.store.history import CallQuery

from .kept_calls import keep, shelves

NUMBER = "+44 20 7946 0958"
DIGITS = "442079460958"
WORDS = "xylophone-canary sings"
BY = Deed("ann", "admin", "page", "")


def deeds(where: Shelves, call_id: str) -> None:
    """What operators did to the call, with its words and number in the details."""
    some = [
        Deed("ann", "operator", "page", "call.respond", call_id, detail={"instructions": WORDS}),
        Deed("ann", "operator", "page", "call.dial", "", result="denied_target", detail={"to": f"+{DIGITS}"}),
        Deed("ann", "operator", "page", "call.tag", "call_other", detail={"tag": "keep"}),
    ]
    where.database.run_now(lambda c: audit.append(c, some, at=5.0))


def holding(folder: Path, *canaries: str) -> list[str]:
    """Every file below a folder that holds one of these, by its name or in its bytes."""
    return [
        f"{path.name}: {word}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for word in canaries
        if word.encode() in path.read_bytes() or word in path.name
    ]


def run(where: Shelves, number: str = NUMBER, **options: Any) -> Erasure:
    return erase(where, number, by=BY, now=1000.0, **options)


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_nothing_of_them_is_left_in_any_file(tmp_path: Path, direction: str) -> None:
    side = "caller" if direction == "inbound" else "called"
    store = Shelf()
    with shelves(tmp_path, store) as where:
        keep(where, "call_1", 100.0, words=WORDS, direction=direction, **{side: f"+{DIGITS}"})
        keep(where, "call_2", 200.0, words=WORDS, direction=direction, **{side: f"00{DIGITS}"})
        keep(where, "call_other", 300.0, words="other words", direction=direction, **{side: "+4930111111"})
        deeds(where, "call_1")
        (where.recordings / "call_1-xylophone-canary.opus.77-0.part").write_bytes(WORDS.encode())
        [known] = where.database.run_now(lambda c: recordings.of_call(c, "call_2"))
        stored = replace(known, state="stored", location=f"{store.url}/call_2-xylophone-canary.opus")
        where.database.run_now(lambda c: recordings.put(c, stored))
        store.kept["call_2-xylophone-canary.opus"] = WORDS.encode()
        assert holding(tmp_path, DIGITS, "xylophone"), "or there is nothing to erase"
        journal = where.journals / "call_1.jsonl"
        before = hashlib.sha256(journal.read_bytes()).hexdigest()

        would = run(where, dry_run=True)
        assert not is_stub(journal)
        done = run(where)

        assert holding(tmp_path, DIGITS, "xylophone") == []
        assert store.kept == {}
        assert (
            [one.call_id for one in done.calls]
            == [one.call_id for one in would.calls]
            == ["call_1", "call_2"]
        )
        assert (done.calls[0].journal_sha256, would.calls[0].journal_sha256) == (before, before)
        assert done.complete
        page = where.database.run_now(lambda c: history.find(c, CallQuery(order="oldest")))
        kept = {one.call.id: one.call for one in page.calls}
        assert (kept["call_1"].caller, kept["call_1"].called, kept["call_1"].recording) == ("", "", "")
        assert (kept["call_1"].outcome, kept["call_1"].duration_s) == ("completed", 60.0)
        # The others are as they were.
        assert getattr(kept["call_other"], side) == "+4930111111"
        assert where.database.run_now(lambda c: len(history.lines_of(c, "call_other"))) == 1
        assert (where.recordings / "call_other-other.wav").exists()
        assert not is_stub(where.journals / "call_other.jsonl")


def test_the_proof_is_chained_and_tells_no_number(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        deeds(where, "call_1")
        last = where.database.run_now(lambda c: audit.read(c, limit=1))[0].hash
        done = run(where)
        lines = where.database.run_now(lambda c: audit.read(c))
        assert (lines[0].n, lines[0].action, lines[0].actor) == (done.audit_line, "erasure", "ann")
        told = json.loads(lines[0].detail)
        assert told | {"audit_line": done.audit_line} == done.as_data()
        assert told["number"] == "…58"
        assert told["audit"] == {"changed": 2, "hash_before": last, "hash_after": lines[0].previous}
        assert [json.loads(line.detail) for line in reversed(lines[1:])] == [
            {"erased": True},
            {"erased": True},
            {"tag": "keep"},
        ]
        assert where.database.run_now(audit.verify) == (4, "")
        [proof] = done.calls
        assert [one["at"] for one in proof.recordings] == ["folder"]
        again = run(where)
        assert again.calls == []
        assert where.database.run_now(audit.verify) == (5, "")


def test_a_database_made_anew_does_not_bring_it_back(tmp_path: Path) -> None:
    from voiceagent.store.rebuild import look_through

    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        run(where)
        assert look_through(where.database, where.journals, write=False).agree, "rows and stub say the same"
        fresh = Database(f"sqlite:///{tmp_path}/fresh.db")
        fresh.open_now()
        look_through(fresh, where.journals, write=True, audio=where.recordings)
        fresh.close_now()
        assert holding(tmp_path, DIGITS, "xylophone") == []


def test_who_is_on_the_line_is_refused(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        with pytest.raises(CallIsLive, match="call_9"):
            run(where, live=[("call_9", f"sip:{DIGITS}@example.com")])
        assert not is_stub(where.journals / "call_1.jsonl")
        assert where.database.run_now(lambda c: audit.read(c)) == []


def test_what_cannot_be_removed_keeps_its_call_findable(tmp_path: Path) -> None:
    store = Shelf()
    with shelves(tmp_path, store) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        [known] = where.database.run_now(lambda c: recordings.of_call(c, "call_1"))
        away = replace(known, state="stored", location="s3://elsewhere/a.opus")
        where.database.run_now(lambda c: recordings.put(c, away))
        first = run(where)
        assert not first.complete
        assert "not in the store of this node" in first.calls[0].failed
        row = history.one
        assert where.database.run_now(lambda c: row(c, "call_1")).call.caller == f"+{DIGITS}"  # type: ignore[union-attr]
        mended = Shelf()
        mended.url = "s3://elsewhere"
        second = run(replace(where, store=mended))
        assert second.complete
        assert holding(tmp_path, DIGITS, "xylophone") == []


def test_a_call_whose_journal_is_elsewhere_says_so_and_one_without_a_row_is_found(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        keep(where, "call_2", 100.0, words=WORDS, caller=f"+{DIGITS}")
        (where.journals / "call_1.jsonl").unlink()

        def lose(c: Any) -> None:
            from voiceagent.store import erasing

            erasing.remove_calls(c, ["call_2"])

        where.database.run_now(lose)
        done = run(where)
        assert [(one.call_id, one.node) for one in done.calls] == [("call_1", "a"), ("call_2", "")]
        assert not done.complete
        assert holding(tmp_path, DIGITS, "xylophone") == []


def test_a_number_in_somebody_else_s_call_is_told_and_left(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=f"call me at +{DIGITS}", caller="+4930111111")
        done = run(where)
        assert (done.calls, done.mentioned_in) == ([], ["call_1"])
        assert not is_stub(where.journals / "call_1.jsonl")


@pytest.mark.parametrize("written", ["anonymous", "", "+1", "sip:Anonymous@anonymous.invalid", "unknown"])
def test_nobody_is_erased_by_a_name_that_many_bear(tmp_path: Path, written: str) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, caller="anonymous")
        with pytest.raises(RequestRefused):
            run(where, written)
        assert not is_stub(where.journals / "call_1.jsonl")


def test_the_command_prints_the_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
    places = [f"journal_dir={tmp_path}/journals", f"recordings_dir={tmp_path}/recordings"]
    for dry_run in (True, False):
        with pytest.raises(SystemExit) as ended:
            run_erase(None, places, None, None, NUMBER, dry_run=dry_run, as_json=False)
        assert ended.value.code == 0
        told = capsys.readouterr().out
        verb = "would be erased" if dry_run else "erased"
        assert told.startswith(f"1 calls of …58 {verb}\n  call_1  journal ")
        assert ("proof: line 1 of the audit log" in told) is not dry_run
        assert bool(holding(tmp_path, DIGITS, "xylophone")) is dry_run


@pytest.mark.fleet
def test_postgresql_forgets_as_well(tmp_path: Path, postgres: PostgresServer) -> None:
    with shelves(tmp_path, url=postgres.new_url()) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        keep(where, "call_other", 300.0, words="other words", caller="+4930111111")
        deeds(where, "call_1")
        assert run(where).complete

        def rows(c: Any) -> str:
            names = ("calls", "lines", "responses", "tags", "outbox", "recordings", "call_text", "audit")
            return "".join(str(c.execute(text(f"SELECT * FROM {name}")).all()) for name in names)

        left = where.database.run_now(rows)
        assert (DIGITS in left, "xylophone" in left) == (False, False)
        assert "other words" in left
        assert where.database.run_now(audit.verify) == (4, "")
        days = dict.fromkeys(("recordings", "transcripts", "journals", "calls", "audit"), 1)
        purge(where, days, now=10 * 86_400.0)
        assert "other words" not in where.database.run_now(rows)
        assert where.database.run_now(audit.verify)[1] == ""
