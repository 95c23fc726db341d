"""Figures of ``voiceagent bench calls`` for people: what was wanted, what was measured, and how."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """One row: where the figure stands, its unit, and the most it may be."""

    label: str
    path: tuple[str, ...]
    unit: str
    most: float


GOALS = (
    Goal("CPU per call", ("core_percent_per_call",), "% of a core", 0.2),
    Goal("pacing, p99", ("pacing_ms", "p99"), "ms", 5.0),
    Goal("caller to model, p99", ("uplink_ms", "p99"), "ms", 5.0),
    Goal("model to caller, first frame, p99", ("downlink_ms", "p99"), "ms", 5.0),
    Goal("silence after barge-in, p99", ("barge_in_stop_ms", "p99"), "ms", 20.0),
    Goal("truncation against what was heard, p99", ("truncate_error_ms", "p99"), "ms", 20.0),
    Goal("memory per call", ("memory_kb_per_call",), "kB", 200.0),
    Goal("frames lost", ("frames_lost",), "", 0.0),
)
"""For 300 G.711 calls in one process, the load process on another core."""


def value_at(figures: Mapping[str, Any], path: Sequence[str]) -> float:
    """Return the number at ``path``; a missing one is an error of the caller."""
    place: Any = figures
    for name in path:
        place = place[name]
    return float(place)


def verdicts(figures: Mapping[str, Any]) -> list[tuple[Goal, float, bool]]:
    """Return every goal with the figure and whether it was kept."""
    rows: list[tuple[Goal, float, bool]] = []
    for goal in GOALS:
        value = value_at(figures, goal.path)
        rows.append((goal, value, value <= goal.most))
    return rows


def median_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the medians of several runs of one load, with the least and most of each goal's figure."""
    if not runs:
        raise ValueError("no runs")
    valid = [run for run in runs if run["valid"]] or list(runs)
    rows = {
        ".".join(goal.path): {
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
        }
        for goal in GOALS
        for values in [[value_at(run, goal.path) for run in valid]]
    }
    return {
        "calls": runs[0]["calls"],
        "runs": len(runs),
        "valid_runs": sum(run["valid"] for run in runs),
        **rows,
    }


def render(figures: Mapping[str, Any]) -> str:
    """Return the figures of one run as lines of text."""
    lines = [
        f"{figures['calls']} calls for {figures['seconds']:.0f} s on {figures['loop']}, "
        f"wheel by {figures['wheel']['timer']}: {figures['core_percent']:.1f} % of a core"
    ]
    width = max(len(goal.label) for goal in GOALS)
    for goal, value, kept in verdicts(figures):
        shown = f"{value:.3g} {goal.unit}".strip()
        mark = "✓" if kept else "✗"
        lines.append(
            f"  {goal.label:<{width}}  {shown:>16}  {mark} at most {goal.most:g} {goal.unit}".rstrip()
        )
    load = figures["load"]
    late, ours = load["load_lateness_ms"]["p99"], figures["wheel"]["lateness_ms"]["p99"]
    lines.append(
        f"  load process: {load['load_core_percent']:.0f} % of a core, its own lateness p99 {late:.1f} ms; "
        f"our wheel's p99 {ours:.1f} ms"
    )
    lines.extend(f"  not valid: {reason}" for reason in figures["invalid_because"])
    return "\n".join(lines)
