"""PURE. What calls have done, laid over a picture: steps and ways that were seen, and how calls ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from voiceagent.ivr.check.walks import Stop, Walk
from voiceagent.ivr.graph.model import KINDS, Node, Picture
from voiceagent.ivr.graph.python_ways import END, START

BY_FLOW = frozenset({"completed", "flow"})
"""Reasons of a call's end that say: the flow came to its own."""


def show(picture: Picture, walks: Sequence[Walk], locate: Callable[[Stop], str | None]) -> None:
    """Mark what the walks of this flow came through. ``locate`` finds the node of a stop; None: not shown."""
    own = [walk for walk in walks if walk.flow == picture.flow]
    picture.calls = len(own)
    for walk in own:
        path = [START, *(node for stop in walk.stops if (node := locate(stop)) is not None)]
        last = picture.nodes[path[-1]]
        if walk.end and not (walk.end in BY_FLOW and last.kind in ("end", "leaving")):
            path.append(_end(picture, walk))
        for node in set(path):
            picture.nodes[node].seen += 1
        for (source, target), count in Counter(pairwise(path)).items():
            for link in picture.between(source, target) or [picture.link(source, target)]:
                link.seen += count


def unplaced(picture: Picture, stop: Stop) -> str:
    """Add a node for a step that the file does not show, and return it."""
    node = Node(f"x{stop.line}_{_key(stop.name)}", KINDS.get(stop.name, "other"), stop.name, "", stop.place)
    return picture.add(node).id


def _end(picture: Picture, walk: Walk) -> str:
    """Return the node where a call ended: that of the flow's own end, or one that says what ended it."""
    if walk.end in BY_FLOW and END in picture.nodes:
        return END
    return picture.add(Node(f"end_{_key(walk.end)}", "end", walk.end.replace("_", " "))).id


def _key(text: str) -> str:
    return "".join(one if one.isalnum() and one.isascii() else "_" for one in text)
