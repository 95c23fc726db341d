"""``voiceagent init``: a project that runs. Its files are the templates beside this module, as they stand."""

from __future__ import annotations

import shlex
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from voiceagent.cli.run import FAILED, OWN_NAME, fail, fail_with, own_command, show_json
from voiceagent.errors import ConfigError

FILES = {
    "voiceagent.toml": "settings",
    "flows/front_desk.py": "a flow in Python: number 100",
    "flows/opening_hours.toml": "a flow without programming: number 200",
    "scenarios/order.toml": "a simulated caller of the first",
    "scenarios/opening_hours.toml": "and of the second",
    "tests/test_flows.py": "tests of both",
    "README.md": "what to do with it",
    ".gitignore": "what does not belong into version control",
}
"""What is made, in the order in which it is told."""
NEXT = (
    "voiceagent flow check flows/front_desk.py flows/opening_hours.toml",
    "voiceagent flow simulate flows/front_desk.py --scenario scenarios/order.toml",
    "python -m pytest",
    "voiceagent serve",
    'voiceagent call sip:200@127.0.0.1:5060 --do listen --do "say:opening hours"',
)
"""The commands that its README explains."""


def run_init(folder: Path, *, force: bool, as_json: bool) -> None:
    """Make the project; exit status 1, and nothing written, when something else is in the way."""
    wanted = {name: _template(name).read_bytes() for name in FILES}
    try:
        kept = [name for name, content in wanted.items() if _holds(folder / name, content)]
        in_the_way = _in_the_way(folder, [name for name in wanted if name not in kept], force=force)
        if in_the_way:
            _refuse(folder, in_the_way, as_json=as_json)
        overwritten = [name for name in wanted if name not in kept and (folder / name).exists()]
        for name, content in wanted.items():
            if name not in kept:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
    except OSError as error:
        fail_with(ConfigError("folder", f"cannot use {error.filename}: {error.strerror}"), as_json=as_json)
    made = [name for name in wanted if name not in kept]
    steps = [*([] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"])]
    steps += [*_way_in(), *NEXT]
    if as_json:
        show_json(
            {"folder": str(folder), "made": made, "overwritten": overwritten, "kept": kept, "next": steps}
        )
        return
    print(f"Made in {folder}:" if made else f"All of it is there already, in {folder}:")
    for name, what in FILES.items():
        note = " (kept: it is the same)" if made and name in kept else ""
        print(f"  {name.ljust(28)} {what}{note}")
    print("\nNext:")
    for step in steps:
        print(f"  {step}")


def _way_in() -> list[str]:
    """Return what makes the commands known to the shell, where it does not find this installation yet."""
    activate = Path(sys.executable).with_name("activate")
    known = own_command() == OWN_NAME or not activate.is_file()
    return [] if known else [f"source {shlex.quote(str(activate))}"]


def _template(name: str) -> Traversable:
    plain = name.removeprefix(".")  # a file named .gitignore would hide templates from git
    return files("voiceagent.cli").joinpath("templates", "project", *plain.split("/"))


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _in_the_way(folder: Path, names: list[str], *, force: bool) -> list[str]:
    """Return what we will not touch: files that are not ours, or ours unless ``force``; folders never."""
    found: list[str] = []
    for name in names:
        path = folder / name
        for above in reversed(path.relative_to(folder).parents):
            place = folder / above
            if place.exists() and not place.is_dir():
                found.append(str(above))
        if path.is_dir() or path.is_symlink() or (path.exists() and not force):
            found.append(name)
    return list(dict.fromkeys(found))


def _refuse(folder: Path, in_the_way: list[str], *, as_json: bool) -> None:
    message = f"in the way in {folder}: {', '.join(in_the_way)}; nothing was written"
    if as_json:
        show_json({"error": {"code": "in_the_way", "message": message, "files": in_the_way}})
        raise SystemExit(FAILED)
    fail(f"{message}. --force overwrites files of these names", FAILED)
