"""How many of so many recorded calls are lived again with the same decisions, and how long that takes."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from voiceagent.bench.recorded_calls import record
from voiceagent.loops import run_loop
from voiceagent.observe.logs import configure_logs
from voiceagent.replay.difference import DEFAULT_TOLERANCE_S
from voiceagent.replay.replay import in_words, journals_of, replay_journal


def run_replay_bench(calls: int, *, at_once: int, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Make calls of many kinds over loopback, and replay their journals with the code that made them.

    ``keep`` is a folder in which the journals are left.
    """
    configure_logs(level="error")
    with TemporaryDirectory(prefix="voiceagent-replay-") as folder:
        place = Path(folder) if keep is None else keep
        run_loop(lambda: record(place, calls, at_once=at_once, seed=seed))
        return replay_all(place)


def replay_all(folder: Path, *, tolerance_s: float = DEFAULT_TOLERANCE_S) -> dict[str, Any]:
    """Replay every journal of a folder; each difference is told in words.

    On a busy machine, which holds a call up in the middle of a turn, times differ by more than the usual
    ``tolerance_s``.
    """
    configure_logs(level="error")
    compared, messages, recorded_s, slowest_s = 0, 0, 0.0, 0.0
    different: dict[str, str] = {}
    journals = journals_of([folder])
    began = time.perf_counter()
    for path in journals:
        start = time.perf_counter()
        report = replay_journal(path, tolerance_s=tolerance_s)
        slowest_s = max(slowest_s, time.perf_counter() - start)
        compared += report.verdict.compared
        messages += report.sip.compared
        recorded_s += report.seconds
        if not report.same:
            different[report.call_id] = in_words(report)
    return {
        "calls": len(journals),
        "same": len(journals) - len(different),
        "different": len(different),
        "decisions": compared,
        "sip_messages": messages,
        "recorded_s": round(recorded_s, 1),
        "replayed_s": round(time.perf_counter() - began, 3),
        "slowest_s": round(slowest_s, 3),
        "differences": different,
    }
