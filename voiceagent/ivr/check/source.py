"""PURE. A Python file with flows as the rules see it: its functions, which have the call, the verbs used."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from voiceagent.ivr.check.codes import PYTHON_CODES
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.verb_table import Verb, verbs

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.MatchAs, ast.MatchStar, ast.ExceptHandler)
TOO_DEEP = (RecursionError, MemoryError)
"""What Python raises for a text that nests deeper than it can read."""
Kind = Literal["flow", "tool", "sub-flow", "other"]


@dataclass(slots=True, eq=False)
class Function:
    """One function of the file. ``call`` is the name that the call has in it, empty where it has none."""

    node: FunctionNode
    kind: Kind = "other"
    call: str = ""
    outer: Function | None = None
    sites: list[ast.Call] = field(default_factory=list[ast.Call])
    """Where it is called in this file."""

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_async(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True, eq=False)
class VerbUse:
    """One ``call.verb(…)``; ``verb`` is None where the call has no such verb."""

    function: Function
    node: ast.Call
    name: str
    verb: Verb | None


@dataclass(frozen=True, slots=True)
class FlowFact:
    """A declared flow: its name and numbers, as far as they are constants."""

    file: str
    line: int
    name: str
    numbers: tuple[tuple[str, int], ...] = ()
    """Each with the line where it stands."""


class Source:
    """A parsed file. Raises SyntaxError."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.tree = ast.parse(text, file)
        self.parent: dict[ast.AST, ast.AST] = {}
        self.owner: dict[ast.AST, Function] = {}
        """The innermost function that a node stands in."""
        self.imports: dict[str, str] = {}
        """Local name → dotted name, for everything imported."""
        self.bound: set[str] = set()
        """Every name bound anywhere in the file."""
        self.star = False
        """True where ``from … import *`` hides what is bound."""
        self.functions: list[Function] = []
        self.by_name: dict[str, Function] = {}
        self.texts: dict[str, ast.expr] = {}
        """Names that are assigned once in the file → what they are assigned."""
        self._nodes: dict[Function, list[ast.AST]] = {}
        self._awaits: dict[ast.AST, tuple[ast.Call, ...]] = {}
        self._reads: dict[Function, Mapping[str, list[ast.AST]]] = {}
        self._walk(self.tree, None)
        self._bind()
        for function in self.functions:
            self._classify(function)
        self._spread()
        self.uses: list[VerbUse] = list(self._verb_uses())
        self.use_of: dict[ast.AST, VerbUse] = {use.node: use for use in self.uses}
        """The use of a verb that a call expression is."""

    # ── reading ─────────────────────────────────────────────────────────────────────────────────
    def _walk(self, node: ast.AST, owner: Function | None) -> None:
        stack: list[tuple[ast.AST, Function | None]] = [(node, owner)]
        while stack:
            parent, inside = stack.pop()
            for child in ast.iter_child_nodes(parent):
                self.parent[child] = parent
                if inside is not None:
                    self.owner[child] = inside
                    self._nodes[inside].append(child)
                deeper = inside
                if isinstance(child, FunctionNode):
                    deeper = Function(child, outer=inside)
                    self._nodes[deeper] = []
                    self.functions.append(deeper)
                stack.append((child, deeper))
        self.functions.sort(key=lambda one: one.node.lineno)
        for function in self.functions:
            self.by_name.setdefault(function.name, function)

    def _bind(self) -> None:
        assigned: dict[str, list[ast.expr | None]] = {}
        for node in self.parent:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.partition(".")[0]
                    self.imports[local] = alias.name if alias.asname else local
            elif isinstance(node, ast.ImportFrom):
                base = "." * node.level + (node.module or "")
                for alias in node.names:
                    self.star = self.star or alias.name == "*"
                    self.imports[alias.asname or alias.name] = f"{base}.{alias.name}"
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                parent = self.parent[node]
                match parent:
                    case ast.Assign(targets=[_], value=value) | ast.AnnAssign(value=value):
                        assigned.setdefault(node.id, []).append(value)
                    case _:
                        assigned.setdefault(node.id, []).append(None)
            elif isinstance(node, ast.arg):
                assigned.setdefault(node.arg, []).append(None)
            elif isinstance(node, _NAMED) and node.name:
                assigned.setdefault(node.name, []).append(None)
        self.bound = set(assigned) | set(self.imports)
        self.texts = {name: one[0] for name, one in assigned.items() if len(one) == 1 and one[0] is not None}

    def dotted(self, node: ast.AST) -> str:
        """Return ``time.sleep`` for whatever names it, imports resolved; empty for what is no name."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""

    def path(self, node: ast.AST) -> list[str]:
        """Return the parts of ``shop.balance`` as they stand; empty for what is more than names."""
        if isinstance(node, ast.Name):
            return [node.id]
        if isinstance(node, ast.Attribute):
            base = self.path(node.value)
            return [*base, node.attr] if base else []
        return []

    def declares(self, node: ast.AST, word: str) -> bool:
        """Tell whether an expression is our ``word`` (``flow``, ``tool``, ``option`` …), called or not."""
        name = self.dotted(node.func if isinstance(node, ast.Call) else node)
        return name == word or (name.startswith("voiceagent.") and name.rpartition(".")[2] == word)

    def decorator(self, function: Function, word: str) -> ast.expr | None:
        """Return the function's decorator ``word``, if it has one."""
        return next((one for one in function.node.decorator_list if self.declares(one, word)), None)

    def _classify(self, function: Function) -> None:
        arguments = function.node.args
        plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        if self.decorator(function, "flow") is not None:
            function.kind = "flow"
            function.call = plain[0].arg if plain else ""
            return
        is_tool = self.decorator(function, "tool") is not None
        function.kind = "tool" if is_tool else "other"
        for one in plain:
            if one.annotation is not None and self._is_call_type(one.annotation):
                function.kind, function.call = "tool" if is_tool else "sub-flow", one.arg
                return

    def _is_call_type(self, annotation: ast.expr) -> bool:
        if isinstance(annotation, ast.Constant):
            return annotation.value in ("Call", "ivr.Call")
        return self.declares(annotation, "Call")

    def _spread(self) -> None:
        """Functions that get the call as an argument, or see it from outside, are sub-flows, too."""
        calls = [node for node in self.parent if isinstance(node, ast.Call)]
        for node in calls:
            called = self.called(node)
            if called is not None:
                called.sites.append(node)
        changed = True
        while changed:
            changed = False
            for function in self.functions:
                if function.call or function.kind == "tool":
                    continue
                found = self._inherited(function) or self._passed(function)
                if found:
                    function.kind, function.call, changed = "sub-flow", found, True

    def _inherited(self, function: Function) -> str:
        outer = function.outer
        if outer is None or not outer.call:
            return ""
        own = {one.arg for one in ast.walk(function.node.args) if isinstance(one, ast.arg)}
        uses = any(isinstance(one, ast.Name) and one.id == outer.call for one in self.nodes(function))
        return outer.call if uses and outer.call not in own else ""

    def _passed(self, function: Function) -> str:
        names = [one.arg for one in (*function.node.args.posonlyargs, *function.node.args.args)]
        for site in function.sites:
            owner = self.owner.get(site)
            if owner is None or not owner.call:
                continue
            for place, value in enumerate(site.args, int(isinstance(site.func, ast.Attribute))):
                if isinstance(value, ast.Name) and value.id == owner.call and place < len(names):
                    return names[place]
            for keyword in site.keywords:
                if isinstance(keyword.value, ast.Name) and keyword.value.id == owner.call and keyword.arg:
                    return keyword.arg
        return ""

    def _verb_uses(self) -> Iterator[VerbUse]:
        known = verbs()
        for function in self.functions:
            if not function.call:
                continue
            for node in self.nodes(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and self.is_call(node.func.value, function)
                ):
                    name = node.func.attr
                    yield VerbUse(function, node, name, known.get(name))

    # ── asking ──────────────────────────────────────────────────────────────────────────────────
    def nodes(self, function: Function) -> list[ast.AST]:
        """Return the nodes of a function without those of the functions inside it."""
        return self._nodes[function]

    def reads(self, function: Function, name: str) -> Sequence[ast.AST]:
        """Return where a function, then those directly inside it, read a name: each from top to bottom."""
        found = self._reads.get(function)
        if found is None:
            found = self._reads[function] = self._reads_of(function)
        return found.get(name, ())

    def _reads_of(self, function: Function) -> Mapping[str, list[ast.AST]]:
        found: dict[str, list[ast.AST]] = {}
        for place in (function, *(one for one in self.functions if one.outer is function)):
            names = (one for one in self.nodes(place) if isinstance(one, ast.Name))
            for one in sorted(names, key=lambda one: one.lineno):
                if isinstance(one.ctx, ast.Load):
                    found.setdefault(one.id, []).append(one)
        return found

    def is_call(self, node: ast.AST, function: Function) -> bool:
        """Tell whether an expression is the call object."""
        return isinstance(node, ast.Name) and node.id == function.call != ""

    def awaited(self, node: ast.expr) -> bool:
        """Tell whether an expression stands directly under ``await``."""
        return isinstance(self.parent.get(node), ast.Await)

    def awaits_in(self, node: ast.AST) -> tuple[ast.Call, ...]:
        """Return the awaited calls in a statement or an expression."""
        found = self._awaits.get(node)
        if found is None:
            calls = (one for one in ast.walk(node) if isinstance(one, ast.Call))
            found = self._awaits[node] = tuple(one for one in calls if self.awaited(one))
        return found

    def sub_flow(self, node: ast.AST) -> Function | None:
        """Return the sub-flow of this file that a call expression runs."""
        found = self.called(node) if isinstance(node, ast.Call) else None
        return found if found is not None and found.kind == "sub-flow" else None

    def called(self, node: ast.Call) -> Function | None:
        """Return the function of this file that a call expression runs: by its name, or as ``self.name``."""
        match node.func:
            case ast.Name(id=name):
                return self.by_name.get(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                found = self.by_name.get(name)
                return found if found and isinstance(self.parent.get(found.node), ast.ClassDef) else None
            case _:
                return None

    def text(self, node: ast.AST | None, depth: int = 4) -> tuple[str, bool]:
        """Return the constant text in an expression, and whether that is all of it."""
        if isinstance(node, ast.Constant):
            return (node.value, True) if isinstance(node.value, str) else ("", False)
        if isinstance(node, ast.JoinedStr):
            parts = [self.text(part, depth) for part in node.values]
        elif isinstance(node, ast.FormattedValue):
            return self.text(node.value, depth) if node.format_spec is None else ("", False)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [self.text(node.left, depth), self.text(node.right, depth)]
        elif isinstance(node, ast.Name) and node.id in self.texts and depth:
            return self.text(self.texts[node.id], depth - 1)
        else:
            return "", False
        return "".join(text for text, _ in parts), all(whole for _, whole in parts)

    def flow_facts(self) -> Iterator[FlowFact]:
        """Yield the flows that the file declares."""
        for function in self.functions:
            decorator = self.decorator(function, "flow")
            if not isinstance(decorator, ast.Call):
                continue
            name = argument(decorator, "name", 0)
            numbers = argument(decorator, "numbers")
            given = numbers.elts if isinstance(numbers, ast.List | ast.Tuple | ast.Set) else []
            told = [(self.text(one), one.lineno) for one in given]
            yield FlowFact(
                self.file,
                function.node.lineno,
                self.text(name)[0],
                tuple((text, line) for (text, whole), line in told if whole),
            )

    def found(
        self,
        at: ast.AST | int,
        code: str,
        message: str,
        remedy: str = "",
    ) -> Finding:
        """Return a finding at a node's line."""
        line = at if isinstance(at, int) else getattr(at, "lineno", 1)
        return Finding(self.file, line, PYTHON_CODES[code].severity, code, message, remedy)


def argument(node: ast.Call, name: str, place: int | None = None) -> ast.expr | None:
    """Return an argument by its name, or by its place."""
    for keyword in node.keywords:
        if keyword.arg == name:
            return keyword.value
    if place is not None and place < len(node.args) and not isinstance(node.args[place], ast.Starred):
        return node.args[place]
    return None
