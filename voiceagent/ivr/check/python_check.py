"""PURE. Checks a Python file with flows from its text alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from voiceagent.ivr.check import (
    rules_answers,
    rules_control,
    rules_leaving,
    rules_outside,
    rules_texts,
    rules_verbs,
)
from voiceagent.ivr.check.allowed import Queues, Targets
from voiceagent.ivr.check.codes import PYTHON_CODES
from voiceagent.ivr.check.findings import Finding, allowed_out
from voiceagent.ivr.check.source import TOO_DEEP, FlowFact, Source
from voiceagent.ivr.flow import normal_number

RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (
    *rules_verbs.RULES,
    *rules_answers.RULES,
    *rules_control.RULES,
    *rules_texts.RULES,
    *rules_outside.RULES,
    rules_leaving.no_fallback,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of one file has found, and the flows that stand in it."""

    findings: Sequence[Finding]
    flows: Sequence[FlowFact] = ()
    source: Source | None = None
    """The file as it was read, where it is Python that could be."""


def check_python(
    text: str, file: str, targets: Targets | None = None, queues: Queues | None = None
) -> Checked:
    """Return every mistake in a file's text, sorted. ``file`` is how findings name it.

    Without ``targets`` every target may be transferred to, without ``queues`` every queue exists.
    """
    try:
        source = Source(text, file)
        found = [finding for rule in RULES for finding in rule(source)]
    except TOO_DEEP:
        return Checked([Finding(file, 1, "error", "syntax", "is nested too deeply to be checked")])
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        told = error.msg if isinstance(error, SyntaxError) else str(error)
        return Checked([Finding(file, line, PYTHON_CODES["syntax"].severity, "syntax", told)])
    if targets is not None:
        found += rules_leaving.forbidden_targets(source, targets)
    if queues is not None:
        found += rules_leaving.unknown_queues(source, queues)
    flows = tuple(source.flow_facts())
    if not flows:
        found.append(source.found(1, "no-flow", "no flow is declared here", "put @flow(…) above one"))
    return Checked(sorted(set(allowed_out(found, text))), flows, source)


def shared_names(flows: Iterable[FlowFact]) -> Iterator[Finding]:
    """Yield what several flows claim at once: a number, or a name."""
    numbers: dict[str, FlowFact] = {}
    names: dict[str, FlowFact] = {}
    for fact in flows:
        first = names.setdefault(fact.name, fact)
        if first is not fact and fact.name:
            message = f"the flow {fact.name!r} stands in {first.file}:{first.line}, too"
            yield Finding(fact.file, fact.line, "error", "name-twice", message)
        for number, line in fact.numbers:
            holder = numbers.setdefault(normal_number(number), fact)
            if holder is not fact:
                message = f"{number} belongs to {holder.name!r} as well ({holder.file}:{holder.line})"
                yield Finding(fact.file, line, "error", "number-twice", message)
