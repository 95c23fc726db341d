"""PURE. Pictures in the language of graphviz: ``dot -Tsvg`` makes an image of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from voiceagent.ivr.graph.model import Kind, Link, Node, Picture, names, unseen

_LOOKS: Mapping[Kind, Mapping[str, str]] = {
    "start": {"shape": "box", "style": "rounded,filled", "fillcolor": "#2b2d42", "fontcolor": "#ffffff"},
    "speech": {"shape": "box", "style": "rounded,filled", "fillcolor": "#e3f2fd", "color": "#1565c0"},
    "question": {"shape": "hexagon", "style": "filled", "fillcolor": "#fff3d6", "color": "#b26a00"},
    "work": {"shape": "component", "style": "filled", "fillcolor": "#ede7f6", "color": "#5e35b1"},
    "leaving": {"shape": "cds", "style": "filled", "fillcolor": "#e0f2f1", "color": "#00796b"},
    "other": {"shape": "box", "style": "filled", "fillcolor": "#f4f4f5", "color": "#71717a"},
    "end": {"shape": "box", "style": "rounded,filled", "fillcolor": "#fce4ec", "color": "#ad1457"},
    "missing": {"shape": "box", "style": "filled", "fillcolor": "#ffebee", "color": "#c62828"},
}


def dot(pictures: Sequence[Picture]) -> str:
    """Return one directed graph with all pictures."""
    return "\n".join(_lines(pictures)) + "\n"


def _lines(pictures: Sequence[Picture]) -> Iterator[str]:
    yield "digraph flows {"
    yield '  graph [rankdir="TB", nodesep="0.4", ranksep="0.5", fontname="Helvetica"];'
    yield '  node [fontname="Helvetica", fontsize="11", margin="0.16,0.09"];'
    yield '  edge [fontname="Helvetica", fontsize="10", color="#52525b", arrowsize="0.7"];'
    for prefix, picture in names(pictures):
        indent = "  "
        if prefix:
            yield f"  subgraph cluster_{prefix.strip('_')} {{"
            yield f"    label={quoted(picture.flow)}; color={quoted('#d4d4d8')}; style={quoted('rounded')};"
            indent = "    "
        for node in picture.nodes.values():
            yield f"{indent}{quoted(prefix + node.id)} [{_attributes(_node(picture, node))}];"
        for link in picture.links.values():
            ends = f"{quoted(prefix + link.source)} -> {quoted(prefix + link.target)}"
            attributes = _attributes(_link(picture, link))
            yield f"{indent}{ends}{f' [{attributes}]' if attributes else ''};"
        if prefix:
            yield "  }"
    yield "}"


def _node(picture: Picture, node: Node) -> dict[str, str]:
    label = "\n".join(filter(None, (node.title, node.text, node.place)))
    looks = dict(_LOOKS[node.kind])
    if node.kind != "missing" and unseen(picture, node.seen):
        looks |= {"style": looks["style"].replace("filled", "dashed"), "fontcolor": "#71717a"}
    return {"label": label, **looks}


def _link(picture: Picture, link: Link) -> dict[str, str]:
    count = f"×{link.seen}" if picture.calls > 1 and link.seen else ""
    label = " ".join(filter(None, (link.label, count)))
    looks = {"label": label} if label else {}
    if unseen(picture, link.seen):
        looks |= {"style": "dashed", "color": "#a1a1aa"}
    elif picture.calls and link.seen > 1:
        looks |= {"penwidth": f"{min(1 + link.seen * 0.25, 4):g}"}
    return looks


def _attributes(given: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={quoted(value)}" for name, value in given.items())


def quoted(text: str) -> str:
    """Return a quoted string: a new line in the text is one in the picture, a backslash is itself."""
    plain = "".join(one if one.isprintable() or one == "\n" else " " for one in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
