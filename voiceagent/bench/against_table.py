"""PURE. Two frameworks under one load: medians beside each other, the ratio, how the peer is put together."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

METHODS = {
    "pipecat": (
        "Pipeline of transport, context aggregators and OpenAIRealtimeLLMService, as in its telephony "
        "examples; no voice activity detection of its own. It has no RTP, so the transport is ours: its base "
        "classes over an asyncio socket, 20 ms a packet. Its realtime service takes 24 kHz PCM only: it "
        "resamples both ways with its own resampler. While the agent is silent it sends no packets; we do, "
        "fifty a second. Stamps do not survive resampling, so caller to model is not measured there."
    ),
    "openai-agents": (
        "RealtimeSession with its WebSocket model and playback tracker, G.711 on both sides. It has no RTP: "
        "a plain asyncio socket and a task per call that sends 20 ms a packet. While the agent is silent it "
        "sends no packets; we do, fifty a second."
    ),
    "plain": (
        "The straightforward bridge, part of this bench: websockets, json and base64, an asyncio socket, a "
        "task for each direction, G.711 passed through, 20 ms a packet and an append. While the agent is "
        "silent it sends no packets; we do, fifty a second."
    ),
}
"""How each peer is put together: every figure beside its name is of this."""
SHOWN = (
    ("cpu_ms_per_call_second",),
    ("core_percent",),
    ("pacing_ms", "p99"),
    ("downlink_ms", "p50"),
    ("barge_in_stop_ms", "p99"),
    ("memory_kb_per_call",),
    ("base_memory_mb",),
)
LABELS = {
    "cpu_ms_per_call_second": "CPU, ms per call and second",
    "core_percent": "CPU, % of a core",
    "pacing_ms": "pacing p99, ms",
    "downlink_ms": "model to caller p50, ms",
    "barge_in_stop_ms": "silence after barge-in p99, ms",
    "memory_kb_per_call": "memory per call, kB",
    "base_memory_mb": "memory of the process before, MB",
}
MOST_OF_THE_PEER = 0.1
"""Wanted against pipecat: at most a tenth of its CPU."""

Run = dict[str, Any]


def compared(
    peer: str, runs: Mapping[str, Sequence[Run]], *, calls: int, seconds: float, whole: bool
) -> dict[str, Any]:
    """Return medians with least and most of both sides, and what share of the peer's CPU is ours."""
    names = {side: f"{side} {some[0]['version']}".strip() for side, some in runs.items()}
    sides = {names[side]: summary(some) for side, some in runs.items()}
    ours, theirs = (sides[names[side]]["cpu_ms_per_call_second"] for side in ("voiceagent", peer))
    pairs = [
        mine["cpu_ms_per_call_second"] / its["cpu_ms_per_call_second"]
        for mine, its in zip(runs["voiceagent"], runs[peer], strict=True)
    ]
    share = ours["median"] / theirs["median"]
    reasons = [
        f"{side}: {reason}"
        for side, some in runs.items()
        if not any(run["valid"] for run in some)
        for reason in some[0]["invalid_because"]
    ]
    goal = {"most": MOST_OF_THE_PEER, "measured": round(share, 4), "kept": share <= MOST_OF_THE_PEER}
    return {
        "calls": calls,
        "seconds": seconds,
        "whole_calls": whole,
        "peer": names[peer],
        **sides,
        "share_of_the_peers_cpu": {
            "median": round(share, 4),
            "min": round(min(pairs), 4),
            "max": round(max(pairs), 4),
        },
        "times_less_cpu": round(1 / share, 1),
        "goals": {"share_of_the_peers_cpu": goal} if peer == "pipecat" else {},
        "method": METHODS[peer],
        "valid": not reasons,
        "invalid_because": reasons,
        "runs": {names[side]: list(some) for side, some in runs.items()},
    }


def table(figures: Mapping[str, Any]) -> str:
    """Return both sides beside each other as lines of text: medians, least and most in brackets."""
    peer = figures["peer"]
    ours = next(name for name in figures if name.startswith("voiceagent "))
    rows: list[tuple[str, ...]] = [("", ours, peer)]
    for path in SHOWN:
        name = ".".join(path)
        rows.append((LABELS[path[0]], *(_cell(figures[side].get(name)) for side in (ours, peer))))
    rows.append(
        (
            "valid runs",
            *(f"{figures[side]['valid_runs']} of {figures[side]['runs']}" for side in (ours, peer)),
        )
    )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    kind = "whole calls" if figures["whole_calls"] else "calls"
    share = figures["share_of_the_peers_cpu"]
    lines = [f"{figures['calls']} {kind} at once for {figures['seconds']:g} s, in turns"]
    lines += [
        f"  {first:<{widths[0]}}  {second:>{widths[1]}}  {third:>{widths[2]}}"
        for first, second, third in rows
    ]
    lines.append(
        f"  our share of its CPU: {share['median']:.3f} ({share['min']:.3f} to {share['max']:.3f}), "
        f"{figures['times_less_cpu']:g} times less"
    )
    lines += [f"  {word}" for word in textwrap.wrap(figures["method"], 100)]
    lines += [f"  not valid: {reason}" for reason in figures["invalid_because"]]
    return "\n".join(lines)


def _cell(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "not measured"
    if value["min"] == value["max"]:
        return f"{value['median']:.4g}"
    return f"{value['median']:.4g} ({value['min']:.4g} to {value['max']:.4g})"


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Return median, least and most of each shown figure, of the valid runs where there are any."""
    valid = [run for run in runs if run["valid"]] or list(runs)
    rows: dict[str, Any] = {"runs": len(runs), "valid_runs": sum(run["valid"] for run in runs)}
    for path in SHOWN:
        values = [float(value) for run in valid if (value := _at(run, path)) is not None]
        if values:
            rows[".".join(path)] = {
                "median": round(statistics.median(values), 3),
                "min": min(values),
                "max": max(values),
            }
    rows["python"], rows["loop"] = runs[0]["python"], runs[0]["loop"]
    return rows


def _at(run: Mapping[str, Any], path: Sequence[str]) -> Any:
    place: Any = run
    for name in path:
        place = place.get(name) if place is not None else None
    return place
