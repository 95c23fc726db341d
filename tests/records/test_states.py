"""The states after the call: appended whole, read whatever a crash left, rewritten at one stroke."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from voiceagent.records.states import STATES, RecordingRecord, StateLog, newest_of

ONE = RecordingRecord(
    file="call_1.wav",
    call_id="call_1",
    name="call_1",
    started_at=5.0,
    state="finished",
    location="call_1.wav",
)
TWO = replace(ONE, state="encoded", format="opus", location="call_1.opus", sha256="ab")
THREE = replace(TWO, state="stored", location="s3://bucket/call_1.opus")


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    log = StateLog(tmp_path / "recordings")
    assert list(log.read()) == []
    for one in (ONE, TWO, THREE):
        log.append(one)
    assert list(log.read()) == [ONE, TWO, THREE]
    assert log.newest() == {"call_1.wav": THREE}
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    log = StateLog(tmp_path)
    log.append(ONE)
    whole = log.path.read_bytes()
    for cut in range(1, len(whole)):
        log.path.write_bytes(whole + whole[:cut].rstrip(b"\n"))
        log.append(TWO)
        assert list(log.read())[-1] == TWO
        assert ONE in list(log.read())


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    log = StateLog(tmp_path)
    log.append(ONE)
    with (tmp_path / STATES).open("a") as file:
        file.write(
            '[]\n{"file": 1}\nnull\n{"file":"x","call_id":"x","name":"x","started_at":1,"state":"eaten"}\n\n'
        )
    log.append(replace(TWO, name="später"))
    assert [one.state for one in log.read()] == ["finished", "encoded"]


def test_the_last_state_stands_whatever_order_they_come_in() -> None:
    for order in itertools.permutations([ONE, TWO, THREE]):
        assert newest_of(order) == {"call_1.wav": THREE}


def test_rewriting_changes_and_leaves_out(tmp_path: Path) -> None:
    log = StateLog(tmp_path)
    other = replace(ONE, file="call_2.wav", call_id="call_2")
    for one in (ONE, other, TWO):
        log.append(one)
    assert log.rewrite(lambda one: None if one.call_id == "call_1" else one) == 2
    assert list(log.read()) == [other]
    assert log.rewrite(lambda one: one) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recordings.jsonl", "recordings.lock"]
