"""PURE. The ways between the steps of a flow written as TOML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voiceagent.ivr.toml.models import (
    AnyStep,
    Choose,
    Collect,
    Hangup,
    Note,
    Play,
    Queue,
    Record,
    Respond,
    Transfer,
    Work,
)
from voiceagent.ivr.toml.read import ParsedFlow


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from step to step."""

    source: str
    label: str
    """When it is taken: empty for what simply follows, an option with its key, a case, ``otherwise``."""
    target: str
    """Name of a step; there need not be one of that name."""
    line: int
    """Where the target is named."""
    by_caller: bool = False
    """Only an answer of the caller leads this way: a silent caller never takes it."""
    otherwise: bool = False
    """The step has failed, or nobody has answered: it has set no name."""


def edges(parsed: ParsedFlow) -> list[Edge]:
    """Return all ways, in the order of the file."""
    return [edge for name, step in parsed.steps.items() for edge in _ways(parsed, name, step)]


def ends(step: AnyStep) -> bool:
    """Return whether a call may end in this step."""
    return isinstance(step, Transfer | Queue | Hangup)


def _ways(parsed: ParsedFlow, name: str, step: AnyStep) -> Iterator[Edge]:
    def way(label: str, target: str, *path: str, by_caller: bool = False) -> Edge:
        line = parsed.line("steps", name, *path)
        return Edge(name, label, target, line, by_caller, path == ("otherwise",))

    match step:
        case Choose(options=options):
            for option, choice in options.items():
                label = f"{option} ({choice.key})" if choice.key else option
                yield way(label, choice.next, "options", option, "next", by_caller=True)
        case Collect():
            yield way("", step.next, "next", by_caller=True)
        case Work(cases=cases):
            for case, target in cases.items():
                yield way(case, target, "cases", case)
            yield way("", step.next, "next")
        case Respond() | Play() | Note() | Record():
            yield way("", step.next, "next")
        case Queue(left=str(left), leave=key):
            yield way(f"left ({key})", left, "left", by_caller=True)
        case Transfer() | Queue() | Hangup():
            pass
    if not isinstance(step, Hangup | Note) and step.otherwise is not None:
        yield way("otherwise", step.otherwise, "otherwise")
