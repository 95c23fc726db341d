"""``voiceagent bench calls --whole``: whole calls with all that a service does beside them, SIP left out.

The observer is the service's own: every call is in the node's directory, which publishes live events, counts
metrics and follows each journal for time lines and alerts. Journals hold the calls' inputs.
"""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from voiceagent.app.alarms import Alarms
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.events import EventHub
from voiceagent.bench.calls import measure_calls
from voiceagent.bench.whole_calls import whole_calls
from voiceagent.ids import random_token
from voiceagent.loops import loop_factory, quiet_collector
from voiceagent.observe.alerts import AlertConfig
from voiceagent.observe.logs import configure_logs
from voiceagent.observe.metrics import Metrics
from voiceagent.records.journal import JournalWriter


class CollectorWatch:
    """Times the turns of Python's garbage collector while it is used as a context."""

    def __init__(self) -> None:
        self._began = 0.0
        self._turns: list[tuple[int, float]] = []

    def __enter__(self) -> CollectorWatch:
        gc.callbacks.append(self._turn)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._turn)

    def _turn(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._turns.append((info["generation"], (time.perf_counter() - self._began) * 1000))

    def figures(self) -> dict[str, Any]:
        """Return, by generation, how many turns there were, how long the longest took and all, in ms."""
        found: dict[str, Any] = {}
        for generation in range(3):
            took = [ms for which, ms in self._turns if which == generation]
            found[f"generation_{generation}"] = {
                "turns": len(took),
                "longest_ms": round(max(took, default=0.0), 2),
                "ms": round(sum(took), 1),
            }
        return found


def node_directory() -> NodeDirectory:
    """Return the directory of a node as a service makes it, with metrics, live events and alerts."""
    hub, metrics = EventHub(), Metrics()
    alarms = Alarms(AlertConfig(), hub, metrics, random_token, provider="load")
    return NodeDirectory(
        hub, metrics, random_token, provider="load", readiness=lambda: (True, {}), alarms=alarms
    )


def run_whole_calls_bench(
    calls: int, seconds: float, *, warm_up_s: float | None = None, inputs: bool = True
) -> dict[str, Any]:
    """Run ``calls`` whole calls with everything on, measure for ``seconds`` and return the figures.

    The keys are those of :func:`voiceagent.bench.calls.run_calls_bench`; besides, ``journal_kb_per_call``
    (over the whole run), ``journal_dropped`` (entries, wanted: 0) and ``collector``: the turns of the garbage
    collector over the whole run. CPU time is that of the whole process, the journal's thread included. The
    collector is set as a service sets it, once, before the first call.
    """
    configure_logs(level="error")
    with TemporaryDirectory(prefix="voiceagent-whole-") as name:
        journals = JournalWriter(Path(name))
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner, CollectorWatch() as collector:
                compose = whole_calls(journals, inputs=inputs, directory=node_directory())
                quiet_collector()
                figures = runner.run(
                    measure_calls(calls, seconds, compose=compose, warm_up_s=warm_up_s, freeze=False)
                )
        finally:
            journals.close()
            gc.unfreeze()
        size = sum(path.stat().st_size for path in Path(name).iterdir())
    return {
        **figures,
        "journal_kb_per_call": round(size / 1024 / calls, 1),
        "journal_dropped": journals.dropped,
        "collector": collector.figures(),
    }
