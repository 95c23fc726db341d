"""The demonstration's ✓ about the sequencer: what it needs to appear, and what takes it away."""

from __future__ import annotations

import json
from pathlib import Path

from tests.replay.test_replay import doctor, index_of, live
from voiceagent.cli.explain import prove


def test_a_sound_journal_earns_the_tick(tmp_path: Path) -> None:
    live(tmp_path, 7)
    ok, detail = prove(tmp_path)
    assert ok
    assert detail.startswith("checked on the ")


def test_a_violation_and_an_empty_folder_do_not(tmp_path: Path) -> None:
    assert not prove(tmp_path)[0]
    bad = doctor(live(tmp_path, 7), lambda entries: entries.pop(index_of(entries, "Settled")) and None)
    bad.rename(bad.with_suffix(".jsonl"))
    ok, detail = prove(tmp_path)
    assert not ok
    assert detail.startswith("I2 in line ")


def test_dropped_entries_do_not(tmp_path: Path) -> None:
    path = live(tmp_path, 7)
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["seq"] != 20]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert prove(tmp_path) == (False, "1 entries are missing")
