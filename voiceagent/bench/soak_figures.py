"""PURE. What the samples and counts of ``voiceagent bench soak`` say, against what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voiceagent.bench.calls import LOAD_CORE_LIMIT, OTHERS_LIMIT
from voiceagent.bench.stats import slope
from voiceagent.bench.usage import Used

TRANSACTION_S = 32.0
"""64 · T1: how long a finished INVITE transaction is kept."""
FILLED_CALLS = 1500
"""By then what is kept up to a limit is full: SQLite's page cache (2 MB; measured: 1.5 kB a call), 1,024 SIP
URIs (0.6 kB each), 2,048 ids of the provider's frames, the 200 newest ended calls."""
MOST = {"failed": 0.0, "tasks": 4.0, "descriptors": 8.0, "memory_kb_per_call": 1.0, "left": 0.0}
"""What is wanted of 8,640 calls at 30/s and 40 s of silence; tasks and descriptors more than before."""


def memory_of(
    samples: Sequence[tuple[float, float]], calls: int, rate: float, full_turns: Sequence[int]
) -> dict[str, Any]:
    """Return the slope of ``samples`` (ended calls, kB), and how they began and ended.

    ``full_turns`` tell how many calls had ended at each full turn of the collector: they are told, not
    waited for. ``kb_per_call`` is None where too few samples are left after the part that is excluded.
    """
    excluded = int(max(calls / 4, TRANSACTION_S * rate, FILLED_CALLS))
    counted = [point for point in samples if point[0] >= excluded]
    kb = round(slope(counted), 3) if len({x for x, _ in counted}) >= 10 else None
    return {
        "kb_per_call": kb,
        "excluded_calls": excluded,
        "full_collections_at": list(full_turns),
        "first_mb": round(samples[0][1] / 1024, 1) if samples else 0.0,
        "last_mb": round(samples[-1][1] / 1024, 1) if samples else 0.0,
        "samples": [[int(x), round(y)] for x, y in thinned(samples, 200)],
    }


def thinned(samples: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Return at most about ``most`` of them, evenly, the last included."""
    step = max(1, len(samples) // most)
    return [*samples[:-1:step], *samples[-1:]]


def goals(figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what was wanted, what was measured, and whether it was kept (None: it cannot be said)."""
    settled = figures["settle_s"] > TRANSACTION_S
    measured: dict[str, float | None] = {
        "failed": figures["failed"],
        "tasks": figures["more"]["tasks"],
        "descriptors": figures["more"]["descriptors"],
        "memory_kb_per_call": figures["memory"]["kb_per_call"],
        "left": sum(figures["left"].values()) if settled else None,
    }
    return {
        name: {"most": most, "measured": measured[name], "kept": _kept(measured[name], most)}
        for name, most in MOST.items()
    }


def _kept(measured: float | None, most: float) -> bool | None:
    return None if measured is None else measured <= most


def invalid_because(figures: Mapping[str, Any], start: Used) -> list[str]:
    """Return why the figures are those of the load process or the machine, or say nothing; empty if not."""
    reasons: list[str] = []
    if figures["others_core_percent"] > OTHERS_LIMIT:
        reasons.append(f"others on this machine used {figures['others_core_percent']:.0f} % of a core")
    if figures["load_core_percent"] > LOAD_CORE_LIMIT:
        reasons.append(f"the load process used {figures['load_core_percent']:.0f} % of a core")
    if figures["calls"] > 1 and figures["reached_rate"] < 0.95 * figures["rate"]:
        reasons.append(f"the callers placed {figures['reached_rate']:g} calls a second")
    if not start.resident_kb:
        reasons.append("the system does not tell what memory a process holds")
    elif figures["memory"]["kb_per_call"] is None:
        reasons.append(
            f"all but too few calls are within the first {figures['memory']['excluded_calls']:,}, "
            "in which memory grows by what is kept for a while: no slope"
        )
    if figures["settle_s"] <= TRANSACTION_S:
        reasons.append(f"transactions stay for {TRANSACTION_S:g} s, and it was settled for less")
    return reasons
