"""Real calls over loopback, several at once on a loop with a real clock, are lived again as they were."""

from __future__ import annotations

from pathlib import Path

from voiceagent.bench.recorded_calls import SHORT, record_short
from voiceagent.bench.replay import replay_all
from voiceagent.loops import run_loop


def test_recorded_loopback_calls_are_decided_the_same(tmp_path: Path) -> None:
    run_loop(lambda: record_short(tmp_path))
    figures = replay_all(tmp_path)

    assert figures["differences"] == {}
    assert figures["calls"] == figures["same"] == len(SHORT)
    assert figures["decisions"] > 100
