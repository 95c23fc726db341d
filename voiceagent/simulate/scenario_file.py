"""Reads scenarios from TOML files; what is wrong is told with file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from voiceagent.errors import ConfigError
from voiceagent.simulate.scenario import Scenario
from voiceagent.text_files import UnreadableFile, read_text

_TABLE = re.compile(r"^\s*\[+\s*([^\]\s]+)\s*\]+")


class ScenarioError(ConfigError):
    """A scenario that cannot be read. Its message begins with ``file:line`` where the line is known."""


def scenario_files(paths: Iterable[Path]) -> list[Path]:
    """Return the named files, and the TOML files of the named folders, by name.

    Raises ScenarioError for what is not there, and for a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob("*.toml"))
            if not inside:
                raise ScenarioError(str(path), "holds no scenario (*.toml)")
            found.extend(inside)
        elif path.exists():
            found.append(path)
        else:
            raise ScenarioError(str(path), "no such file")
    return found


def read_scenario(path: Path) -> Scenario:
    """Return the scenario of a file; its name is the file's unless it has one."""
    return read_scenario_and_text(path)[0]


def read_scenario_and_text(path: Path) -> tuple[Scenario, str]:
    """Return the scenario of a file, and its text, in which reports look up lines."""
    try:
        text = read_text(path)
    except UnreadableFile as error:
        raise ScenarioError(str(path), str(error)) from None
    found = parse_scenario(text, str(path))
    return found if found.name else found.model_copy(update={"name": path.stem}), text


def parse_scenario(text: str, name: str = "scenario") -> Scenario:
    """Return the scenario that ``text`` (TOML) holds; ``name`` is what errors call it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        number = found[1] if found else max(1, len(text.splitlines()))
        raise ScenarioError(f"{name}:{number}", str(error)) from None
    except RecursionError:
        raise ScenarioError(name, "is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise ScenarioError(name, str(error).partition(";")[0]) from None
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = _as_written(data, first["loc"])
        line = line_of(text, place)
        where = f"{name}:{line}" if line else name
        raise ScenarioError(where, f"{_dotted(place)}: {_words(first['type'], first['msg'])}") from None


def _as_written(data: Any, place: Sequence[str | int]) -> list[str | int]:
    """Return a path without what is not in the file: branches of unions, the index of a single table."""
    kept: list[str | int] = []
    for number, part in enumerate(place):
        if isinstance(data, list) and isinstance(part, int):
            data = cast("list[Any]", data)[part]
        elif isinstance(data, dict) and part in data:
            data = cast("dict[Any, Any]", data)[part]
        elif number + 1 < len(place) or isinstance(part, int) or not isinstance(data, dict):
            continue
        kept.append(part)
    return kept


def _dotted(place: Sequence[str | int]) -> str:
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "scenario"


def _words(kind: str, message: str) -> str:
    known = {
        "extra_forbidden": "is no such key",
        "missing": "is missing",
        "model_type": "must be a table",
        "dict_type": "must be a table",
        "list_type": "must be a list",
    }
    return known.get(kind, message.removeprefix("Value error, "))


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """Return the line (from 1) where the value at ``place`` stands, or the table that holds it."""
    lines = text.splitlines()
    names = [part for part in place if isinstance(part, str)]
    index = next((part for part in place if isinstance(part, int)), 0)
    table = names[0] if names else ""
    begun = _table_line(lines, names, index)
    end = len(lines)
    if begun is not None:
        end = next((n for n in range(begun + 1, len(lines)) if _opens_other(lines[n], table)), len(lines))
    for name in reversed(names):
        key = re.compile(rf"""(?:^|[\s{{,.])["']?{re.escape(name)}["']?\s*[.=]""")
        for number in range(begun or 0, end):
            if key.search(lines[number].split("#", 1)[0]):
                return number + 1
    return None if begun is None else begun + 1


def _table_line(lines: Sequence[str], names: Sequence[str], index: int) -> int | None:
    """Return the line of the deepest table header on the way; of an array, its ``index``-th member's."""
    for depth in range(len(names), 0, -1):
        wanted = ".".join(names[:depth])
        found = [n for n, line in enumerate(lines) if (m := _TABLE.match(line)) and m[1] == wanted]
        if found:
            of_many = lines[found[0]].lstrip().startswith("[[")
            return found[index] if of_many and index < len(found) else found[0]
    return None


def _opens_other(line: str, table: str) -> bool:
    header = _TABLE.match(line)
    return header is not None and not header[1].startswith(f"{table}.")


def turn_line(text: str, number: int) -> int | None:
    """Return the line of the ``number``-th turn (from 0)."""
    return line_of(text, ("turn", number))
