"""PURE. Which verb of a Python flow may follow which, from its text: through branches, loops, sub-flows."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from voiceagent.ivr.check.source import Function, Source, VerbUse
from voiceagent.ivr.check.verb_table import ENDING, LEAVING, QUESTIONS

SILENT_VERBS = frozenset({"note", "private", "answered_by", "until_beep", "until_back"})
"""Verbs that are no step of their own: they name none."""
START, END = "start", "finish"
"""Ids of the first and of the last node; ``end`` is a word of Mermaid's."""

End = tuple[str, str]
"""A node that something may follow, and under which answer."""
Ends = frozenset[End]


@dataclass(slots=True)
class _Loop:
    breaks: set[End] = field(default_factory=set[End])
    again: set[End] = field(default_factory=set[End])


class PythonWays:
    """The ways of one flow. ``nodes``: its uses of verbs by id; ``links``: (from, to, answer)."""

    def __init__(self, source: Source, flow: Function) -> None:
        self._source = source
        self._ids = {
            use.node: f"n{number}"
            for number, use in enumerate(
                sorted(source.uses, key=lambda one: (one.node.lineno, one.node.col_offset)), 1
            )
            if use.verb is not None and use.name not in SILENT_VERBS
        }
        self.nodes: dict[str, VerbUse] = {}
        self.links: dict[tuple[str, str, str], None] = {}
        self._entries: dict[Function, set[End]] = {flow: {(START, "")}}
        self._exits: dict[Function, set[End]] = {}
        self._loops: list[_Loop] = []
        self._returns: set[End] = set()
        size = -1
        while size != (size := self._size()):
            for function in list(self._entries):
                self._returns = set()
                ends = self._block(function.node.body, frozenset(self._entries[function]))
                self._exits.setdefault(function, set()).update(ends | self._returns)
        for node, label in sorted(self._exits[flow]):
            self.links.setdefault((node, END, label))

    def _size(self) -> int:
        sets = (*self._entries.values(), *self._exits.values())
        return len(self.links) + sum(len(one) for one in sets) + len(self._entries)

    def _block(self, body: Sequence[ast.stmt], ends: Ends) -> Ends:
        for statement in body:
            if not ends:
                break
            ends = self._statement(statement, ends)
        return ends

    def _statement(self, node: ast.stmt, ends: Ends) -> Ends:
        match node:
            case ast.Return():
                self._returns |= self._inside([node.value], ends)
                return frozenset()
            case ast.Raise():
                self._inside([node.exc], ends)
                return frozenset()
            case ast.Break() | ast.Continue():
                if self._loops:
                    loop = self._loops[-1]
                    (loop.breaks if isinstance(node, ast.Break) else loop.again).update(ends)
                return frozenset()
            case ast.If():
                ends = self._inside([node.test], ends)
                yes, no = self._answers(node.test)
                return self._block(node.body, _under(ends, yes)) | self._block(node.orelse, _under(ends, no))
            case ast.Match():
                return self._match(node, ends)
            case ast.While():
                always = isinstance(node.test, ast.Constant) and bool(node.test.value)
                return self._loop(node.body, node.orelse, node.test, ends, never_ends=always)
            case ast.For() | ast.AsyncFor():
                return self._loop(node.body, node.orelse, node.iter, ends)
            case ast.Try() | ast.TryStar():
                after = self._block(node.body, ends)
                out = self._block(node.orelse, after)
                for handler in node.handlers:
                    out |= self._block(handler.body, ends | after)
                return self._block(node.finalbody, out)
            case ast.With() | ast.AsyncWith():
                ends = self._inside([one.context_expr for one in node.items], ends)
                return self._block(node.body, ends)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return ends
            case _:
                return self._inside([node], ends)

    def _match(self, node: ast.Match, ends: Ends) -> Ends:
        ends = self._inside([node.subject], ends)
        out: Ends = frozenset()
        rest = True
        for case in node.cases:
            label, whole = _case(case.pattern)
            out |= self._block(case.body, _under(ends, label))
            # Who names the missing answer, too, has named them all.
            rest = rest and case.guard is None and not whole and "no answer" not in label
        return out | (ends if rest else frozenset[End]())

    def _loop(
        self,
        body: Sequence[ast.stmt],
        orelse: Sequence[ast.stmt],
        test: ast.expr,
        ends: Ends,
        *,
        never_ends: bool = False,
    ) -> Ends:
        loop = _Loop()
        self._loops.append(loop)
        inside = self._inside([test], ends)
        yes, no = self._answers(test)
        again = self._block(body, _under(inside, yes)) | loop.again
        inside |= self._inside([test], again)
        again = self._block(body, _under(inside, yes)) | loop.again
        inside |= self._inside([test], again)
        self._loops.pop()
        left: Ends = frozenset() if never_ends else self._block(orelse, _under(inside, no))
        return left | loop.breaks

    def _inside(self, nodes: Iterable[ast.AST | None], ends: Ends) -> Ends:
        """Follow the verbs and sub-flows in expressions, in the order in which they run."""
        calls = [
            one
            for node in nodes
            if node is not None
            for one in ast.walk(node)
            if isinstance(one, ast.Call) and (self._source.awaited(one) or one in self._ids)
        ]
        calls.sort(key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0))
        for call in calls:
            sub = self._source.sub_flow(call)
            if sub is not None:
                self._entries.setdefault(sub, set()).update(ends)
                ends = frozenset(self._exits.get(sub, ()))
            elif call in self._ids:
                ends = self._step(call, ends)
        return ends

    def _step(self, call: ast.Call, ends: Ends) -> Ends:
        use, node = self._source.use_of[call], self._ids[call]
        self.nodes.setdefault(node, use)
        for source, label in sorted(ends):
            self.links.setdefault((source, node, label))
        if use.name in ENDING:
            return frozenset()
        return frozenset({(node, "failed" if use.name in LEAVING else "")})

    def _answers(self, test: ast.expr) -> tuple[str, str]:
        """Return under which answer a test is true, and under which it is false."""
        match test:
            case ast.UnaryOp(op=ast.Not()):
                yes, no = self._answers(test.operand)
                return no, yes
            case ast.Compare(ops=[ast.Eq()], comparators=[ast.Constant(value=str() as answer)]):
                return answer, ""
            case ast.Compare(ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
                return "no answer", ""
            case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
                return "", "no answer"
            case ast.Await(value=ast.Call(func=ast.Attribute(attr=attr))) if attr in QUESTIONS:
                return ("yes", "no") if attr == "confirm" else ("", "no answer")
            case _:
                return "", ""


def _under(ends: Ends, label: str) -> Ends:
    """Return the ends with an answer; one that has its answer already keeps it."""
    return frozenset((node, had or (label if node != START else "")) for node, had in ends) if label else ends


def _case(pattern: ast.pattern) -> tuple[str, bool]:
    """Return the answer that a case is for, and whether it takes all that is left."""
    match pattern:
        case ast.MatchValue(value=ast.Constant(value=value)):
            return str(value), False
        case ast.MatchSingleton(value=value):
            return {None: "no answer", True: "yes", False: "no"}[value], False
        case ast.MatchOr():
            parts = [_case(one) for one in pattern.patterns]
            return ", ".join(label for label, _ in parts), any(whole for _, whole in parts)
        case ast.MatchAs(pattern=None):
            return "else", True
        case _:
            return "", False
