"""The few sums that most benches do."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence


def percentile(values: list[float], fraction: float) -> float:
    """Return the value below which ``fraction`` of ``values`` lie; 0.0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_kb() -> float:
    """Return how much memory this process holds, in kB; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() / 1024
    except OSError:
        return 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how much y grows per x along the line that fits ``points`` best (least squares).

    Raises ValueError where the points do not tell: fewer than two different x.
    """
    if len({x for x, _ in points}) < 2:
        raise ValueError("a slope takes two points with different x")
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    together = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return together / sum((x - middle_x) ** 2 for x, _ in points)


def tell(text: str) -> None:
    """Print how far a long bench is, on stderr: stdout is for the figures."""
    print(text, file=sys.stderr, flush=True)
