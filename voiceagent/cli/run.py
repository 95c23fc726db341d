"""What all commands share: errors as one line, output for people or for machines."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from voiceagent.errors import VoiceAgentError

OWN_NAME = "voiceagent"
USAGE = 2
FAILED = 1


def fail(message: str, status: int = FAILED, *, as_json: bool = False, code: str = "failed") -> NoReturn:
    """Say one line on standard error (or an object with ``--json``) and exit."""
    if as_json:
        print(json.dumps({"error": {"code": code, "message": message}}))
    else:
        print(f"voiceagent: {message}", file=sys.stderr)
    raise SystemExit(status)


def fail_with(error: VoiceAgentError, *, as_json: bool = False) -> NoReturn:
    """Exit with an error's own words."""
    fail(str(error), USAGE if error.code == "config" else FAILED, as_json=as_json, code=error.code)


def printable(line: str) -> str:
    """Return a line without what a terminal would obey: callers choose some of its words."""
    return "".join(one if one.isprintable() else "·" for one in line)


def show_json(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(line: str) -> None:
    """Print a line while calls run: that nobody can read it any more must not end them."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would be written again at the exit, and turn its status into a failure.
        with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    except OSError:
        return  # a full disk


def own_command() -> str:
    """Return what to type for another command of this installation: its name where the shell finds it so."""
    script = Path(sys.executable).with_name(OWN_NAME)
    found = shutil.which(OWN_NAME)
    if found is not None and Path(found) == script:
        return OWN_NAME
    if not script.is_file():
        return f"{shlex.quote(sys.executable)} -m {OWN_NAME}"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """Read ``--set section.name=value`` pairs; values that are JSON are taken as such."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            fail(f"--set {pair}: must look like section.name=value", USAGE)
        try:
            found[name] = json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found
