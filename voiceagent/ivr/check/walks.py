"""PURE. Ways that calls have gone through a flow, from their journals (simulated calls write the same)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stop:
    """One step that a call came through. ``file`` is a bare name; line 0 where the place is not known."""

    name: str
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """``shop.py:41``, or empty."""
        return f"{self.file}:{self.line}" if self.line else ""


@dataclass(frozen=True, slots=True)
class Walk:
    """One call: where it came through, and how it ended."""

    label: str
    """Name of the scenario, or of the journal."""
    flow: str
    stops: tuple[Stop, ...]
    end: str = ""
    """Reason of the call's end; empty where the journal has none."""
    failure: str = ""
    """The exception that the flow let through."""
    failed_at: Stop | None = None

    def lines(self, file: str) -> set[int]:
        """Return the lines of a file (its bare name) that were seen."""
        return {stop.line for stop in self.stops if stop.file == file and stop.line}


def walk_of(entries: Iterable[Mapping[str, Any]], label: str) -> Walk:
    """Return the way of the call whose journal this is."""
    flow = end = failure = ""
    stops: list[Stop] = []
    failed_at: Stop | None = None
    for entry in entries:
        match entry.get("type"):
            case "call.offered":
                flow = str(entry.get("flow", ""))
            case "flow.step":
                stops.append(_stop(str(entry.get("step", "")), str(entry.get("place") or "")))
            case "flow.failed":
                failure = str(entry.get("error", ""))
                frames = entry.get("traceback") or ()
                failed_at = _stop("", str(frames[-1]).partition(" ")[0]) if frames else None
            case "call.ended":
                end = str(entry.get("reason", ""))
            case _:
                pass
    return Walk(label, flow, tuple(stops), end, failure, failed_at)


def _stop(name: str, place: str) -> Stop:
    file, _, line = place.rpartition(":")
    return Stop(name, file, int(line)) if file and line.isdecimal() else Stop(name)
