"""PURE. Pictures as Mermaid flowcharts, which GitHub, GitLab and many editors draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voiceagent.ivr.graph.model import Kind, Node, Picture, names, unseen

_SHAPES: dict[Kind, tuple[str, str]] = {
    "start": ("([", "])"),
    "speech": ("(", ")"),
    "question": ("{{", "}}"),
    "work": ("[[", "]]"),
    "leaving": ("[/", "/]"),
    "other": ("[", "]"),
    "end": ("([", "])"),
    "missing": ("[", "]"),
}
_CLASSES = (
    "classDef start fill:#2b2d42,stroke:#2b2d42,color:#ffffff",
    "classDef speech fill:#e3f2fd,stroke:#1565c0,color:#10273f",
    "classDef question fill:#fff3d6,stroke:#b26a00,color:#3d2600",
    "classDef work fill:#ede7f6,stroke:#5e35b1,color:#22104d",
    "classDef leaving fill:#e0f2f1,stroke:#00796b,color:#00322c",
    "classDef other fill:#f4f4f5,stroke:#71717a,color:#27272a",
    "classDef end_ fill:#fce4ec,stroke:#ad1457,color:#4a0a25",
    "classDef missing fill:#ffebee,stroke:#c62828,color:#7f0000",
    "classDef never stroke-dasharray:5 4,fill:#ffffff,color:#71717a",
)
_ESCAPES = {
    "#": "#35;",
    '"': "#quot;",
    "<": "#lt;",
    ">": "#gt;",
    "&": "#amp;",
    "`": "#96;",
    "|": "#124;",
    "\\": "#92;",
}


def mermaid(pictures: Sequence[Picture]) -> str:
    """Return one flowchart with all pictures."""
    return "\n".join(_lines(pictures)) + "\n"


def _lines(pictures: Sequence[Picture]) -> Iterator[str]:
    yield "flowchart TD"
    dashed: list[int] = []
    number = 0
    for prefix, picture in names(pictures):
        indent = "  "
        if prefix:
            yield f'  subgraph {prefix}["{escaped(picture.flow)}"]'
            indent = "    "
        for node in picture.nodes.values():
            yield f"{indent}{prefix}{node.id}{_node(node)}:::{_class(picture, node)}"
        for link in picture.links.values():
            never = unseen(picture, link.seen)
            arrow = "-.->" if never else "-->"
            label = _label(link.label, link.seen if picture.calls > 1 else 0)
            yield f"{indent}{prefix}{link.source} {arrow}{label} {prefix}{link.target}"
            if never:
                dashed.append(number)
            number += 1
        if prefix:
            yield "  end"
    yield from (f"  {one}" for one in _CLASSES)
    if dashed:
        yield f"  linkStyle {','.join(map(str, dashed))} stroke:#a1a1aa"


def _node(node: Node) -> str:
    opening, closing = _SHAPES[node.kind]
    parts = [f"<b>{escaped(node.title)}</b>"]
    if node.text:
        parts.append(escaped(node.text))
    if node.place:
        parts.append(f"<small>{escaped(node.place)}</small>")
    return f'{opening}"{"<br/>".join(parts)}"{closing}'


def _class(picture: Picture, node: Node) -> str:
    if node.kind != "missing" and unseen(picture, node.seen):
        return "never"
    return "end_" if node.kind == "end" else node.kind


def _label(text: str, count: int) -> str:
    told = " ".join(filter(None, (escaped(text), f"×{count}" if count else "")))
    return f'|"{told}"|' if told else ""


def escaped(text: str) -> str:
    """Return a text that stands in a quoted label as it is."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    return "".join(_ESCAPES.get(one, one) for one in plain)
