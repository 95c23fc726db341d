"""The disk of the journals is full for a while: no line is torn, nothing is lost while it may wait."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from voiceagent.records import journal as journal_module
from voiceagent.records import journal_files as module
from voiceagent.records.journal import JournalWriter
from voiceagent.records.journal_files import Reserve
from voiceagent.records.reading import entries_of


class Disk:
    """Takes ``room`` bytes, the last write in part, then says that it is full."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.refused = 0
        self.reserve: Path | None = None
        """A file whose going gives ``reserved`` bytes back."""
        self.reserved = 0

    def write(self, file: int, data: bytes) -> int:
        if self.reserve is not None and not self.reserve.exists():
            self.room += self.reserved
            self.reserve = None
        if not self.room:
            self.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.write(file, bytes(data[: self.room]))
        self.room -= taken
        return taken


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "AGAIN_S", 0.005)
    monkeypatch.setattr(journal_module, "BATCH_S", 0.001)


def full(monkeypatch: pytest.MonkeyPatch, room: int) -> Disk:
    disk = Disk(room)
    monkeypatch.setattr(module, "append_some", disk.write)
    return disk


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def seqs(path: Path) -> list[int]:
    """The sequence of a journal; raises for a line that is torn anywhere but at the end."""
    return [entry["seq"] for entry in entries_of(path)]


@pytest.mark.parametrize("room", [0, 1, 57, 400, 1001])
def test_what_was_not_taken_follows_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    disk = full(monkeypatch, room)
    writer = JournalWriter(tmp_path)
    journals = [writer.open(f"call_{n}") for n in range(3)]
    for number in range(30):
        for journal in journals:
            journal.write("tick", number=number)
    until(lambda: disk.refused > 2)
    assert "No space left" in str(writer.failed)
    journals[0].close()  # its call ends meanwhile
    assert not journals[0].complete
    disk.room = 10**9
    until(lambda: journals[0].complete)
    journals[1].write("more")
    for journal in journals[1:]:
        journal.close()
    until(lambda: all(one.complete for one in journals))
    assert writer.failed is None
    writer.close()
    assert writer.dropped == 0
    assert seqs(tmp_path / "call_0.jsonl") == list(range(1, 31))
    assert seqs(tmp_path / "call_1.jsonl") == list(range(1, 32))


def test_killed_while_the_disk_is_full_the_rest_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = full(monkeypatch, 333)
    writer = JournalWriter(tmp_path)
    journal = writer.open("call_1")
    for number in range(30):
        journal.write("tick", number=number)
    until(lambda: disk.refused)
    body = (tmp_path / "call_1.jsonl").read_bytes()
    assert len(body) == 333
    whole = body.count(b"\n")
    assert seqs(tmp_path / "call_1.jsonl") == list(range(1, whole + 1)), "all but the torn last line"
    writer.close()
    assert writer.dropped > 20


def test_the_reserve_lets_the_journals_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path, reserve_mb=1)
    reserve = tmp_path / ".reserve"
    assert reserve.stat().st_size == 1 << 20
    disk = full(monkeypatch, 500)
    disk.reserve, disk.reserved = reserve, 1 << 20
    journal = writer.open("call_1")
    for number in range(100):
        journal.write("tick", number=number)
    journal.close()
    until(lambda: journal.complete)
    assert writer.failed is None, "nobody is told of a trouble that was none"
    assert (writer.dropped, disk.refused) == (0, 1)
    assert not reserve.exists()
    assert seqs(tmp_path / "call_1.jsonl") == list(range(1, 101))
    monkeypatch.setattr(module, "MADE_AGAIN_S", 0.0)
    until(reserve.exists)
    writer.close()


def test_what_waits_is_bounded_and_the_loss_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PENDING_MOST", 2000)
    disk = full(monkeypatch, 100)
    writer = JournalWriter(tmp_path)
    journal = writer.open("call_1")
    for number in range(500):
        journal.write("tick", number=number)
    until(lambda: not writer.waiting and disk.refused)
    until(lambda: writer.dropped > 400)
    disk.room = 10**9
    journal.write("room again")
    journal.close()
    until(lambda: journal.complete)
    found = seqs(tmp_path / "call_1.jsonl")
    assert len(found) == 501 - writer.dropped
    assert found[-1] == 501
    assert found == sorted(set(found))
    writer.close()


def test_what_waits_of_all_journals_is_bounded_together_and_the_bound_counts_what_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "PENDING_ALL", 4000)
    disk = full(monkeypatch, 0)
    writer = JournalWriter(tmp_path)
    journals = [writer.open(f"call_{n}") for n in range(10)]
    for number in range(50):
        for journal in journals:
            journal.write("tick", number=number)
    until(lambda: writer.dropped > 300)
    disk.room = 10**9
    for journal in journals:
        journal.close()
    until(lambda: all(journal.complete for journal in journals))
    kept, lost = [len(seqs(tmp_path / f"call_{n}.jsonl")) for n in range(10)], writer.dropped
    assert sum(kept) == 500 - lost
    # All has left, so nothing is refused any more.
    again = writer.open("call_again")
    for number in range(40):
        again.write("tick", number=number)
    again.close()
    until(lambda: again.complete)
    assert len(seqs(tmp_path / "call_again.jsonl")) == 40
    assert writer.dropped == lost
    writer.close()


def test_a_folder_that_becomes_read_only_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(module, "append_some", refuse)
    writer = JournalWriter(tmp_path, reserve_mb=1)
    journal = writer.open("call_1")
    journal.write("tick")
    until(lambda: writer.failed)
    assert (tmp_path / ".reserve").exists(), "it would not help"
    monkeypatch.setattr(module, "append_some", os.write)
    journal.close()
    until(lambda: journal.complete)
    assert seqs(tmp_path / "call_1.jsonl") == [1]
    writer.close()


def test_there_is_no_reserve_where_there_is_no_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 1 << 60)
    reserve.make()
    assert reserve.wanting
    assert not (tmp_path / ".reserve").exists()
    none = Reserve(tmp_path, 0)
    none.make()
    assert not none.wanting
    assert not none.spend()
