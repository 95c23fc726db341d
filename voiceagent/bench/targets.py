"""PURE. What is wanted of the figures in a benchmark report, and what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Run = Mapping[str, Any]


class Measured(NamedTuple):
    """A figure over the valid runs; over all of them where none is valid."""

    median: float
    least: float
    most: float
    valid_runs: int
    runs: int


@dataclass(frozen=True, slots=True)
class Target:
    """One row: where the figure stands, and the most (or with ``floor`` the least) that it may be."""

    label: str
    piece: str
    path: tuple[str, ...]
    unit: str
    limit: float
    floor: bool = False

    def kept(self, value: float) -> bool:
        """Whether ``value`` is good enough."""
        return value >= self.limit if self.floor else value <= self.limit


MOST = "calls 600"
TARGETS = (
    Target("CPU per call", MOST, ("core_percent_per_call",), "% of a core", 0.12),
    Target("pacing p99", MOST, ("pacing_ms", "p99"), "ms", 5.0),
    Target("caller to model p50", MOST, ("uplink_ms", "p50"), "ms", 25.0),
    Target("model to caller p50", MOST, ("downlink_ms", "p50"), "ms", 12.0),
    Target("silence after barge-in p99", MOST, ("barge_in_stop_ms", "p99"), "ms", 20.0),
    Target("memory per call", MOST, ("memory_kb_per_call",), "kB", 150.0),
    Target("frames lost", MOST, ("frames_lost",), "", 0.0),
    Target("share of pipecat's CPU", "against pipecat", ("share_of_the_peers_cpu", "median"), "", 0.1),
    Target("set-up p95 at 300 calls a second", "setup", ("setup_ms", "p95"), "ms", 2.0),
    Target("set-ups failed", "setup", ("failed",), "", 0.0),
    Target("decisions", "sequencer", ("decisions_per_second",), "per second", 200_000.0, floor=True),
    Target("requests vanished", "sequencer", ("simulation", "vanished"), "", 0.0),
    Target("turns restored", "recovery", ("turns_restored_percent",), "%", 100.0, floor=True),
    Target("tool effects twice", "recovery", ("tool_effects_twice",), "", 0.0),
    Target("comfort after a death p99", "recovery", ("comfort_delay_s", "p99"), "s", 1.0),
    Target("restored session p99", "recovery", ("resumed_s", "p99"), "s", 3.0),
    Target("soak: failed calls", "soak", ("goals", "failed", "measured"), "", 0.0),
    Target("soak: more tasks", "soak", ("goals", "tasks", "measured"), "", 4.0),
    Target("soak: more descriptors", "soak", ("goals", "descriptors", "measured"), "", 8.0),
    Target("soak: memory", "soak", ("goals", "memory_kb_per_call", "measured"), "kB per call", 1.0),
    Target("soak: calls, legs, ports left", "soak", ("goals", "left", "measured"), "", 0.0),
)


def value_at(run: Run, path: Sequence[str]) -> float | None:
    """Return the number at ``path``; None where it was not measured."""
    place: Any = run
    for name in path:
        if not isinstance(place, Mapping) or name not in place:
            return None
        place = place[name]  # pyright: ignore[reportUnknownVariableType]
    return float(place) if isinstance(place, int | float) else None


def measured(runs: Sequence[Run], path: Sequence[str]) -> Measured | None:
    """Return median, least and most of the figure at ``path``; None where no run has it."""
    valid = [run for run in runs if run["valid"]]
    values = [value for run in valid or runs if (value := value_at(run, path)) is not None]
    if not values:
        return None
    return Measured(statistics.median(values), min(values), max(values), len(valid), len(runs))
