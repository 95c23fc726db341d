"""PURE. A flow as nodes and links, before it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["start", "speech", "question", "work", "leaving", "other", "end", "missing"]
TEXT_CHARS = 48
"""So much of a prompt is shown."""
KINDS: dict[str, Kind] = {
    "respond": "speech",
    "say": "speech",
    "play": "speech",
    "converse": "speech",
    "choose": "question",
    "confirm": "question",
    "collect": "question",
    "call": "work",
    "fetch": "work",
    "record": "work",
    "listen": "work",
    "transfer": "leaving",
    "queue": "leaving",
    "hangup": "end",
}
"""What verbs, and steps of TOML flows, are drawn as."""


@dataclass(slots=True)
class Node:
    """One step. ``id`` is unique in its picture and fit for any notation."""

    id: str
    kind: Kind
    title: str
    text: str = ""
    place: str = ""
    """``shop.py:41``."""
    seen: int = 0
    """In how many calls of the evidence."""


@dataclass(slots=True)
class Link:
    """One way from node to node."""

    source: str
    target: str
    label: str = ""
    seen: int = 0
    """How often calls of the evidence went there."""


@dataclass(slots=True)
class Picture:
    """One flow. ``calls`` is how many calls are the evidence; 0: nothing is known of what was seen."""

    flow: str
    file: str
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    links: dict[tuple[str, str, str], Link] = field(default_factory=dict[tuple[str, str, str], Link])
    calls: int = 0

    def add(self, node: Node) -> Node:
        """Add a node, and return it."""
        return self.nodes.setdefault(node.id, node)

    def link(self, source: str, target: str, label: str = "") -> Link:
        """Add a way, or return the one that is there."""
        return self.links.setdefault((source, target, label), Link(source, target, label))

    def between(self, source: str, target: str) -> list[Link]:
        """Return the ways between two nodes."""
        return [one for one in self.links.values() if (one.source, one.target) == (source, target)]

    def plain(self) -> dict[str, Any]:
        """Return the picture as JSON values."""
        return {
            "flow": self.flow,
            "file": self.file,
            "calls": self.calls,
            "nodes": [
                {
                    "id": node.id,
                    "kind": node.kind,
                    "title": node.title,
                    "text": node.text,
                    "place": node.place,
                    "seen": node.seen,
                }
                for node in self.nodes.values()
            ],
            "links": [
                {"source": one.source, "target": one.target, "label": one.label, "seen": one.seen}
                for one in self.links.values()
            ],
        }


def shortened(text: str, most: int = TEXT_CHARS) -> str:
    """Return a text in one line of at most ``most`` characters."""
    plain = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def unseen(picture: Picture, seen: int) -> bool:
    """Tell whether a node or a way is to be drawn as never seen."""
    return bool(picture.calls) and not seen


def names(pictures: Sequence[Picture]) -> Iterable[tuple[str, Picture]]:
    """Yield each picture with a prefix for its nodes: empty where there is but one."""
    for number, picture in enumerate(pictures, 1):
        yield (f"f{number}_" if len(pictures) > 1 else ""), picture
