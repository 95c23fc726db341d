"""PURE. The picture of a TOML flow: every step and way stands in its file; evidence says which were taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from voiceagent.ivr.check.walks import Stop, Walk
from voiceagent.ivr.graph.evidence import show
from voiceagent.ivr.graph.model import KINDS, Node, Picture, shortened
from voiceagent.ivr.graph.python_ways import START
from voiceagent.ivr.toml.graph import edges
from voiceagent.ivr.toml.read import ParsedFlow

_WORDS = ("say", "guide", "prompt", "target", "function", "url", "text", "file", "name")


def toml_picture(parsed: ParsedFlow, walks: Sequence[Walk] = ()) -> Picture:
    """Return the picture of a flow."""
    file = PurePath(parsed.file).name
    picture = Picture(parsed.flow.name, parsed.file)
    picture.add(Node(START, "start", parsed.flow.name))
    ids = {name: f"n{number}" for number, name in enumerate(parsed.steps, 1)}
    for name, step in parsed.steps.items():
        words = next((str(one) for key in _WORDS if (one := getattr(step, key, None))), "")
        line = parsed.line("steps", name)
        kind = KINDS.get(step.type, "other")
        picture.add(Node(ids[name], kind, f"{name}: {step.type}", shortened(words), f"{file}:{line}"))
    ways = edges(parsed)
    for number, target in enumerate(dict.fromkeys([parsed.start, *(way.target for way in ways)]), 1):
        if target not in ids:
            ids[target] = f"m{number}"
            picture.add(Node(ids[target], "missing", target, "no such step"))
    picture.link(START, ids[parsed.start])
    for way in ways:
        picture.link(ids[way.source], ids[way.target], way.label)
    begins = sorted((parsed.line("steps", name), name) for name in parsed.steps)

    def locate(stop: Stop) -> str | None:
        name = _step_of(stop, file, begins)
        return None if name is None else ids[name]

    show(picture, walks, locate)
    return picture


def _step_of(stop: Stop, file: str, begins: Sequence[tuple[int, str]]) -> str | None:
    """Return the step that a call came through: the one whose lines it names, or that has its name."""
    if any(name == stop.name for _, name in begins):
        return stop.name
    if stop.file != file:
        return None
    return next((name for line, name in reversed(begins) if line <= stop.line), None)
