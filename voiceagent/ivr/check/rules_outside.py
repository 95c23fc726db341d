"""PURE. Rules about what a flow does besides talking: functions that are missing, block, or run unwatched."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator

from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.rules_verbs import did_you_mean
from voiceagent.ivr.check.source import Function, Source, VerbUse, argument
from voiceagent.ivr.check.verb_table import OWN_WAITS, verbs

BLOCKING = frozenset(
    {
        "input",
        "open",
        "os.popen",
        "os.system",
        "socket.create_connection",
        "sqlite3.connect",
        "subprocess.Popen",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.run",
        "time.sleep",
        "urllib.request.urlopen",
    }
)
"""Functions that keep the whole service waiting."""
_HTTP = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request"})
_BLOCKING_CLIENTS = ("requests", "httpx")
_BUILTINS = frozenset(dir(builtins))


def missing_function(source: Source) -> Iterator[Finding]:
    """Tools, fetched functions and sub-flows whose name nothing binds; fetched ones that are not async."""
    if source.star:
        return
    for use in source.uses:
        for node in _handed_on(use):
            yield from _named(source, node, f"in {use.name}")
            yield from _made_right(source, use, node)
    for function in source.functions:
        if not function.call:
            continue
        for node in source.nodes(function):
            if (
                isinstance(node, ast.Call)
                and source.awaited(node)
                and any(source.is_call(one, function) for one in node.args)
            ):
                yield from _named(source, node.func, "as a sub-flow")


def _handed_on(use: VerbUse) -> Iterator[ast.expr]:
    """Functions that a verb is given: its tools, or what it fetches."""
    tools = argument(use.node, "tools")
    if isinstance(tools, ast.List | ast.Tuple | ast.Set):
        yield from tools.elts
    if use.name == "fetch":
        if (given := argument(use.node, "function")) is not None:
            yield given
        if use.node.args and isinstance(use.node.args[0], ast.Name | ast.Attribute):
            yield use.node.args[0]


def functions_handed_on(source: Source) -> Iterator[tuple[ast.expr, str]]:
    """Yield what verbs are given to run and comes from elsewhere (``shop.balance``), with the verb's name."""
    for use in source.uses:
        for node in _handed_on(use):
            path = source.path(node)
            if path and path[0] in source.imports:
                yield node, use.name


def _named(source: Source, node: ast.AST, where: str) -> Iterator[Finding]:
    if isinstance(node, ast.Name) and node.id not in source.bound and node.id not in _BUILTINS:
        yield source.found(
            node,
            "missing-function",
            f"{node.id!r} {where} is defined nowhere",
            did_you_mean(node.id, source.by_name),
        )


def _made_right(source: Source, use: VerbUse, node: ast.AST) -> Iterator[Finding]:
    """Fetched functions are async, and tools are tools."""
    function = source.by_name.get(node.id) if isinstance(node, ast.Name) else None
    if function is None or not isinstance(node, ast.Name):
        return
    if use.name == "fetch" and not function.is_async:
        yield source.found(
            node, "not-async", f"the fetched function {node.id} is not async", f"write async def {node.id}"
        )
    elif use.name != "fetch" and function.kind != "tool" and not function.node.decorator_list:
        yield source.found(
            node, "missing-function", f"{node.id!r} in {use.name} is no tool", f"put @tool above {node.id}"
        )


def blocking_call(source: Source) -> Iterator[Finding]:
    """Calls that block, in any coroutine of the file, or in a function that one of them calls."""
    reached = _called_on_the_loop(source)
    for node, owner in source.owner.items():
        if not isinstance(node, ast.Call) or owner not in reached or _in_lambda(source, node):
            continue
        name = source.dotted(node.func)
        client, _, method = name.partition(".")
        if name in BLOCKING or (client in _BLOCKING_CLIENTS and method in _HTTP):
            if name.partition(".")[0] in source.by_name:
                continue
            remedy = "use await asyncio.sleep" if name == "time.sleep" else "use await asyncio.to_thread(…)"
            yield source.found(
                node, "blocking-call", f"{name} blocks: every other call waits for it, too", remedy
            )


def _called_on_the_loop(source: Source) -> set[Function]:
    """Return the coroutines, and what they call by name themselves: not what they hand on to a thread."""
    reached = {one for one in source.functions if one.is_async}
    open_ones = list(reached)
    while open_ones:
        for node in source.nodes(open_ones.pop()):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            called = source.called(node)
            if called is None or called in reached or called.name in source.imports:
                continue
            is_method = isinstance(source.parent.get(called.node), ast.ClassDef)
            if not is_method and not called.node.decorator_list and not _in_lambda(source, node):
                reached.add(called)
                open_ones.append(called)
    return reached


def _in_lambda(source: Source, node: ast.AST) -> bool:
    """Tell whether an expression runs only when somebody calls a lambda, and who knows where."""
    above: ast.AST | None = source.parent.get(node)
    while above is not None and not isinstance(above, ast.stmt):
        if isinstance(above, ast.Lambda):
            return True
        above = source.parent.get(above)
    return False


def outside_await(source: Source) -> Iterator[Finding]:
    """Flows that wait for something that is neither a verb, a sub-flow nor asyncio's."""
    if "fetch" not in verbs():
        return
    for function in source.functions:
        if not function.call:
            continue
        for node in source.nodes(function):
            if not (isinstance(node, ast.Await) and isinstance(node.value, ast.Call)):
                continue
            called = node.value
            if any(source.is_call(one, function) for one in (*called.args, *_values(called))):
                continue  # a sub-flow, here or in another file
            root = called.func
            while isinstance(root, ast.Attribute | ast.Call):
                root = root.value if isinstance(root, ast.Attribute) else root.func
            if source.is_call(root, function) or not isinstance(root, ast.Name):
                continue
            name = source.dotted(called.func) or source.dotted(root)
            own = source.by_name.get(name)
            if _is_own(source.dotted(root)) or (root.id not in source.imports and own is None):
                continue
            if own is not None and (own.call or not _waits(source, own.name, set())):
                continue
            yield source.found(
                node,
                "outside-await",
                f"{name} runs outside of the call's sight",
                f"await call.fetch({own.name if own else name}, …)",
            )


def _is_own(name: str) -> bool:
    return name.partition(".")[0] in OWN_WAITS


def _values(node: ast.Call) -> Iterator[ast.expr]:
    return (one.value for one in node.keywords)


def _waits(source: Source, name: str, seen: set[str]) -> bool:
    """Tell whether a coroutine of this file waits for anything but asyncio."""
    function = source.by_name.get(name)
    if function is None or name in seen:
        return function is None
    seen.add(name)
    for node in source.nodes(function):
        if isinstance(node, ast.AsyncWith | ast.AsyncFor):
            return True
        if isinstance(node, ast.Await):
            waited = source.dotted(node.value.func) if isinstance(node.value, ast.Call) else ""
            if not _is_own(waited) and _waits(source, waited, seen):
                return True
    return False


RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (missing_function, blocking_call, outside_await)
