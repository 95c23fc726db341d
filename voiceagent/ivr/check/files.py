"""Checks files with flows, each by what its name ends with. Python files are imported, too: can they be?"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from voiceagent.errors import ConfigError
from voiceagent.ivr.check.codes import CODES
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.python_check import Checked, allowed_out, check_python
from voiceagent.ivr.check.rules_leaving import Targets
from voiceagent.ivr.check.rules_outside import functions_handed_on
from voiceagent.ivr.check.source import FlowFact, Source
from voiceagent.ivr.toml.read import FlowFileError, parse_toml_flow

Checker = Callable[[str, Path, Targets | None], Checked]
MOST_BYTES = 4_000_000
"""No file with flows is larger."""
_MODULE = "voiceagent_checked_flow"


class Unreadable(ConfigError):
    """A file that cannot be checked at all."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__("flows", f"{file}: {why}")


def check_file(path: Path, targets: Targets | None = None) -> Checked:
    """Return what is wrong with a file. Raises :class:`Unreadable`."""
    checker = CHECKERS.get(path.suffix)
    if checker is None:
        raise Unreadable(path, f"must end with {' or '.join(CHECKERS)}")
    return checker(read_text(path), path, targets)


def read_text(path: Path) -> str:
    """Return a file's text. Raises :class:`Unreadable`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Unreadable(path, f"cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        raise Unreadable(path, f"is larger than {MOST_BYTES} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(path, "is not UTF-8") from None


# ── TOML ────────────────────────────────────────────────────────────────────────────────────────
def _check_toml(text: str, path: Path, targets: Targets | None) -> Checked:
    try:
        parsed = parse_toml_flow(text, path)
    except FlowFileError as error:
        return Checked(sorted(set(allowed_out(error.findings, text))))
    numbers = tuple((one, parsed.line("flow", "numbers")) for one in parsed.flow.numbers)
    fact = FlowFact(str(path), parsed.line("flow"), parsed.flow.name, numbers)
    return Checked([], (fact,))


# ── Python ──────────────────────────────────────────────────────────────────────────────────────
def _check_python(text: str, path: Path, targets: Targets | None) -> Checked:
    checked = check_python(text, str(path), targets)
    if any(one.code == "syntax" for one in checked.findings):
        return checked
    module, problem = _imported(path)
    more = [problem] if problem is not None and not _told_already(problem, checked) else []
    if module is not None:
        more += _missing_in(module, Source(text, str(path)))
    known = {(one.line, one.code) for one in checked.findings}
    more = [one for one in allowed_out(more, text) if (one.line, one.code) not in known]
    return Checked(sorted({*checked.findings, *more}), checked.flows)


def _imported(path: Path) -> tuple[ModuleType | None, Finding | None]:
    """Import a file as the service does; what it prints is swallowed."""
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        return None, Finding(str(path), 1, "error", "import-fails", "is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        return None, _import_finding(path, error)
    finally:
        sys.modules.pop(_MODULE, None)
    return module, None


def _import_finding(path: Path, error: BaseException) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    own = path.resolve()
    line = next((one.lineno for one in reversed(frames) if Path(one.filename).resolve() == own), None) or 1
    missing_name = isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError)
    code = "missing-function" if missing_name else "import-fails"
    about = str(error) if isinstance(error, ImportError | ConfigError) else f"{type(error).__name__}: {error}"
    return Finding(str(path), line, CODES[code].severity, code, about.splitlines()[0] if about else code)


def _told_already(problem: Finding, checked: Checked) -> bool:
    """Tell whether an import failed for a mistake that the text has shown already (decorators raise)."""
    return "must be an async" in problem.message and any(one.code == "not-async" for one in checked.findings)


def _missing_in(module: ModuleType, source: Source) -> list[Finding]:
    """Return tools and fetched functions (``shop.balance``) that an imported module does not have."""
    found: list[Finding] = []
    for node, where in functions_handed_on(source):
        name = source.dotted(node)
        first, *rest = source.path(node)
        held: object = getattr(module, first, None)
        for part in rest:
            if held is None:
                break
            if not hasattr(held, part):
                found.append(source.found(node, "missing-function", f"{name} {where} does not exist"))
                break
            held = getattr(held, part)
    return found


CHECKERS: Mapping[str, Checker] = {".py": _check_python, ".toml": _check_toml}
"""By what a file's name ends with."""
