"""Checks files with flows, each by what its name ends with. Python files are imported, too: can they be?"""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from voiceagent.errors import ConfigError
from voiceagent.ivr.check.allowed import Allowed, SoundProblem, cannot_be_played
from voiceagent.ivr.check.codes import CODES
from voiceagent.ivr.check.findings import Finding, allowed_out
from voiceagent.ivr.check.python_check import Checked, check_python
from voiceagent.ivr.check.rules_outside import functions_handed_on
from voiceagent.ivr.check.source import TOO_DEEP, FlowFact, Source, argument
from voiceagent.ivr.loading import place_of
from voiceagent.ivr.modules import FlowModules, meant_by_the_user
from voiceagent.ivr.toml.lines import MOST_BYTES as MOST_TOML_BYTES
from voiceagent.text_files import MOST_BYTES, UnreadableFile
from voiceagent.text_files import read_text as read_text_file

Checker = Callable[[str, Path, Allowed], Checked]


class Unreadable(ConfigError):
    """A file that cannot be checked at all."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__("flows", f"{file}: {why}")


def check_file(path: Path, allowed: Allowed | None = None) -> Checked:
    """Return what is wrong with a file. Raises :class:`Unreadable`."""
    checker = CHECKERS.get(path.suffix)
    if checker is None:
        raise Unreadable(path, f"must end with {' or '.join(CHECKERS)}")
    return checker(read_text(path), path, allowed or Allowed())


def read_text(path: Path) -> str:
    """Return a file's text. Raises :class:`Unreadable`."""
    try:
        return read_text_file(path, MOST_TOML_BYTES if path.suffix == ".toml" else MOST_BYTES)
    except UnreadableFile as error:
        raise Unreadable(path, str(error)) from None


# ── TOML ────────────────────────────────────────────────────────────────────────────────────────
def _check_toml(text: str, path: Path, allowed: Allowed) -> Checked:
    # Only here: the models of TOML flows take a while to be made.
    from voiceagent.ivr.check.toml_check import check_flow
    from voiceagent.ivr.toml.read import FlowFileError, parse_toml_flow

    try:
        parsed = parse_toml_flow(text, path)
    except FlowFileError as error:
        return Checked(sorted(set(allowed_out(error.findings, text))))
    numbers = tuple((one, parsed.line("flow", "numbers")) for one in parsed.flow.numbers)
    fact = FlowFact(str(path), parsed.line("flow"), parsed.flow.name, numbers)
    return Checked(sorted(set(allowed_out(check_flow(parsed, allowed), text))), (fact,))


# ── Python ──────────────────────────────────────────────────────────────────────────────────────
def _check_python(text: str, path: Path, allowed: Allowed) -> Checked:
    checked = check_python(text, str(path), allowed.targets, allowed.queues)
    if checked.source is None:
        return checked
    module, problem = _imported(path)
    more = [problem] if problem is not None and not _told_already(problem, checked) else []
    with contextlib.suppress(*TOO_DEEP):
        more += _missing_files(checked.source, path.parent, allowed.sound)
    if module is not None:
        more += _missing_in(module, checked.source)
    known = {(one.line, one.code) for one in checked.findings}
    more = [one for one in allowed_out(more, text) if (one.line, one.code) not in known]
    return Checked(sorted({*checked.findings, *more}), checked.flows, checked.source)


def _imported(path: Path) -> tuple[ModuleType | None, Finding | None]:
    """Import a file as the service does; what it prints is swallowed, what it brings along is forgotten."""
    modules = FlowModules()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return modules.load(path), None
    except BaseException as error:
        if meant_by_the_user(error):
            raise
        file, _, line = place_of(error, path).rpartition(":")
        missing_name = isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError)
        code = "missing-function" if missing_name else "import-fails"
        plain = isinstance(error, ImportError | ConfigError)
        about = modules.told(error, kind=not plain)
        first = about.splitlines()[0]
        number = int(line) if file and line.isdecimal() else 1
        return None, Finding(file or str(path), number, CODES[code].severity, code, first)
    finally:
        modules.forget()


def _told_already(problem: Finding, checked: Checked) -> bool:
    """Tell whether an import failed for a mistake that the text has shown already (decorators raise)."""
    return "must be an async" in problem.message and any(one.code == "not-async" for one in checked.findings)


def _missing_files(source: Source, folder: Path, sound: SoundProblem) -> list[Finding]:
    """Return files to be played that stand neither beside the flow nor where their name says, or are none."""
    found: list[Finding] = []
    for use in source.uses:
        if use.name != "play" or use.verb is None:
            continue
        given = argument(use.node, "path", use.verb.place("path"))
        text, whole = source.text(given)
        problem = cannot_be_played(text, folder, sound) if whole and text else None
        if given is not None and problem is not None:
            found.append(source.found(given, "missing-file", problem))
    return found


def _missing_in(module: ModuleType, source: Source) -> list[Finding]:
    """Return tools and fetched functions (``shop.balance``) that an imported module does not have."""
    found: list[Finding] = []
    for node, verb in functions_handed_on(source):
        name = ".".join(source.path(node))
        first, *rest = source.path(node)
        held: object = getattr(module, first, None)
        missing = False
        for part in rest if held is not None else ():
            missing = not hasattr(held, part)
            if missing:
                break
            held = getattr(held, part)
        if missing:
            found.append(source.found(node, "missing-function", f"{name} in {verb} does not exist"))
        elif verb == "fetch" and inspect.isfunction(held) and not inspect.iscoroutinefunction(held):
            found.append(source.found(node, "not-async", f"the fetched function {name} is not async"))
        elif verb != "fetch" and inspect.isroutine(held):
            found.append(
                source.found(
                    node, "missing-function", f"{name} in {verb} is no tool", "make it one with @tool"
                )
            )
    return found


CHECKERS: Mapping[str, Checker] = {".py": _check_python, ".toml": _check_toml}
"""By what a file's name ends with."""
