"""PURE. Rules about the course of a flow: code that never runs, loops that nobody leaves."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator

from voiceagent.ivr.check.control import Control
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.source import Function, Source

_WAYS_OUT = frozenset({"break", "return", "stop"})


def endless_loops(source: Source) -> Iterator[Finding]:
    """Loops and recursions without a way out, for any caller or for a silent one."""
    told: set[ast.AST] = set()
    flows = [one for one in source.functions if one.call and not _in_background(source, one)]
    for silent in (False, True):
        control = Control(source, silent=silent)
        ways = {function: control.function(function) for function in flows}
        lost = (
            "a caller who says nothing never leaves this loop" if silent else "nothing leads out of this loop"
        )
        remedy = "end it when the answer is None" if silent else "add break, return or hangup"
        for loop, out in control.loops.items():
            if not out & _WAYS_OUT and loop not in told and source.owner.get(loop) in ways:
                told.add(loop)
                yield source.found(loop, "endless-loop", lost, remedy)
        for function, out in ways.items():
            if out or function.node in told or _holds(source, function, told):
                continue
            if (site := _way_back(source, function)) is not None:
                told.add(function.node)
                what = "a caller who says nothing" if silent else "the call"
                yield source.found(
                    site,
                    "endless-loop",
                    f"{what} never leaves {function.name}, which begins anew here",
                    remedy,
                )


def _in_background(source: Source, function: Function) -> bool:
    """Tell whether a function is only ever started as a task of its own, which somebody cancels."""
    return bool(function.sites) and not any(source.awaited(site) for site in function.sites)


def _holds(source: Source, function: Function, told: set[ast.AST]) -> bool:
    """Tell whether the function, or one that it calls, has a loop that is reported already."""
    return any(
        source.owner.get(node) is one or node is one.node
        for one in _reached(source, function)
        for node in told
    )


def _reached(source: Source, function: Function) -> set[Function]:
    found: set[Function] = {function}
    open_ones = [function]
    while open_ones:
        for node in source.nodes(open_ones.pop()):
            sub = source.sub_flow(node)
            if sub is not None and sub not in found:
                found.add(sub)
                open_ones.append(sub)
    return found


def _way_back(source: Source, function: Function) -> ast.AST | None:
    """Return the call in a function through which it begins anew."""
    for node in source.nodes(function):
        sub = source.sub_flow(node)
        if sub is not None and (sub is function or function in _reached(source, sub)):
            return node
    return None


def unreachable(source: Source) -> Iterator[Finding]:
    """Statements behind one that never goes on; what waits for a transfer to succeed."""
    control = Control(source, silent=False)
    for function in source.functions:
        if not function.call:
            continue
        for body in _blocks(source, function):
            for before, after in itertools.pairwise(body):
                if "fall" not in control.block([before], {}) and not _is_bare_jump(after):
                    yield source.found(
                        after, "unreachable", f"never runs: line {before.lineno} does not come back"
                    )
                    break
        yield from _after_success(source, function)


def _is_bare_jump(node: ast.stmt) -> bool:
    """Tell whether a statement only says that nothing follows: ``return`` behind ``hangup`` is good style."""
    match node:
        case ast.Return(value=None | ast.Constant(value=None)) | ast.Break() | ast.Continue() | ast.Pass():
            return True
        case _:
            return False


def _blocks(source: Source, function: Function) -> Iterator[list[ast.stmt]]:
    for node in (function.node, *source.nodes(function)):
        own = node is function.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda) and not own:
            continue
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                yield body


def _after_success(source: Source, function: Function) -> Iterator[Finding]:
    """``if handed.accepted:`` with verbs in it: the call has ended by then."""
    transfers = {
        parent.targets[0].id
        for use in source.uses
        if use.function is function and use.name == "transfer" and source.awaited(use.node)
        for parent in (source.parent[source.parent[use.node]],)
        if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name)
    }
    for node in source.nodes(function):
        match node:
            case ast.If(test=ast.Attribute(value=ast.Name(id=name), attr="accepted")) if name in transfers:
                first = node.body[0]
                if any(one in source.use_of for statement in node.body for one in ast.walk(statement)):
                    yield source.found(
                        first,
                        "unreachable",
                        "never runs: a transfer that is accepted ends the call here",
                        "test for not accepted",
                    )
            case _:
                pass


RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (endless_loops, unreachable)
