"""PURE. Rules about single calls: awaited or not, known or not, arguments that fit."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator

from voiceagent.errors import ConfigError
from voiceagent.ivr.answers import KEYS, Digits
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.source import Function, Source, VerbUse, argument
from voiceagent.ivr.check.verb_table import PROMPTS, Verb, attributes, verbs
from voiceagent.ivr.verbs.asking import MOST_ATTEMPTS

_TESTS = (ast.If, ast.While, ast.IfExp, ast.Match, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp)
_USES = (*_TESTS, ast.Attribute, ast.FormattedValue, ast.Subscript, ast.Assert, ast.Expr)
_MANY = (ast.List, ast.Tuple, ast.Set, ast.ListComp, ast.SetComp, ast.GeneratorExp)
_PLAIN: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
_SECONDS = "_s"


def not_async(source: Source) -> Iterator[Finding]:
    """Flows and tools that are plain functions."""
    for function in source.functions:
        if function.kind in ("flow", "tool") and not function.is_async:
            yield source.found(
                function.node,
                "not-async",
                f"the {function.kind} {function.name} is not async",
                f"write async def {function.name}",
            )


def missing_await(source: Source) -> Iterator[Finding]:
    """Verbs and sub-flows whose coroutine nobody awaits, and awaits of what is no coroutine."""
    for use in source.uses:
        if use.verb is None:
            continue
        if use.verb.is_async and not source.awaited(use.node):
            if _dropped(source, use.node):
                yield source.found(
                    use.node,
                    "missing-await",
                    f"{use.function.call}.{use.name}(…) is not awaited and does nothing",
                    "put await before it",
                )
        elif not use.verb.is_async and source.awaited(use.node):
            yield source.found(
                use.node, "needless-await", f"{use.function.call}.{use.name}(…) returns at once", "drop await"
            )
        elif not use.verb.is_async and _opened_async(source, use.node):
            yield source.found(
                use.node,
                "needless-await",
                f"{use.function.call}.{use.name}(…) is no async block",
                "drop async",
            )
    yield from _not_called(source)
    for function in source.functions:
        if function.kind != "sub-flow" or not function.is_async or _is_generator(source, function):
            continue
        for site in function.sites:
            if not source.awaited(site) and _dropped(source, site):
                yield source.found(
                    site,
                    "missing-await",
                    f"{function.name}(…) is not awaited and does nothing",
                    "put await before it",
                )


def _opened_async(source: Source, node: ast.AST) -> bool:
    item = source.parent.get(node)
    return isinstance(item, ast.withitem) and isinstance(source.parent.get(item), ast.AsyncWith)


def _not_called(source: Source) -> Iterator[Finding]:
    """Verbs that are named without brackets, where nothing but running them can be meant."""
    for function in source.functions:
        for node in source.nodes(function) if function.call else ():
            if not (isinstance(node, ast.Attribute) and source.is_call(node.value, function)):
                continue
            parent = source.parent[node]
            if node.attr in verbs() and isinstance(parent, ast.Await | ast.Expr):
                code = "needless-await" if isinstance(parent, ast.Await) else "missing-await"
                remedy = f"write {function.call}.{node.attr}(…)"
                yield source.found(node, code, f"{function.call}.{node.attr} is named, and not run", remedy)


def _is_generator(source: Source, function: Function) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in source.nodes(function))


def _dropped(source: Source, node: ast.expr) -> bool:
    """Tell whether a coroutine is used as if it were its result. One handed on may be awaited there."""
    parent = source.parent.get(node)
    if isinstance(parent, ast.IfExp) and node is not parent.test:
        return not source.awaited(parent) and _dropped(source, parent)
    if isinstance(parent, ast.BoolOp) and node is parent.values[-1]:
        return not source.awaited(parent) and _dropped(source, parent)
    if isinstance(parent, _MANY):
        return isinstance(source.parent.get(parent), ast.Expr)
    if isinstance(parent, ast.Call):
        owner = source.owner.get(parent)
        handed_to_verb = (
            isinstance(parent.func, ast.Attribute)
            and owner is not None
            and source.is_call(parent.func.value, owner)
        )
        return handed_to_verb or source.dotted(parent.func) in ("print", "str", "int", "float", "bool")
    if isinstance(parent, ast.keyword):
        return _dropped_keyword(source, parent)
    if isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        target = parent.targets[0] if isinstance(parent, ast.Assign) else parent.target
        return isinstance(target, ast.Name) and not _awaited_later(source, target)
    return isinstance(parent, _USES)


def _dropped_keyword(source: Source, keyword: ast.keyword) -> bool:
    call, owner = source.parent.get(keyword), source.owner.get(keyword)
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and owner is not None
        and source.is_call(call.func.value, owner)
    )


def _awaited_later(source: Source, target: ast.Name) -> bool:
    owner = source.owner.get(target)
    for node in source.nodes(owner) if owner is not None else ():
        if isinstance(node, ast.Name) and node.id == target.id and isinstance(node.ctx, ast.Load):
            parent = source.parent.get(node)
            if isinstance(parent, ast.Await | ast.Call | ast.Return | ast.List | ast.Tuple | ast.Starred):
                return True
    return False


def unknown_verb(source: Source) -> Iterator[Finding]:
    """Names that the call does not have, unless the file sets them itself."""
    known = attributes()
    mine = {
        node.attr
        for node in source.parent
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    }
    for function in source.functions:
        if not function.call:
            continue
        for node in source.nodes(function):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Load)
                and source.is_call(node.value, function)
                and not node.attr.startswith("_")
                and node.attr not in known
                and node.attr not in mine
            ):
                yield source.found(
                    node, "unknown-verb", f"a call has no {node.attr!r}", did_you_mean(node.attr, known)
                )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a remedy that names the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


# ── arguments ───────────────────────────────────────────────────────────────────────────────────
def bad_argument(source: Source) -> Iterator[Finding]:
    """Arguments that do not fit the verb's signature, or whose constant value cannot be."""
    for use in source.uses:
        if use.verb is not None:
            yield from _fits(source, use, use.verb)
            yield from _values(source, use, use.verb)
            if use.name == "collect":
                yield from _secret(source, use)
    for node in source.parent:
        if isinstance(node, ast.Call) and source.declares(node, "Digits"):
            yield from _digits(source, node)
        elif isinstance(node, ast.Call) and source.declares(node, "option"):
            yield from _key(source, argument(node, "key", 0), "an option")


def _fits(source: Source, use: VerbUse, verb: Verb) -> Iterator[Finding]:
    node = use.node
    if any(isinstance(one, ast.Starred) for one in node.args):
        return
    spread = any(one.arg is None for one in node.keywords)
    parameters = verb.signature.parameters
    positional = verb.positional
    many = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters.values())
    if len(node.args) > len(positional) and not many:
        at = node.args[len(positional)]
        yield source.found(at, "bad-argument", f"{use.name} takes {len(positional)} arguments without a name")
    given = {name for name, _ in zip(positional, node.args, strict=False)}
    for keyword in node.keywords:
        if keyword.arg is None:
            continue
        if keyword.arg in given:
            yield source.found(keyword, "bad-argument", f"{use.name} gets {keyword.arg!r} twice")
        elif keyword.arg not in verb.named and not verb.takes_any_keyword:
            remedy = did_you_mean(keyword.arg, verb.named)
            yield source.found(keyword, "bad-argument", f"{use.name} takes no {keyword.arg!r}", remedy)
        given.add(keyword.arg)
    for name in verb.named:
        if name not in given and parameters[name].default is inspect.Parameter.empty and not spread:
            yield source.found(node, "bad-argument", f"{use.name} needs {name!r}")
    if verb.name == "choose" and not spread and not given - set(verb.named):
        yield source.found(node, "bad-argument", "choose needs at least one option", 'billing="1"')


def _values(source: Source, use: VerbUse, verb: Verb) -> Iterator[Finding]:
    bound = dict(zip(verb.positional, use.node.args, strict=False))
    bound |= {one.arg: one.value for one in use.node.keywords if one.arg}
    for name, value in bound.items():
        parameter = verb.signature.parameters.get(name)
        if parameter is None or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            if verb.name == "choose":
                yield from _option(source, name, value, verb)
            continue
        if not isinstance(value, ast.Constant | ast.UnaryOp):
            continue
        given = _constant(value)
        why = _wrong_type(parameter, given) or _wrong_value(verb, name, given)
        if why:
            yield source.found(value, "bad-argument", f"{verb.name}: {name} {why}")


def _secret(source: Source, use: VerbUse) -> Iterator[Finding]:
    secret, confirm = argument(use.node, "secret"), argument(use.node, "confirm")
    if not (isinstance(secret, ast.Constant) and secret.value is True):
        return
    if argument(use.node, "digits") is None and all(one.arg is not None for one in use.node.keywords):
        yield source.found(secret, "bad-argument", "collect: a secret needs digits=: only keys are taken")
    if confirm is not None and not (isinstance(confirm, ast.Constant) and not confirm.value):
        yield source.found(confirm, "bad-argument", "collect: a secret cannot be read back")


def _constant(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def _wrong_type(parameter: inspect.Parameter, given: object) -> str:
    if not isinstance(parameter.annotation, str) or given is ...:
        return ""
    names = [one.strip() for one in parameter.annotation.split("|")]
    if given is None:
        return "" if "None" in names or any(name not in _PLAIN for name in names) else "cannot be None"
    if any(name not in _PLAIN and name != "None" for name in names):
        return ""
    if isinstance(given, bool) and "bool" not in names:
        return f"cannot be {given}"
    fits = any(isinstance(given, _PLAIN[name]) for name in names if name in _PLAIN)
    return "" if fits else f"must be {' or '.join(name for name in names if name != 'None')}, not {given!r}"


def _wrong_value(verb: Verb, name: str, given: object) -> str:
    if name in PROMPTS.get(verb.name, ()) and isinstance(given, str) and not given.strip():
        return "is empty"
    if isinstance(given, bool) or not isinstance(given, int | float):
        return ""
    if name == "attempts" and not 1 <= given <= MOST_ATTEMPTS:
        return f"must be 1 to {MOST_ATTEMPTS}"
    if name.endswith(_SECONDS) and given <= 0:
        return "must be above 0"
    return ""


def _option(source: Source, name: str, value: ast.expr, verb: Verb) -> Iterator[Finding]:
    if isinstance(value, ast.Constant) and not isinstance(value.value, str):
        yield source.found(
            value,
            "bad-argument",
            f"the option {name!r} must be a key in quotes or option(…), not {value.value!r}",
            did_you_mean(name, verb.named),
        )
    else:
        yield from _key(source, value, f"the option {name!r}")


def _key(source: Source, value: ast.expr | None, whose: str) -> Iterator[Finding]:
    key = value.value if isinstance(value, ast.Constant) else None
    if isinstance(key, str) and key and (len(key) != 1 or key not in KEYS) and value is not None:
        yield source.found(value, "bad-argument", f"{whose}: the key must be one of {KEYS}, not {key!r}")


def _digits(source: Source, node: ast.Call) -> Iterator[Finding]:
    least, most, end = (argument(node, name, n) for n, name in enumerate(("least", "most", "end")))
    given = [_constant(one) if one is not None else None for one in (least, most)]
    if isinstance(given[0], int) and (given[1] is None or isinstance(given[1], int)):
        try:
            Digits(given[0], given[1])
        except ConfigError as error:
            yield source.found(node, "bad-argument", str(error))
    key, whole = source.text(end)
    if whole and key and key in "0123456789":
        yield source.found(
            node,
            "ambiguous-digits",
            f"{key} ends the string of digits and can be one of them",
            'end="#"',
        )
    elif whole and key and (len(key) != 1 or key not in KEYS):
        yield source.found(node, "bad-argument", f"Digits: end must be one of {KEYS}, not {key!r}")


RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (
    not_async,
    missing_await,
    unknown_verb,
    bad_argument,
)
