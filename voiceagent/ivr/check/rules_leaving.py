"""PURE. Rules about transfers: whether the target is allowed, and what follows when it fails."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from voiceagent.errors import RequestRefused
from voiceagent.ivr.check.allowed import Queues, Targets, no_such_queue
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.source import Function, Source
from voiceagent.ivr.check.source import argument as argument_of
from voiceagent.ivr.check.verb_table import LEAVING


def forbidden_targets(source: Source, targets: Targets) -> Iterator[Finding]:
    """Constant targets that the settings refuse, or that nobody could call."""
    for what, target in _targets(source):
        text, whole = source.text(target)
        if not whole or not text:
            continue
        try:
            targets.check(text)
        except RequestRefused as error:
            why = str(error).removeprefix(f"{error.field}: ")
            if error.code == "bad_target":
                yield source.found(target, "bad-argument", f"{what}: target {why}")
            else:
                remedy = "allow it in call.transfer_targets"
                yield source.found(target, "transfer-not-allowed", why, remedy)


def _targets(source: Source) -> Iterator[tuple[str, ast.expr]]:
    """Yield every target that a verb or a flow names, and what names it."""
    for use in source.uses:
        if use.verb is not None and "target" in use.verb.named:
            target = argument_of(use.node, "target", use.verb.place("target"))
            if target is not None:
                yield use.name, target
    for function in source.functions:
        decorator = source.decorator(function, "flow")
        if isinstance(decorator, ast.Call):
            target = argument_of(decorator, "fallback_target")
            if target is not None:
                yield "fallback_target", target


def unknown_queues(source: Source, queues: Queues) -> Iterator[Finding]:
    """Constant names of queues that the settings do not have."""
    for use in source.uses:
        if use.name != "queue" or use.verb is None:
            continue
        given = argument_of(use.node, "name", use.verb.place("name"))
        name, whole = source.text(given)
        missing = no_such_queue(name, queues) if whole else None
        if given is not None and missing is not None:
            yield source.found(given, "unknown-queue", *missing)


def no_fallback(source: Source) -> Iterator[Finding]:
    """Transfers after whose failure the caller hears nothing more."""
    for use in source.uses:
        if use.name not in LEAVING or not source.awaited(use.node):
            continue
        what = "nobody takes the caller out of the queue" if use.name == "queue" else "the transfer fails"
        answer = source.parent[use.node]
        parent = source.parent[answer]
        if isinstance(parent, ast.Expr | ast.Return):
            if not _followed(source, parent, use.function, set()):
                yield source.found(
                    use.node,
                    "transfer-no-fallback",
                    f"when {what}, the caller hears nothing more",
                    "say something and hang up after it",
                )
        elif isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            name = parent.targets[0].id
            tested = any(
                isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
                for node in source.nodes(use.function)
            )
            if not tested and not _followed(source, parent, use.function, set()):
                yield source.found(
                    use.node, "transfer-no-fallback", f"nothing looks at {name} to see whether it failed"
                )


def _followed(source: Source, statement: ast.stmt, function: Function, seen: set[Function]) -> bool:
    """Tell whether a statement that does something for the caller may run after this one."""
    node: ast.AST = statement
    if not isinstance(statement, ast.Return):
        while node is not function.node:
            above = source.parent[node]
            for name in ("body", "orelse", "handlers", "finalbody"):
                body: list[ast.AST] | ast.AST | None = getattr(above, name, None)
                if isinstance(body, list) and node in body:
                    rest = body[body.index(node) + 1 :]
                    if any(_does_something(source, function, one) for one in rest):
                        return True
                    if any(isinstance(one, ast.Return | ast.Raise) for one in rest):
                        return _callers(source, function, seen)
            if isinstance(above, ast.While | ast.For | ast.AsyncFor):
                return True
            if isinstance(above, ast.Try) and any(
                _does_something(source, function, one) for one in above.finalbody
            ):
                return True
            node = above
    return _callers(source, function, seen)


def _callers(source: Source, function: Function, seen: set[Function]) -> bool:
    if function.kind == "flow":
        return False
    if function in seen:
        return False
    seen.add(function)
    if not function.sites:
        return True  # somebody else's business: it is called from another file
    for site in function.sites:
        owner = source.owner.get(site)
        above: ast.AST = site
        while not isinstance(above, ast.stmt):
            if not isinstance(source.parent[above], ast.Await | ast.Expr | ast.Return):
                return True  # its result is looked at
            above = source.parent[above]
        if owner is None or _followed(source, above, owner, seen):
            return True
    return False


def _does_something(source: Source, function: Function, statement: ast.AST) -> bool:
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and source.awaited(node):
            if source.sub_flow(node) is not None:
                return True
            if isinstance(node.func, ast.Attribute) and source.is_call(node.func.value, function):
                return True
    return False
