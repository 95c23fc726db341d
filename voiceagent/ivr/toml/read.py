"""From a TOML text to a flow. Every mistake is a :class:`Finding` with its line and, where known, a remedy.

Reading looks at one table at a time; what the steps mean together is looked at by
:mod:`voiceagent.ivr.check.toml_check`.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from voiceagent.errors import ConfigError
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.toml.complaints import complaints, nearest, not_toml
from voiceagent.ivr.toml.lines import MOST_BYTES, LineIndex, Path, TooDeep, index_lines
from voiceagent.ivr.toml.models import (
    MOST_STEPS,
    STEP_NAME,
    STEP_TYPES,
    AnyStep,
    Choose,
    Collect,
    DigitsTable,
    FlowTable,
    Record,
    Respond,
    Transfer,
    Work,
)
from voiceagent.ivr.toml.templates import FACTS
from voiceagent.ivr.verbs.asking import AskingVerbs
from voiceagent.text_files import UnreadableFile, read_text

RESERVED = frozenset(inspect.signature(AskingVerbs.choose).parameters)
"""What no option can be called."""


@dataclass(frozen=True, slots=True)
class ParsedFlow:
    """One flow as it stands in its file."""

    path: FilePath
    flow: FlowTable
    steps: Mapping[str, AnyStep]
    """In the order of the file."""
    lines: LineIndex
    text: str = field(default="", repr=False)

    @property
    def file(self) -> str:
        """The file's path as it was given."""
        return str(self.path)

    @property
    def start(self) -> str:
        """The name of the first step (there need not be a step of that name)."""
        return self.flow.start or next(iter(self.steps))

    def line(self, *path: str | int) -> int:
        """Return the line of a key: ``line("steps", "menu", "next")``."""
        return self.lines.line(path)

    def place(self, step: str) -> str:
        """Return where a step stands, as the journal writes it: ``shop.toml:12``."""
        return f"{self.path.name}:{self.line('steps', step)}"


class FlowFileError(ConfigError):
    """A flow's file has mistakes; ``findings`` has them all, the message tells the first."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        more = f"; and {len(findings) - 1} more" if len(findings) > 1 else ""
        super().__init__(
            "flows", f"{first.file}:{first.line}: {first.message}{_in_brackets(first.remedy)}{more}"
        )
        self.findings = tuple(findings)


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def load_toml_flow(path: str | FilePath) -> ParsedFlow:
    """Read one file. Raises :class:`FlowFileError` with all mistakes that reading can tell."""
    path = FilePath(path)
    try:
        text = read_text(path, MOST_BYTES)
    except UnreadableFile as error:
        raise FlowFileError([Finding(str(path), error.line, "error", "bad-toml", str(error))]) from None
    return parse_toml_flow(text, path)


def parse_toml_flow(text: str, path: str | FilePath = "flow.toml") -> ParsedFlow:
    """Read one flow from its text. Raises :class:`FlowFileError` with all mistakes that reading can tell."""
    path = FilePath(path)
    reading = _Reading(str(path))
    tree = reading.tree(text)
    table = reading.flow_table(tree)
    steps = reading.steps(tree)
    if reading.findings or table is None:
        raise FlowFileError(sorted(reading.findings))
    return ParsedFlow(path, table, steps, reading.lines, text)


class _Reading:
    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.lines = LineIndex()

    def tree(self, text: str) -> Mapping[str, Any]:
        try:
            self.lines = index_lines(text)
            tree = tomllib.loads(text)
        except TooDeep as error:
            raise FlowFileError([Finding(self.file, error.line, "error", "bad-toml", str(error))]) from None
        except tomllib.TOMLDecodeError as error:
            message, line = not_toml(str(error), text)
            raise FlowFileError([Finding(self.file, line, "error", "bad-toml", message)]) from None
        for key in tree:
            if key not in ("flow", "steps"):
                self._find(
                    (key,), "unknown-key", f"there is no table {key!r}", nearest(key, ("flow", "steps"))
                )
        return tree

    def flow_table(self, tree: Mapping[str, Any]) -> FlowTable | None:
        given = _as_table(tree.get("flow"))
        if given is None:
            self._find(
                ("flow",), "missing-key", "there is no table [flow]", 'begin with [flow] and name = "…"'
            )
            return None
        return self._table(FlowTable, given, ("flow",), "[flow]")

    def steps(self, tree: Mapping[str, Any]) -> dict[str, AnyStep]:
        given = _as_table(tree.get("steps"))
        if not given:
            self._find(("steps",), "missing-key", "there is no step", "write one: [steps.greet]")
            return {}
        if len(given) > MOST_STEPS:
            problem = f"{len(given)} steps are too many (at most {MOST_STEPS})"
            self._find(("steps",), "bad-value", problem)
            return {}
        read = {name: self._step(name, table) for name, table in given.items()}
        return {name: step for name, step in read.items() if step is not None}

    def _step(self, name: str, given: object) -> AnyStep | None:
        where: Path = ("steps", name)
        label = f"step {name}"
        if re.fullmatch(STEP_NAME, name) is None:
            self._find(where, "bad-value", f"{name!r} is no name of a step", "use letters, digits, - and _")
            return None
        table = _as_table(given)
        if table is None:
            self._find(where, "bad-value", f"{label} must be a table", f"write [steps.{name}]")
            return None
        kind = table.get("type")
        types = f"one of {', '.join(STEP_TYPES)}"
        if kind is None:
            self._find(where, "missing-key", f"{label} needs `type`", types)
            return None
        model = STEP_TYPES.get(str(kind))
        if model is None:
            remedy = nearest(str(kind), STEP_TYPES) or types
            self._find((*where, "type"), "bad-value", f"{label}: there is no type {kind!r}", remedy)
            return None
        step: AnyStep | None = self._table(model, table, where, label)
        if step is not None:
            for key, message, remedy in _between_keys(step):
                code = "missing-key" if not key or "needs `key`" in message else "bad-value"
                self._find((*where, *key), code, f"{label} {message}", remedy)
        return step

    def _table(self, model: type[BaseModel], given: Mapping[str, Any], where: Path, label: str) -> Any:
        try:
            return model.model_validate(given)
        except ValidationError as error:
            for one in complaints(model, given, label, error):
                self._find((*where, *one.path), one.code, one.message, one.remedy)
            return None

    def _find(self, path: Path, code: str, message: str, remedy: str = "") -> None:
        self.findings.append(Finding(self.file, self.lines.line(path), "error", code, message, remedy))


def _between_keys(step: AnyStep) -> Iterator[tuple[Path, str, str]]:
    """Yield what keys of one step owe each other: the key, what is wrong, the remedy."""
    if isinstance(step, Choose | Collect | Work) and step.into in FACTS:
        yield ("into",), f"cannot keep `{step.into}`, which every call has", "use another name"
    match step:
        case Respond(guide=guide, say=say) if (guide is None) == (say is None):
            yield (() if say is None else ("say",)), "needs `guide` or `say`, one of the two", ""
        case Respond(say=str(), replace=True):
            yield ("replace",), "has `replace`, which only a `guide` can take", "remove it"
        case Work(function=function, url=url) if (function is None) == (url is None):
            yield (() if url is None else ("url",)), "needs `function` or `url`, one of the two", ""
        case Work(function=str(), headers=headers) if headers:
            yield ("headers",), "has `headers`, which only a `url` can take", "remove them"
        case Choose(options=options) if RESERVED & options.keys():
            name = next(name for name in options if name in RESERVED)
            yield ("options", name), f"cannot have an option called {name!r}", "give it another name"
        case Choose(options=options):
            for name, one in options.items():
                if one.key is None and not one.phrases:
                    yield ("options", name), f"needs `key` or `phrases` for {name}", ""
        case Collect(secret=True, confirm=confirm) if confirm:
            yield ("confirm",), "cannot read a secret back", "remove `confirm`"
        case Collect(secret=secret, speech=speech, digits=None) if secret or not speech:
            yield ("secret" if secret else "speech",), "needs `digits`: only keys may answer", ""
        case Collect(digits=DigitsTable(least=least, most=int(most))) if most < least:
            yield ("digits", "most"), "needs `most` of at least `least`", ""
        case Transfer(whisper=str(), attended=False):
            yield (
                ("whisper",),
                "has a `whisper`, which only an attended transfer can take",
                "add attended = true",
            )
        case Record(action=action) if action != "start":
            for key in ("name", "announce", "otherwise"):
                if getattr(step, key) is not None:
                    yield (key,), f"has `{key}`, which only a recording that starts can take", "remove it"
        case _:
            return


def _as_table(value: object) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None
