"""PURE. Which ways lead out of a piece of a flow: onward, out of loop or function, to the call's end.

Asked twice: for any caller, and for one who never answers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from voiceagent.ivr.check.source import Function, Source
from voiceagent.ivr.check.verb_table import ENDING, LEAVING, OWN_WAITS, QUESTIONS

Ways = frozenset[str]
"""Of ``fall``, ``break``, ``continue``, ``return``, and ``stop`` for the call's end (or an exception)."""
Known = Mapping[str, object]
"""What names are known to hold."""

FALL: Ways = frozenset({"fall"})
STOP: Ways = frozenset({"stop"})
_UNKNOWN = object()


class Control:
    """The ways of a file's statements. ``silent``: every question comes back with None."""

    def __init__(self, source: Source, *, silent: bool) -> None:
        self._source = source
        self._silent = silent
        self.loops: dict[ast.While, Ways] = {}
        """Every endless ``while`` that was met, with the ways out of its body."""
        self._ways: dict[Function, Ways] = {one: frozenset() for one in source.functions if one.call}
        self._solve()

    def function(self, function: Function) -> Ways:
        """Return how a function is left: ``return`` or ``stop``; empty when no way leads out of it."""
        return self._ways.get(function, frozenset({"return"}))

    def _solve(self) -> None:
        """Go over all functions, callees first, until nothing more is learnt: flows may call in circles."""
        order = _callees_first(self._source, self._ways)
        learnt = True
        while learnt:
            learnt = False
            for function in order:
                ways = self.block(function.node.body, {})
                out = ways - FALL | (frozenset({"return"}) if "fall" in ways else frozenset[str]())
                learnt = learnt or out != self._ways[function]
                self._ways[function] = out

    def block(self, body: Sequence[ast.stmt], known: Known) -> Ways:
        """Return the ways out of statements in a row."""
        return self._block(body, dict(known))

    def _block(self, body: Sequence[ast.stmt], known: dict[str, object]) -> Ways:
        out: set[str] = set()
        for statement in body:
            ways = self._statement(statement, known)
            out |= ways - FALL
            if "fall" not in ways:
                return frozenset(out)
        return frozenset(out | FALL)

    def _statement(self, node: ast.stmt, known: dict[str, object]) -> Ways:
        match node:
            case ast.Return():
                return self._inside(node) - FALL | {"return"}
            case ast.Raise():
                return STOP
            case ast.Break():
                return frozenset({"break"})
            case ast.Continue():
                return frozenset({"continue"})
            case ast.If():
                return self._if(node, known)
            case ast.Match():
                return self._match(node, known)
            case ast.While():
                return self._while(node, known)
            case ast.For() | ast.AsyncFor():
                ways = self._block(node.body, self._forget(node.body, known))
                after = self._block(node.orelse, dict(known))
                self._lose(known, node)
                return ways - {"break", "continue"} | after | FALL
            case ast.Try() | ast.TryStar():
                return self._try(node, known)
            case ast.With() | ast.AsyncWith():
                return self._block(node.body, known) | FALL
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return FALL
            case _:
                ways = self._inside(node)
                self._assign(node, known)
                return ways

    def _if(self, node: ast.If, known: dict[str, object]) -> Ways:
        asked = self._inside(node.test)
        truth = self.truth(node.test, known)
        out: Ways = asked - FALL
        if truth is not False:
            out |= self._block(node.body, dict(known))
        if truth is not True:
            out |= self._block(node.orelse, dict(known))
        self._lose(known, node)
        return out

    def _match(self, node: ast.Match, known: dict[str, object]) -> Ways:
        asked = self._inside(node.subject)
        value = self._value(node.subject, known)
        out: set[str] = set(asked - FALL)
        for case in node.cases:
            fits = self._fits(case.pattern, value)
            if fits is False:
                continue
            out |= self._block(case.body, dict(known))
            if fits is True and case.guard is None:
                self._lose(known, node)
                return frozenset(out)
        self._lose(known, node)
        return frozenset(out | FALL)

    def _while(self, node: ast.While, known: dict[str, object]) -> Ways:
        inside = self._forget(node.body, known)
        asked = self._inside(node.test)
        truth = self.truth(node.test, inside)
        if truth is False:
            return self._block(node.orelse, known)
        ways = asked - FALL | self._block(node.body, dict(inside))
        if truth is True:
            self.loops[node] = ways
        out = ways - {"break", "continue", "fall"}
        if "break" in ways or truth is not True:
            out |= FALL
        self._lose(known, node)
        return out

    def _try(self, node: ast.Try | ast.TryStar, known: dict[str, object]) -> Ways:
        before = dict(known)
        ways = self._block(node.body, known)
        if "fall" in ways:
            ways = ways - FALL | self._block(node.orelse, known)
        for handler in node.handlers:
            ways |= self._block(handler.body, self._forget(node.body, before))
        self._lose(known, node)
        last = self._block(node.finalbody, dict(known))
        return last if "fall" not in last else ways | (last - FALL)

    def _inside(self, node: ast.AST) -> Ways:
        """Return what the verbs and sub-flows in an expression may do: fall through, or end the call."""
        ways: Ways = FALL
        for one in self._source.awaits_in(node):
            function = self._source.owner.get(one)
            sub = self._source.sub_flow(one)
            certain = self._certain(one, node)
            if sub is not None:
                led = self.function(sub)
                ways |= led & STOP
                if "return" not in led and certain:
                    ways -= FALL
            elif (
                isinstance(one.func, ast.Attribute)
                and function is not None
                and self._source.is_call(one.func.value, function)
            ):
                if one.func.attr in ENDING:
                    ways = (ways - FALL if certain else ways) | STOP
                elif one.func.attr in LEAVING:
                    ways |= STOP
            elif self._may_end(one):
                ways |= STOP
        return ways

    def _certain(self, call: ast.AST, within: ast.AST) -> bool:
        """Tell whether an expression always comes to a call in it: not on one branch, or for each of some."""
        below, above = call, self._source.parent.get(call)
        while above is not None and below is not within:
            match above:
                case ast.IfExp() if below is not above.test:
                    return False
                case ast.BoolOp() if below is not above.values[0]:
                    return False
                case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp() | ast.Lambda():
                    return False
                case _:
                    below, above = above, self._source.parent.get(above)
        return True

    def _may_end(self, call: ast.Call) -> bool:
        """Tell whether code that we do not see may end the call: it may have it, by whatever way."""
        root: ast.expr = call.func
        while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
            root = root.func if isinstance(root, ast.Call) else root.value
        if self._source.dotted(root) in OWN_WAITS:
            return False
        own = self._source.called(call)
        return own is None or bool(own.call)

    # ── what names hold ─────────────────────────────────────────────────────────────────────────
    def _assign(self, node: ast.stmt, known: dict[str, object]) -> None:
        self._lose(known, node)
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            return
        held = self._value(value, known)
        if isinstance(target, ast.Name) and held is not _UNKNOWN:
            known[target.id] = held

    def _lose(self, known: dict[str, object], node: ast.AST) -> None:
        if known:
            for name in _stored(node):
                known.pop(name, None)

    def _forget(self, body: Sequence[ast.stmt], known: Known) -> dict[str, object]:
        """Return what is known at every start of a loop's body."""
        kept = dict(known)
        if not kept:
            return kept
        for statement in body:
            for node in ast.walk(statement):
                if not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Load):
                    continue
                parent = self._source.parent[node]
                value = parent.value if isinstance(parent, ast.Assign | ast.NamedExpr) else None
                stays_none = value is not None and self._value(value, {}) is None
                if not (stays_none and kept.get(node.id, _UNKNOWN) is None):
                    kept.pop(node.id, None)
        return kept

    def _value(self, node: ast.expr, known: Known) -> object:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return known.get(node.id, _UNKNOWN)
        if isinstance(node, ast.NamedExpr):
            return self._value(node.value, known)
        if self._silent and isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            call, function = node.value, self._source.owner.get(node)
            if (
                isinstance(call.func, ast.Attribute)
                and call.func.attr in QUESTIONS
                and function is not None
                and self._source.is_call(call.func.value, function)
            ):
                return None
        return _UNKNOWN

    def truth(self, node: ast.expr, known: Known) -> bool | None:
        """Return what a test comes to, where that is certain."""
        match node:
            case ast.UnaryOp(op=ast.Not()):
                inner = self.truth(node.operand, known)
                return None if inner is None else not inner
            case ast.BoolOp():
                parts = [self.truth(one, known) for one in node.values]
                decided = isinstance(node.op, ast.Or)
                if decided in parts:
                    return decided
                return None if None in parts else not decided
            case ast.Compare(ops=[op], comparators=[other]):
                left, right = self._value(node.left, known), self._value(other, known)
                if (
                    left is None
                    and isinstance(op, ast.In | ast.NotIn)
                    and isinstance(other, ast.Tuple | ast.List | ast.Set)
                ):
                    items = [self._value(one, known) for one in other.elts]
                    if _UNKNOWN in items:
                        return None
                    return (None in items) == isinstance(op, ast.In)
                if left is _UNKNOWN or right is _UNKNOWN:
                    return None
                if isinstance(op, ast.Eq | ast.Is):
                    return left == right
                return left != right if isinstance(op, ast.NotEq | ast.IsNot) else None
            case _:
                value = self._value(node, known)
                return None if value is _UNKNOWN else bool(value)

    def _fits(self, pattern: ast.pattern, value: object) -> bool | None:
        match pattern:
            case ast.MatchAs(pattern=None):
                return True
            case ast.MatchAs():
                return self._fits(pattern.pattern, value) if pattern.pattern is not None else True
            case ast.MatchOr():
                parts = [self._fits(one, value) for one in pattern.patterns]
                return True if True in parts else (None if None in parts else False)
            case ast.MatchSingleton():
                return None if value is _UNKNOWN else value is pattern.value
            case ast.MatchValue(value=ast.Constant(value=wanted)):
                return None if value is _UNKNOWN else value == wanted
            case _:
                return None


def _stored(node: ast.AST) -> set[str]:
    return {
        one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
    }


def _callees_first(source: Source, functions: Iterable[Function]) -> list[Function]:
    order: list[Function] = []
    seen: set[Function] = set()
    for first in functions:
        stack = [] if first in seen else [(first, _callees(source, first))]
        seen.add(first)
        while stack:
            function, rest = stack[-1]
            callee = next((one for one in rest if one not in seen), None)
            if callee is None:
                order.append(function)
                stack.pop()
            else:
                seen.add(callee)
                stack.append((callee, _callees(source, callee)))
    return order


def _callees(source: Source, function: Function) -> Iterator[Function]:
    for node in source.nodes(function):
        sub = source.sub_flow(node)
        if sub is not None:
            yield sub
