"""A recording's line goes forward only, and stands before its call's."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.store.kit import record
from voiceagent.records.states import StateLog
from voiceagent.store import Database, history, recordings
from voiceagent.store.database import make_engine
from voiceagent.store.rebuild import look_through
from voiceagent.store.recordings import RecordingRecord
from voiceagent.store.schema import HEAD, upgrade

BEGUN = RecordingRecord(file="call_1.wav", call_id="call_1", name="call_1", started_at=1000.0)
FINISHED = replace(BEGUN, state="finished", seconds=3.0, bytes=96044, sha256="ab", location="call_1.wav")
ENCODED = replace(
    FINISHED, state="encoded", format="opus", bytes=9000, sha256="cd", location="call_1.opus", dropped_s=0.5
)
ERASED = replace(ENCODED, state="erased", location="", sha256="", bytes=0)


@pytest.mark.parametrize("order", list(permutations([BEGUN, FINISHED, ENCODED, ERASED])))
def test_whatever_order_the_news_come_in_the_last_state_stands(
    database: Database, order: tuple[RecordingRecord, ...]
) -> None:
    for one in order:
        database.run_now(lambda c, one=one: recordings.put(c, one))
    assert database.run_now(lambda c: recordings.get(c, "call_1.wav")) == ERASED


def test_said_again_it_changes_nothing_and_a_call_s_recordings_come_in_order(database: Database) -> None:
    second = replace(BEGUN, file="call_1-order.wav", name="order", started_at=1001.0)
    for one in (second, FINISHED, FINISHED):
        assert database.run_now(lambda c, one=one: recordings.put(c, one))
    assert not database.run_now(lambda c: recordings.put(c, BEGUN))
    assert database.run_now(lambda c: recordings.of_call(c, "call_1")) == [FINISHED, second]
    assert database.run_now(lambda c: recordings.in_state(c, "finished", "encoded")) == [FINISHED]
    assert database.run_now(lambda c: recordings.get(c, "other.wav")) is None


def test_a_call_written_again_keeps_its_recordings(database: Database) -> None:
    database.run_now(lambda c: recordings.put(c, FINISHED))
    for _ in range(2):
        database.run_now(lambda c: history.write(c, record("call_1")))
    assert database.run_now(lambda c: recordings.of_call(c, "call_1")) == [FINISHED]


def test_a_database_of_the_first_version_gets_the_table_and_keeps_its_calls() -> None:
    engine = make_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection, "0001")
        history.write(connection, record("call_1"))
        upgrade(connection)
        assert recordings.put(connection, FINISHED)
        assert history.one(connection, "call_1") is not None
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD


def test_a_database_made_anew_knows_what_became_of_them(tmp_path: Path, database: Database) -> None:
    entries = [
        {"type": "call.offered", "call_id": "call_1", "started_at": 900.0},
        {"type": "recording.started", "name": "one", "file": "call_1-one.wav", "began_s": 2.5},
        {"type": "recording.started", "name": "two", "file": "call_1-two.wav", "began_s": 9.0},
        {
            "type": "recording.finished",
            "file": "call_1-one.wav",
            "seconds": 3.0,
            "bytes": 96_044,
            "sha256": "ab",
        },
        {"type": "recording.failed", "file": "call_1-two.wav", "error": "OSError: full"},
        {"type": "call.ended", "outcome": "success"},
    ]
    lines = [json.dumps({"seq": n, "t": 1.0, "at": 950.0, **one}) for n, one in enumerate(entries, 1)]
    (tmp_path / "call_1.jsonl").write_text("\n".join(lines) + "\n")
    look_through(database, tmp_path, write=True, audio=tmp_path)
    one, two = database.run_now(lambda c: recordings.of_call(c, "call_1"))
    assert (one.state, one.name, one.started_at, one.seconds) == ("finished", "one", 902.5, 3.0)
    assert (two.state, two.error) == ("failed", "OSError: full")

    encoded = replace(one, state="encoded", format="opus", location="call_1-one.opus")
    StateLog(tmp_path).append(encoded)
    database.run_now(lambda c: c.execute(text("DELETE FROM recordings")))
    found = look_through(database, tmp_path, write=False)
    assert found.differing == {"call_1": ["recordings"]}
    look_through(database, tmp_path, write=True, audio=tmp_path)
    assert database.run_now(lambda c: recordings.get(c, "call_1-one.wav")) == encoded
    assert look_through(database, tmp_path, write=False).agree
