"""PURE. Rules about questions: options that collide, answers that nothing handles."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.rules_verbs import did_you_mean
from voiceagent.ivr.check.source import Source, VerbUse
from voiceagent.ivr.check.verb_table import QUESTIONS
from voiceagent.ivr.matching import words

_OUT = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_OF_NONE = ("TypeError", "AttributeError", "KeyError", "LookupError", "Exception", "BaseException")
"""What using None may raise, and what is above that."""
_EITHER = ("True", "False")


# ── options ─────────────────────────────────────────────────────────────────────────────────────
def colliding_options(source: Source) -> Iterator[Finding]:
    """Options of one question with the same key or the same phrase."""
    for use in source.uses:
        if use.name != "choose" or use.verb is None:
            continue
        keys: dict[str, str] = {}
        phrases: dict[str, str] = {}
        for keyword in use.node.keywords:
            name = keyword.arg
            if name is None or name in use.verb.named:
                continue
            key, said = _option(source, keyword.value)
            if key and key in keys:
                yield source.found(
                    keyword, "duplicate-key", f"key {key} of {name!r} is taken by {keys[key]!r}"
                )
            keys.setdefault(key, name)
            for phrase in (name.replace("_", " "), *said):
                plain = " ".join(words(phrase))
                if phrases.get(plain, name) != name:
                    yield source.found(
                        keyword,
                        "ambiguous-phrases",
                        f"{phrase!r} means both {phrases[plain]!r} and {name!r}: neither is ever understood",
                    )
                phrases.setdefault(plain, name)


def _option(source: Source, value: ast.expr) -> tuple[str, list[str]]:
    """Return key and further phrases of an option, as far as they are constants."""
    if isinstance(value, ast.Call):
        if not source.declares(value, "option"):
            return "", []
        told = [source.text(one) for one in value.args]
        named = next((source.text(one.value)[0] for one in value.keywords if one.arg == "key"), "")
        key = told[0][0] if told else named
        return key, [text for text, whole in told[1:] if whole]
    return source.text(value)[0], []


# ── answers ─────────────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class _Handling:
    """What the code does with one answer."""

    handled: set[str] = field(default_factory=set[str])
    """Names that a branch is for."""
    none: bool = False
    """None is handled, or everything else is."""
    default: bool = False
    used: ast.AST | None = None
    """Where it is used as if it were never None."""
    used_at_all: bool = False
    matched: ast.AST | None = None
    """The first branching over it."""
    grouped: bool = False
    """Several names were asked for at once: ``in ("hours", "person")``, which may well mean "any answer"."""
    strange: list[tuple[str, ast.AST]] = field(default_factory=list[tuple[str, ast.AST]])


def unhandled_answers(source: Source) -> Iterator[Finding]:
    """Answers of choose, confirm and collect that no branch handles, None before all."""
    for use in source.uses:
        if use.name not in QUESTIONS or use.verb is None or not source.awaited(use.node):
            continue
        handling = _handling(source, use)
        if handling is not None:
            yield from _judged(source, use, handling, _names(use))


def _names(use: VerbUse) -> tuple[str, ...] | None:
    """Return the names of the possible answers; None where they are not to be seen."""
    if use.name == "confirm":
        return _EITHER
    if use.name != "choose" or use.verb is None or any(one.arg is None for one in use.node.keywords):
        return None
    return tuple(one.arg for one in use.node.keywords if one.arg and one.arg not in use.verb.named)


def _judged(
    source: Source, use: VerbUse, handling: _Handling, names: tuple[str, ...] | None
) -> Iterator[Finding]:
    if names and use.name == "choose":
        for name, at in handling.strange:
            if name not in names:
                remedy = did_you_mean(name, names)
                yield source.found(at, "unreachable", f"{name!r} is no option of this question", remedy)
    if handling.default:
        return
    left = [name for name in names or () if name not in handling.handled]
    branches = isinstance(handling.matched, ast.Match)
    if branches and use.name == "choose":
        for name in left:
            at = next((one for one in use.node.keywords if one.arg == name), use.node)
            yield source.found(at, "unhandled-option", f"no branch handles the option {name!r}")
    if handling.none:
        return
    what = f"{use.name} returns None when the caller gave no answer"
    if handling.used is not None and _caught(source, handling.used):
        return
    if handling.used is not None:
        yield source.found(
            handling.used, "missing-no-input", f"{what}, and this uses it unseen", "test for None before"
        )
    elif not handling.used_at_all:
        yield source.found(use.node, "missing-no-input", f"the answer of {use.name} is ignored")
    elif handling.matched is not None and (branches or (names and not left and not handling.grouped)):
        remedy = "add case None or case _" if branches else "add else, or test for None"
        yield source.found(
            handling.matched, "missing-no-input", f"{what}, and no branch handles that", remedy
        )


def _caught(source: Source, node: ast.AST) -> bool:
    """Tell whether what None would raise here is caught: that is a way to handle it, too."""
    below, above = node, source.parent.get(node)
    while above is not None and not isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef):
        caught: list[ast.expr | None] = []
        if isinstance(above, ast.Try | ast.TryStar) and below in above.body:
            caught = [one.type for one in above.handlers]
        elif isinstance(above, ast.With) and below in above.body:
            caught = [
                kind
                for one in above.items
                if isinstance(one.context_expr, ast.Call)
                and source.dotted(one.context_expr.func) == "contextlib.suppress"
                for kind in one.context_expr.args
            ]
        for kind in caught:
            kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
            if any(one is None or source.dotted(one) in _OF_NONE for one in kinds):
                return True
        below, above = above, source.parent.get(above)
    return False


def _handling(source: Source, use: VerbUse) -> _Handling | None:
    """Return what becomes of the answer; None where that cannot be seen."""
    answer = source.parent[use.node]
    parent = source.parent[answer]
    handling = _Handling()
    if isinstance(parent, ast.Expr):
        return handling
    if isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        target = parent.targets[0] if isinstance(parent, ast.Assign) else parent.target
        if not isinstance(target, ast.Name):
            return None
        if isinstance(parent, ast.NamedExpr):
            _use(source, parent, handling, use)
        for node in source.reads(use.function, target.id):
            _use(source, node, handling, use)
        return handling
    _use(source, answer, handling, use)
    return handling


def _use(source: Source, node: ast.AST, handling: _Handling, use: VerbUse) -> None:
    handling.used_at_all = True
    parent = source.parent[node]
    if isinstance(parent, ast.keyword):
        parent = source.parent[parent]
    match parent:
        case ast.Match() if parent.subject is node:
            _cases(parent, handling)
        case ast.Compare():
            _compared(source, node, parent, handling)
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert() if parent.test is node:
            handling.none = True
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            handling.none = True
        case ast.Call():
            other = source.use_of.get(parent)
            if other is None and source.dotted(parent.func) not in ("int", "float", "len"):
                handling.default = True
            elif other is None or other.name != "step":
                handling.used = handling.used or parent
        case ast.FormattedValue() if _spoken(source, parent):
            handling.used = handling.used or node
        case ast.Attribute() | ast.BinOp():
            handling.used = handling.used or node
        case ast.Subscript() if parent.slice is node:
            table = source.texts.get(parent.value.id) if isinstance(parent.value, ast.Name) else parent.value
            if not isinstance(table, ast.Dict) or None in table.keys:  # not to be seen
                handling.default = True
            elif any(isinstance(key, ast.Constant) and key.value is None for key in table.keys):
                handling.none = True
            else:
                handling.used = handling.used or parent
        case ast.Subscript():
            handling.used = handling.used or node
        case ast.NamedExpr():
            pass
        case ast.FormattedValue():
            pass
        case _:  # returned, kept, handed on: somebody else's business
            handling.default = True


def _spoken(source: Source, node: ast.AST) -> bool:
    """Tell whether a text is an argument of a speaking verb (a name of a step or a log line may say None)."""
    above: ast.AST | None = source.parent.get(node)
    while above is not None and not isinstance(above, ast.stmt):
        use = source.use_of.get(above)
        if use is not None:
            return use.name != "step"
        if isinstance(above, ast.Call):
            return False
        above = source.parent.get(above)
    return False


def _cases(match: ast.Match, handling: _Handling) -> None:
    handling.matched = handling.matched or match
    for case in match.cases:
        for pattern in _alternatives(case.pattern):
            match pattern:
                case ast.MatchValue(value=ast.Constant(value=str() as name)):
                    handling.handled.add(name)
                    handling.strange.append((name, pattern))
                case ast.MatchSingleton(value=None):
                    handling.none = True
                case ast.MatchSingleton(value=value):
                    handling.handled.add(str(value))
                case _:
                    handling.default = handling.default or case.guard is None


def _alternatives(pattern: ast.pattern) -> Iterator[ast.pattern]:
    if isinstance(pattern, ast.MatchOr):
        for one in pattern.patterns:
            yield from _alternatives(one)
    elif isinstance(pattern, ast.MatchAs) and pattern.pattern is not None:
        yield from _alternatives(pattern.pattern)
    else:
        yield pattern


def _compared(source: Source, node: ast.AST, compare: ast.Compare, handling: _Handling) -> None:
    values: list[object] = []
    for other in (compare.left, *compare.comparators):
        if other is node or isinstance(other, ast.NamedExpr):
            continue
        items = other.elts if isinstance(other, ast.Tuple | ast.List | ast.Set) else [other]
        for item in items:
            if not isinstance(item, ast.Constant):
                handling.default = True  # compared with something that we cannot see
                return
            values.append(item.value)
            if isinstance(item.value, str):
                handling.strange.append((item.value, item))
    if None in values or not isinstance(compare.ops[0], ast.Eq | ast.In | ast.Is):
        handling.none = True
        return
    handling.handled |= {str(value) for value in values}
    handling.grouped = handling.grouped or len(values) > 1
    test = source.parent[compare]
    if not isinstance(test, ast.If | ast.While):
        handling.none = True
        return
    handling.matched = handling.matched or test
    above = source.parent[test]
    is_elif = isinstance(above, ast.If) and above.orelse == [test]
    if isinstance(test, ast.While) or (not is_elif and _has_rest(test)):
        handling.default = True


def _has_rest(test: ast.If) -> bool:
    """Tell whether an if leaves a way for all other answers: an else, or code that only they reach."""
    last = test
    leaves = True
    while True:
        leaves = leaves and isinstance(last.body[-1], _OUT)
        if not last.orelse:
            return leaves
        if len(last.orelse) == 1 and isinstance(last.orelse[0], ast.If):
            last = last.orelse[0]
            continue
        return True


RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (colliding_options, unhandled_answers)
