"""PURE. The plots of a benchmark report, by the names of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voiceagent.bench.plots import Bar, Chart, Line, Point, bar_chart, line_chart
from voiceagent.bench.stats import slope
from voiceagent.bench.targets import Measured, Run, measured

WHOLE = "calls "


def plots_of(report: Mapping[str, Any]) -> dict[str, str]:
    """Return file name → SVG; what was not measured has no plot."""
    pieces: Mapping[str, Mapping[str, Any]] = report["pieces"]
    drawn = {
        "cpu.svg": _over_calls(
            pieces,
            ("cpu_ms_per_call_second",),
            Chart(
                "CPU of a call", "calls at once", "ms of CPU per call and second", 1.2, "wanted at 600 calls"
            ),
        ),
        "pacing.svg": _over_calls(
            pieces,
            ("pacing_ms", "p99"),
            Chart("Pacing at the phones, 99th percentile", "calls at once", "ms from 20 ms", 5.0, "wanted"),
        ),
        "peers.svg": _peers(pieces),
        "soak.svg": _soak(pieces),
    }
    return {name: svg for name, svg in drawn.items() if svg}


def whole_calls(pieces: Mapping[str, Mapping[str, Any]]) -> dict[int, Sequence[Run]]:
    """Return the runs of whole calls by their number at once."""
    return {
        int(name.removeprefix(WHOLE)): piece["runs"]
        for name, piece in pieces.items()
        if name.startswith(WHOLE)
    }


def _over_calls(pieces: Mapping[str, Mapping[str, Any]], path: tuple[str, ...], chart: Chart) -> str:
    points = [
        Point(calls, one.median, one.least, one.most, one.valid_runs > 0)
        for calls, runs in sorted(whole_calls(pieces).items())
        if (one := measured(runs, path)) is not None
    ]
    return line_chart(chart, [Line("", points)]) if points else ""


def _peers(pieces: Mapping[str, Mapping[str, Any]]) -> str:
    path = ("cpu_ms_per_call_second",)
    bars: list[Bar] = []
    ours: list[Run] = []
    calls = 0
    for name, piece in pieces.items():
        if name.startswith("against "):
            for compared in piece["runs"]:
                calls = compared.get("calls", calls)
                for side, runs in compared.get("runs", {}).items():
                    if side.startswith("voiceagent "):
                        ours += runs
                    elif (one := measured(runs, path)) is not None:
                        bars.append(_bar(side, one))
    own = measured(ours, path)
    if own is None:
        return ""
    chart = Chart(f"The same {calls} calls", "", "ms of CPU per call and second")
    return bar_chart(chart, [_bar("voiceagent", own), *bars])


def _bar(name: str, one: Measured) -> Bar:
    name = "plain bridge" if name.startswith("plain ") else name
    return Bar(name, one.median, one.least, one.most, one.valid_runs > 0)


def _soak(pieces: Mapping[str, Mapping[str, Any]]) -> str:
    runs: Sequence[Run] = pieces.get("soak", {}).get("runs", ())
    memory: Mapping[str, Any] | None = runs[0].get("memory") if runs else None
    if not memory or len(memory["samples"]) < 2:
        return ""
    samples: list[tuple[float, float]] = [(x, y / 1024) for x, y in memory["samples"]]
    lines = [Line("resident", [Point(x, y) for x, y in samples], dots=False)]
    excluded = float(memory["excluded_calls"])
    counted = [point for point in samples if point[0] >= excluded]
    if memory["kb_per_call"] is not None and len(counted) > 1:
        rise = slope(counted)
        middle_x = sum(x for x, _ in counted) / len(counted)
        middle_y = sum(y for _, y in counted) / len(counted)
        ends = [Point(x, middle_y + rise * (x - middle_x)) for x in (counted[0][0], counted[-1][0])]
        lines.append(Line(f"fit: {memory['kb_per_call']:g} kB per call", ends, dots=False))
    chart = Chart(
        "Memory of the service over short calls",
        "calls that have ended",
        "MB resident",
        marks=((excluded, "counted from here"),) if len(lines) > 1 else (),
    )
    return line_chart(chart, lines)
