"""The part of graphviz's grammar that our pictures use, read strictly: their readers may be strict, too."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_]\w*)|(?P<sign>->|[\[\]{};=,])|(?P<bad>\S))', re.S
)


@dataclass
class Graph:
    nodes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    edges: list[tuple[str, str, dict[str, str]]] = field(
        default_factory=list[tuple[str, str, dict[str, str]]]
    )
    clusters: list[str] = field(default_factory=list[str])


class Reader:
    def __init__(self, text: str) -> None:
        self.tokens = [match for match in _TOKEN.finditer(text) if match.group().strip()]
        assert [one.group() for one in self.tokens if one["bad"]] == []
        self.at = 0
        self.graph = Graph()

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1].group().strip()

    def peek(self) -> str:
        return self.tokens[self.at].group().strip()

    def expect(self, sign: str) -> None:
        got = self.next()
        assert got == sign, f"{got!r} where {sign!r} should be"

    def read(self) -> Graph:
        self.expect("digraph")
        self.name()
        self.statements()
        assert self.at == len(self.tokens)
        for source, target, _ in self.graph.edges:
            assert {source, target} <= set(self.graph.nodes)
        return self.graph

    def name(self) -> str:
        token = self.next()
        if token.startswith('"'):
            return re.sub(r"\\(.)", lambda hit: "\n" if hit[1] == "n" else hit[1], token[1:-1])
        assert token.isidentifier(), token
        return token

    def statements(self) -> None:
        self.expect("{")
        while self.peek() != "}":
            self.statement()
        self.expect("}")

    def statement(self) -> None:
        if self.peek() == "subgraph":
            self.next()
            self.graph.clusters.append(self.name())
            self.statements()
            return
        subject = self.name()
        if self.peek() == "=":
            self.next()
            self.name()
        elif self.peek() == "->":
            self.next()
            self.graph.edges.append((subject, self.name(), self.attributes()))
        elif subject in ("graph", "node", "edge"):
            self.attributes()
        else:
            assert subject not in self.graph.nodes
            self.graph.nodes[subject] = self.attributes()
        self.expect(";")

    def attributes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.peek() != "[":
            return found
        self.next()
        while self.peek() != "]":
            name = self.name()
            self.expect("=")
            found[name] = self.name()
            if self.peek() == ",":
                self.next()
        self.expect("]")
        return found


def read_dot(text: str) -> Graph:
    return Reader(text).read()
