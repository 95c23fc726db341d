"""What the steps of a TOML flow mean together, checked: every way has an end, every name a value.

:func:`check_flow` takes a flow that could be read (:func:`voiceagent.ivr.toml.read.load_toml_flow`; its own
mistakes are findings of :class:`~voiceagent.ivr.toml.read.FlowFileError`). Nothing is executed or imported.

The ways between steps are looked at here, texts and names in :mod:`toml_names`, keys and phrases in
:mod:`toml_answers`, functions in :mod:`toml_functions`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from voiceagent.errors import RequestRefused
from voiceagent.ivr.check.allowed import (
    Allowed,
    Queues,
    SoundProblem,
    Targets,
    cannot_be_played,
    no_such_queue,
)
from voiceagent.ivr.check.findings import Finding, Severity
from voiceagent.ivr.check.toml_answers import check_answers
from voiceagent.ivr.check.toml_functions import check_functions
from voiceagent.ivr.check.toml_names import check_names
from voiceagent.ivr.toml.complaints import nearest
from voiceagent.ivr.toml.endpoints import EndpointRules
from voiceagent.ivr.toml.graph import Edge, edges, ends
from voiceagent.ivr.toml.models import (
    Choose,
    Collect,
    Hangup,
    Play,
    Queue,
    Record,
    Respond,
    Transfer,
    Work,
)
from voiceagent.ivr.toml.read import ParsedFlow

MOST_WORDS = 40
"""Of a text that the caller cannot interrupt."""


def check_flow(parsed: ParsedFlow, allowed: Allowed | None = None) -> list[Finding]:
    """Return what is wrong with a flow, by line. What ``allowed`` does not tell is allowed."""
    allowed = allowed or Allowed()
    ways = edges(parsed)
    found = [
        *_targets_exist(parsed, ways),
        *_all_reachable(parsed, ways),
        *_all_end(parsed, ways),
        *_branches(parsed),
        *check_answers(parsed),
        *check_names(parsed, ways),
        *check_functions(parsed),
        *_endpoints(parsed, allowed.endpoints),
        *_transfers(parsed, allowed.targets),
        *_queues(parsed, allowed.queues),
        *_files(parsed, allowed.sound),
        *_long_texts(parsed),
    ]
    return sorted(found)


def _finding(
    parsed: ParsedFlow, line: int, code: str, message: str, remedy: str = "", severity: Severity = "error"
) -> Finding:
    return Finding(parsed.file, line, severity, code, message, remedy)


# ── ways ────────────────────────────────────────────────────────────────────────────────────────
def _targets_exist(parsed: ParsedFlow, ways: Iterable[Edge]) -> Iterator[Finding]:
    named = [(way.target, way.line, f"step {way.source} leads to") for way in ways]
    if parsed.flow.start is not None:
        named.insert(0, (parsed.flow.start, parsed.line("flow", "start"), "the flow starts with"))
    for target, line, who in named:
        if target not in parsed.steps:
            remedy = nearest(target, parsed.steps) or f"write [steps.{target}]"
            yield _finding(parsed, line, "unknown-target", f"{who} {target!r}, which is no step", remedy)


def _all_reachable(parsed: ParsedFlow, ways: Sequence[Edge]) -> Iterator[Finding]:
    reached = _reach([_first(parsed)], _following(parsed, ways))
    for name in parsed.steps:
        if name not in reached:
            yield _finding(
                parsed, parsed.line("steps", name), "unreachable", f"no way leads to step {name}",
                "lead there with `next`, or remove it", "warning",
            )  # fmt: skip


def _first(parsed: ParsedFlow) -> str:
    """Return the step that the flow starts with; the first in the file where that one does not exist."""
    return _meant(parsed, parsed.start) or next(iter(parsed.steps))


def _meant(parsed: ParsedFlow, target: str) -> str:
    """Return the step that a misspelt target means: its typo is told, and not what follows from it."""
    if target in parsed.steps:
        return target
    return nearest(target, parsed.steps).removeprefix("did you mean '").removesuffix("'?")


def _following(parsed: ParsedFlow, ways: Iterable[Edge]) -> dict[str, list[str]]:
    following: dict[str, list[str]] = {name: [] for name in parsed.steps}
    for way in ways:
        meant = _meant(parsed, way.target)
        if meant:
            following[way.source].append(meant)
    return following


def _reach(starts: Iterable[str], following: Mapping[str, Sequence[str]]) -> set[str]:
    reached = {start for start in starts if start in following}
    queue = deque(reached)
    while queue:
        for target in following[queue.popleft()]:
            if target not in reached:
                reached.add(target)
                queue.append(target)
    return reached


def _all_end(parsed: ParsedFlow, ways: Sequence[Edge]) -> Iterator[Finding]:
    """Steps that no way leads out of, and circles that a silent caller would never leave."""
    following = _following(parsed, ways)
    leading: dict[str, list[str]] = {name: [] for name in parsed.steps}
    for source, targets in following.items():
        for target in targets:
            leading[target].append(source)
    # An unknown target is told already: it may well be the end.
    last = [name for name, step in parsed.steps.items() if ends(step)]
    last += [way.source for way in ways if not _meant(parsed, way.target)]
    ending = _reach(last, leading)
    reached = _reach([_first(parsed)], following)
    trapped = [name for name in parsed.steps if name in reached and name not in ending]
    if trapped:
        others = f" (nor do {', '.join(trapped[1:6])})" if len(trapped) > 1 else ""
        yield _finding(
            parsed, parsed.line("steps", trapped[0]), "no-end",
            f"from step {trapped[0]} no way leads to a hangup, a transfer or a queue{others}", "add one",
        )  # fmt: skip
    place = {name: number for number, name in enumerate(parsed.steps)}
    silent = [way for way in ways if not way.by_caller and way.target in place]
    for circle in _circles(parsed.steps, silent):
        if circle & ending:
            inside = [way for way in silent if way.source in circle and way.target in circle]
            back = next(way for way in inside if place[way.source] >= place[way.target])
            yield _finding(
                parsed, back.line, "endless-loop",
                f"{_round(circle, place)} go round without end when the caller says nothing",
                "lead `otherwise` out of the circle",
            )  # fmt: skip


def _round(circle: Collection[str], place: Mapping[str, int]) -> str:
    names = sorted(circle, key=lambda name: place[name])
    return f"steps {', '.join(names)}" if len(names) > 1 else f"step {names[0]} lets the call"


def _circles(names: Iterable[str], ways: Iterable[Edge]) -> list[set[str]]:
    """Return the sets of steps from which each leads to each other (with a way inside)."""
    following: dict[str, list[str]] = {name: [] for name in names}
    leading: dict[str, list[str]] = {name: [] for name in following}
    loops: set[str] = set()
    for way in ways:
        following[way.source].append(way.target)
        leading[way.target].append(way.source)
        if way.source == way.target:
            loops.add(way.source)
    order: list[str] = []
    seen: set[str] = set()
    for root in following:  # Kosaraju's two passes, without recursion
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(following[root]))]
        while stack:
            name, rest = stack[-1]
            target = next((one for one in rest if one not in seen), None)
            if target is None:
                order.append(name)
                stack.pop()
            else:
                seen.add(target)
                stack.append((target, iter(following[target])))
    circles: list[set[str]] = []
    taken: set[str] = set()
    for root in reversed(order):
        if root in taken:
            continue
        members = {root}
        queue = [root]
        while queue:
            for source in leading[queue.pop()]:
                if source not in taken and source not in members:
                    members.add(source)
                    queue.append(source)
        taken |= members
        if len(members) > 1 or root in loops:
            circles.append(members)
    return circles


# ── steps ───────────────────────────────────────────────────────────────────────────────────────
def _branches(parsed: ParsedFlow) -> Iterator[Finding]:
    for name, step in parsed.steps.items():
        if getattr(step, "otherwise", None) is not None:
            continue
        line = parsed.line("steps", name)
        match step:
            case Transfer() | Queue():
                case = "a transfer that fails" if isinstance(step, Transfer) else "waiting in vain"
                yield _finding(
                    parsed, line, "transfer-no-fallback",
                    f"step {name} says nothing about {case}", "add `otherwise`", "warning",
                )  # fmt: skip
            case Choose() | Collect() | Work():
                case = (
                    "an error or a time-out"
                    if isinstance(step, Work)
                    else "silence and answers not understood"
                )
                yield _finding(
                    parsed,
                    line,
                    "missing-otherwise",
                    f"step {name} says nothing about {case}",
                    "add `otherwise`",
                )
            case _:
                pass


def _transfers(parsed: ParsedFlow, targets: Targets | None) -> Iterator[Finding]:
    if targets is None:
        return
    for name, step in parsed.steps.items():
        if not isinstance(step, Transfer):
            continue
        try:
            targets.check(step.target)
        except RequestRefused as error:
            line = parsed.line("steps", name, "target")
            if error.code == "bad_target":
                yield _finding(parsed, line, "bad-value", f"step {name}: `target`: {_reason(error)}")
            else:
                remedy = "allow it in call.transfer_targets"
                message = f"step {name} transfers to {step.target!r}, which is not allowed"
                yield _finding(parsed, line, "transfer-not-allowed", message, remedy)


def _reason(error: RequestRefused) -> str:
    return str(error).removeprefix(f"{error.field}: ")


def _endpoints(parsed: ParsedFlow, endpoints: EndpointRules | None) -> Iterator[Finding]:
    for name, step in parsed.steps.items():
        if endpoints is None or not isinstance(step, Work) or step.url is None:
            continue
        refusal = endpoints.refusal(step.url)
        if refusal is not None:
            yield _finding(
                parsed, parsed.line("steps", name, "url"), "host-not-allowed",
                f"step {name}: `url`: {refusal}", "allow it in call.http_hosts",
            )  # fmt: skip


def _queues(parsed: ParsedFlow, queues: Queues | None) -> Iterator[Finding]:
    for name, step in parsed.steps.items():
        missing = no_such_queue(step.name, queues) if isinstance(step, Queue) and queues is not None else None
        if missing is not None:
            line = parsed.line("steps", name, "name")
            yield _finding(parsed, line, "unknown-queue", f"step {name}: {missing[0]}", missing[1])


def _files(parsed: ParsedFlow, sound: SoundProblem) -> Iterator[Finding]:
    for name, step in parsed.steps.items():
        if not isinstance(step, Play):
            continue
        problem = cannot_be_played(step.file, parsed.path.parent, sound)
        if problem is not None:
            yield _finding(
                parsed, parsed.line("steps", name, "file"), "missing-file", f"step {name}: {problem}"
            )


def _long_texts(parsed: ParsedFlow) -> Iterator[Finding]:
    for name, step in parsed.steps.items():
        for key, text in _uninterruptible(step):
            words = len(text.split())
            if words > MOST_WORDS:
                yield _finding(
                    parsed, parsed.line("steps", name, key), "long-uninterruptible",
                    f"step {name}: {words} words that the caller cannot interrupt",
                    f"at most {MOST_WORDS}, or let the caller interrupt", "warning",
                )  # fmt: skip


def _uninterruptible(step: object) -> Iterator[tuple[str, str]]:
    match step:
        case Respond(interruptible=False, say=str(text)):
            yield "say", text
        case Respond(interruptible=False, guide=str(text)):
            yield "guide", text
        case Choose(interruptible=False, prompt=text):
            yield "prompt", text
        case Transfer(announce=str(text)) | Record(announce=str(text)):
            yield "announce", text
        case Hangup(say=str(text)):
            yield "say", text
        case _:
            return
