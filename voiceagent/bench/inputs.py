"""What it costs to write a call's inputs into its journal: the same calls with them and without, in turns."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from voiceagent.bench.calls import measure_calls
from voiceagent.bench.whole_calls import whole_calls
from voiceagent.loops import loop_factory
from voiceagent.observe.logs import configure_logs
from voiceagent.records.journal import JournalWriter


def run_inputs_bench(
    calls: int, seconds: float, pairs: int, *, warm_up_s: float | None = None
) -> dict[str, Any]:
    """Measure ``pairs`` times ``calls`` whole calls without inputs and with them, the order changing.

    ``cpu_ms_per_call_second`` is CPU time of this whole process, so that other programs' work adds little;
    ``added_percent`` is the median over the pairs, ``journal_kb_per_call`` what is on the disk then.
    """
    configure_logs(level="error")
    taken: dict[bool, list[float]] = {False: [], True: []}
    written: dict[bool, list[float]] = {False: [], True: []}
    reasons: list[str] = []
    for number in range(pairs):
        for inputs in (False, True) if number % 2 == 0 else (True, False):
            figures, kb = _measured(calls, seconds, warm_up_s, inputs=inputs)
            taken[inputs].append(figures["cpu_ms_per_call_second"])
            written[inputs].append(kb)
            reasons += figures["invalid_because"]
    added = [100 * (more / less - 1) for less, more in zip(taken[False], taken[True], strict=True)]
    return {
        "calls": calls,
        "seconds": seconds,
        "cpu_ms_per_call_second": {"without": taken[False], "with": taken[True]},
        "added_percent": round(statistics.median(added), 1),
        "added_percent_pairs": [round(one, 1) for one in added],
        "journal_kb_per_call": {
            "without": statistics.median(written[False]),
            "with": statistics.median(written[True]),
        },
        "invalid_because": reasons,
    }


def _measured(
    calls: int, seconds: float, warm_up_s: float | None, *, inputs: bool
) -> tuple[dict[str, Any], float]:
    with TemporaryDirectory(prefix="voiceagent-inputs-") as name:
        journals = JournalWriter(Path(name))
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                compose = whole_calls(journals, inputs=inputs)
                figures = runner.run(measure_calls(calls, seconds, compose=compose, warm_up_s=warm_up_s))
        finally:
            journals.close()
        size = sum(path.stat().st_size for path in Path(name).iterdir())
        return figures, round(size / 1024 / calls, 1)
