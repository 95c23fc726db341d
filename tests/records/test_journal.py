"""The journal: ordered, readable after a kill, and never in a call's way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from voiceagent.records.journal import Journal, JournalWriter, encode, plain, read_journal


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Body:
    colour: Colour
    nothing: None
    some: frozenset[str]
    data: bytes


def test_entries_are_numbered_timed_and_plain(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    journal = writer.open("call_1")
    journal.write("call.offered", call_id="call_1")
    journal.write("sequencer", Body(Colour.RED, None, frozenset({"b", "a"}), b"xyz"))
    journal.close()
    writer.close()

    first, second = read_journal(tmp_path / "call_1.jsonl")
    assert (first["v"], first["seq"], first["type"], first["call_id"]) == (1, 1, "call.offered", "call_1")
    assert second["seq"] == 2
    assert second["event"] == "Body"
    assert second["body"] == {"colour": "red", "some": ["a", "b"], "data": "<3 bytes>"}
    assert second["t"] >= first["t"] >= 0


def test_a_tap_sees_every_entry_at_once() -> None:
    seen: list[int] = []
    journal = Journal(None, None)
    journal.tap(lambda entry: seen.append(entry["seq"]))
    journal.write("a")
    journal.write("b")
    assert seen == [1, 2]


def test_a_torn_last_line_ends_the_reading_quietly(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_text('{"seq": 1}\n{"seq": 2}\n{"se', encoding="utf-8")
    assert [entry["seq"] for entry in read_journal(path)] == [1, 2]


def test_a_full_disk_or_a_bad_folder_is_counted_and_never_raised(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "folder")
    journal = writer.open("missing/parent")
    journal.write("call.offered")
    journal.close()
    writer.close()
    assert writer.dropped == 1
    assert writer.failed is not None
    assert "FileNotFoundError" in writer.failed


def test_a_killed_process_leaves_a_readable_journal(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from voiceagent.records.journal import JournalWriter
        writer = JournalWriter(Path(sys.argv[1]))
        journal = writer.open("call")
        path = Path(sys.argv[1]) / "call.jsonl"
        number = 0
        while True:
            number += 1
            journal.write("tick", number=number)
            if number == 200:
                while not path.exists() or path.stat().st_size == 0:
                    pass
                print("go", flush=True)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"go\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()

    numbers = [entry["number"] for entry in read_journal(tmp_path / "call.jsonl")]
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))


def test_everything_becomes_json() -> None:
    assert json.loads(json.dumps({"x": object()}, default=plain))["x"].startswith("<object")


def test_the_encoder_that_is_made_once_writes_what_the_ordinary_one_does() -> None:
    entry = {
        "text": 'quotes " and \\, ünïcode, half a pair \ud83d, \x00\u2028',
        "numbers": [0, -1, 10**20, 0.1, 1e-7, 1e22, float("inf"), True, None],
        "body": Body(Colour.RED, None, frozenset({"b", "a"}), b"abc"),
        "others": (Path("a/b"), b"abc", frozenset({"b", "a"}), Colour.RED, {1: {"deep": [[]]}}),
    }
    ordinary = json.JSONEncoder(default=plain, ensure_ascii=False, separators=(",", ":"))
    assert encode(entry) == ordinary.encode(entry)
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        encode({"endless": endless})


def test_after_its_end_nothing_is_written_and_the_file_stays_closed(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    journal = writer.open("call_1")
    journal.write("call.ended")
    journal.close()
    journal.write("late")
    journal.close()
    writer.close()
    assert [entry["type"] for entry in read_journal(tmp_path / "call_1.jsonl")] == ["call.ended"]


def test_an_entry_that_json_cannot_hold_costs_itself_only(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    journal = writer.open("call_1")
    journal.write("odd", body=None, fields={(1, 2): 3})
    journal.write("said", text="half a pair: \ud83d")
    journal.close()
    writer.close()
    entries = list(read_journal(tmp_path / "call_1.jsonl"))
    assert [(entry["seq"], entry["type"]) for entry in entries] == [(2, "said")]
    assert entries[0]["text"] == "half a pair: \ud83d"
    assert writer.dropped == 1


def test_time_is_that_of_the_given_clock(tmp_path: Path) -> None:
    seen: list[float] = []
    clock = iter((5.0, 5.25, 9.0))
    journal = Journal(None, None, monotonic=lambda: next(clock))
    journal.tap(lambda entry: seen.append(entry["t"]))
    journal.write("a")
    journal.write("b")
    assert seen == [0.25, 4.0]
