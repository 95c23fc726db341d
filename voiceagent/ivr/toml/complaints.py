"""PURE. What pydantic and tomllib complain about, in words and places of the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from voiceagent.ivr.toml.lines import Path

_TOML_PLACE = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One mistake in a table: the key's place within it, a code, what is wrong, what to do."""

    path: Path
    code: str
    message: str
    remedy: str = ""


def complaints(
    model: type[BaseModel], given: Mapping[str, Any], label: str, error: ValidationError
) -> list[Complaint]:
    """Return what is wrong with the table ``given``, called ``label``; each key is told once."""
    found: dict[tuple[Path, str], Complaint] = {}
    for one in error.errors(include_url=False):
        complaint = _complaint(model, given, label, one)
        # A value that fits none of several types is told once.
        found.setdefault((complaint.path, complaint.code), complaint)
    return list(found.values())


def _complaint(
    model: type[BaseModel], given: Mapping[str, Any], label: str, error: ErrorDetails
) -> Complaint:
    path = _in_tree([part for part in error["loc"] if part != "[key]"], given)
    key = ".".join(str(part) for part in path)
    match error["type"]:
        case "extra_forbidden":
            known = _keys_at(model, path[:-1])
            remedy = nearest(str(path[-1]), known) or f"known: {', '.join(known)}"
            return Complaint(path, "unknown-key", f"{label} has no key `{key}`", remedy)
        case "missing":
            return Complaint(path, "missing-key", f"{label} needs `{key}`")
        case _:
            message = error["msg"].removeprefix("Value error, ")
            value = error["input"]
            shown = f", not {value!r}"[:100] if isinstance(value, str | int | float | bool) else ""
            told = f"{label}: `{key}`: {message[:1].lower()}{message[1:]}{shown}"
            return Complaint(path, "bad-value", told)


def _in_tree(loc: Sequence[str | int], table: object) -> Path:
    """Return pydantic's place as keys that stand in the file: names of types and models are left out."""
    kept: list[str | int] = []
    around = table
    for number, part in enumerate(loc):
        inner = _inside(around, part)
        missing = inner is None and number == len(loc) - 1 and _is_table(around)
        if inner is not None or missing:
            kept.append(part)
            around = inner
    return tuple(kept)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _inside(given: object, part: str | int) -> object:
    """Return what stands under a key or an index, else None."""
    if isinstance(given, dict):
        return cast("dict[str | int, object]", given).get(part)
    if isinstance(given, list) and isinstance(part, int):
        items = cast("list[object]", given)
        return items[part] if part < len(items) else None
    return None


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """Return the keys that a table at ``path`` inside of ``model`` may have."""
    for part in path:
        field = model.model_fields.get(str(part))
        model = _model_in(field.annotation) or model if field is not None else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the question whether ``word`` was meant as one of ``known``; empty where none is like it."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def not_toml(message: str, text: str) -> tuple[str, int]:
    """Return tomllib's complaint without its place, and the line of that."""
    place = _TOML_PLACE.search(message)
    if place is None:
        return message, 1
    line = int(place.group(1)) if place.group(1) else text.rstrip("\n").count("\n") + 1
    complaint = message[: place.start()]
    return f"is not TOML: {complaint[:1].lower()}{complaint[1:]}", line
