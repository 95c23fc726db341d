"""PURE. Pictures of Python flows: from the text what may follow what, from evidence what did."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import partial
from pathlib import PurePath

from voiceagent.ivr.check.source import Source, VerbUse, argument
from voiceagent.ivr.check.verb_table import PROMPTS
from voiceagent.ivr.check.walks import Stop, Walk
from voiceagent.ivr.graph.evidence import show, unplaced
from voiceagent.ivr.graph.model import KINDS, Node, Picture, shortened
from voiceagent.ivr.graph.python_ways import END, START, PythonWays


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
        show(picture, walks, partial(_met, picture, file=PurePath(file).name, lines=lines))
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
    return unplaced(picture, stop)


def _tidy(picture: Picture) -> None:
    """Leave out an end that nothing leads to, and put the ends last."""
    led_to = {link.target for link in picture.links.values()}
    if END not in led_to:
        picture.nodes.pop(END, None)
    for key in [key for key, node in picture.nodes.items() if node.kind == "end" and not node.place]:
        picture.nodes[key] = picture.nodes.pop(key)
