"""PURE. Pictures of Python flows: from the text what may follow what, from evidence what did."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePath

from voiceagent.ivr.check.source import Source, VerbUse, argument
from voiceagent.ivr.check.verb_table import PROMPTS
from voiceagent.ivr.check.walks import Stop, Walk
from voiceagent.ivr.graph.model import KINDS, Node, Picture, shortened
from voiceagent.ivr.graph.python_ways import END, START, PythonWays

_BY_FLOW = frozenset({"completed", "flow"})
"""Reasons of a call's end that say: the flow came to its own."""


def python_pictures(text: str, file: str, walks: Sequence[Walk] = ()) -> list[Picture]:
    """Return one picture for each flow in a file's text. Raises SyntaxError."""
    source = Source(text, file)
    names = {fact.line: fact.name for fact in source.flow_facts()}
    pictures: list[Picture] = []
    for function in source.functions:
        if function.kind != "flow":
            continue
        name = names.get(function.node.lineno) or function.name
        picture = Picture(name, file)
        ways = PythonWays(source, function)
        picture.add(Node(START, "start", name))
        for node, use in sorted(ways.nodes.items(), key=lambda one: one[1].node.lineno):
            picture.add(_node(source, file, node, use))
        picture.add(Node(END, "end", "the flow ends"))
        for one in ways.links:
            picture.link(*one)
        lines = {node: _lines(source, use) for node, use in ways.nodes.items()}
        _show(picture, [walk for walk in walks if walk.flow == name], PurePath(file).name, lines)
        _tidy(picture)
        pictures.append(picture)
    return pictures


def _node(source: Source, file: str, node: str, use: VerbUse) -> Node:
    words = ""
    for name in PROMPTS.get(use.name, ("name", "target", "path")):
        place = use.verb.place(name) if use.verb is not None else None
        value = argument(use.node, name, place)
        if value is not None:
            words = words or source.text(value)[0]
    title = use.name
    if use.name in ("transfer", "queue"):
        words = source.text(argument(use.node, "target", 0))[0] or words
    line = _lines(source, use)[0]
    kind = KINDS.get(use.name, "other")
    return Node(node, kind, title, shortened(words), f"{PurePath(file).name}:{line}")


def _lines(source: Source, use: VerbUse) -> tuple[int, int]:
    """Return the first and last line that a running verb may be told to stand at."""
    outer: ast.expr = use.node
    parent = source.parent.get(use.node)
    if isinstance(parent, ast.Await):
        outer = parent
    return outer.lineno, outer.end_lineno or outer.lineno


# ── evidence ────────────────────────────────────────────────────────────────────────────────────
def _show(picture: Picture, walks: Sequence[Walk], file: str, lines: dict[str, tuple[int, int]]) -> None:
    picture.calls = len(walks)
    for walk in walks:
        path = [START, *(_met(picture, stop, file, lines) for stop in walk.stops)]
        if walk.end and not (walk.end in _BY_FLOW and picture.nodes[path[-1]].kind == "end"):
            path.append(_end(picture, walk))
        for node in set(path):
            picture.nodes[node].seen += 1
        for (source, target), count in Counter(pairwise(path)).items():
            known = picture.between(source, target)
            link = known[0] if len(known) == 1 else picture.link(source, target)
            for one in known or [link]:
                one.seen += count


def _met(picture: Picture, stop: Stop, file: str, lines: dict[str, tuple[int, int]]) -> str:
    """Return the node of a step that a call came through; one that the text does not show is added."""
    if stop.file == file:
        fitting = [
            node
            for node, (first, last) in lines.items()
            if first <= stop.line <= last and picture.nodes[node].title in (stop.name, "step")
        ]
        if fitting:
            return fitting[-1]
    key = f"x{stop.line}_{''.join(one if one.isalnum() and one.isascii() else '_' for one in stop.name)}"
    picture.add(Node(key, KINDS.get(stop.name, "other"), stop.name, "", stop.place))
    return key


def _end(picture: Picture, walk: Walk) -> str:
    """Return the node where a call ended: that of the flow's own end, or one that says what ended it."""
    if walk.end in _BY_FLOW:
        return END
    key = f"end_{''.join(one if one.isalnum() and one.isascii() else '_' for one in walk.end)}"
    picture.add(Node(key, "end", walk.end.replace("_", " ")))
    return key


def _tidy(picture: Picture) -> None:
    """Leave out an end that nothing leads to, and put the ends last."""
    led_to = {link.target for link in picture.links.values()}
    if END not in led_to:
        picture.nodes.pop(END, None)
    for key in [key for key, node in picture.nodes.items() if node.kind == "end" and not node.place]:
        picture.nodes[key] = picture.nodes.pop(key)
