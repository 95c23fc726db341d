"""PURE. Rules about what is said: too long to sit through, not quoted, or a secret."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.source import Source, VerbUse, argument
from voiceagent.ivr.check.verb_table import PROMPTS, UNINTERRUPTIBLE

LONGEST_UNINTERRUPTIBLE = 40
"""Words that a caller may be made to sit through: about a quarter of a minute."""
CALLER_TEXTS = frozenset({"caller", "called", "caller_name", "headers", "claims"})
"""Attributes of a call that the other side has written."""
_SECRET = "get_secret_value"


def long_uninterruptible(source: Source) -> Iterator[Finding]:
    """Long constant texts that the caller cannot interrupt."""
    for use in source.uses:
        if use.verb is None or use.name == "play":  # a recorded text may have to be heard whole, by law
            continue
        flag = argument(use.node, "interruptible")
        never = use.name in UNINTERRUPTIBLE
        if not never and not (isinstance(flag, ast.Constant) and flag.value is False):
            continue
        for value in _prompts(use):
            count = len(source.text(value)[0].split())
            if count > LONGEST_UNINTERRUPTIBLE:
                yield source.found(
                    value,
                    "long-uninterruptible",
                    f"{count} words that the caller cannot interrupt",
                    "shorten it, or say most of it before",
                )


def _prompts(use: VerbUse) -> Iterator[ast.expr]:
    if use.verb is None:
        return
    for name in PROMPTS.get(use.name, ()):
        value = argument(use.node, name, use.verb.place(name))
        if value is not None:
            yield value


def secret_spoken(source: Source) -> Iterator[Finding]:
    """Secrets whose value is put into words for the model."""
    holders = _assigned_from(source, _reveals)
    for use in source.uses:
        if use.name == "step" or use.name not in PROMPTS:
            continue
        for value in _words(use):
            for node in ast.walk(value):
                if _reveals(node) or (
                    isinstance(node, ast.Name) and node.id in holders.get(use.function, ())
                ):
                    yield source.found(
                        node,
                        "secret-spoken",
                        f"a secret's value reaches the model through {use.name}",
                        "pass it to a tool or to fetch instead",
                    )


def _reveals(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == _SECRET


def _words(use: VerbUse) -> Iterator[ast.expr]:
    """Everything that a verb is given."""
    yield from use.node.args
    yield from (one.value for one in use.node.keywords)


def _assigned_from(source: Source, holds: Callable[[ast.AST], bool]) -> dict[object, set[str]]:
    """Return, by function, the names that are assigned from an expression in which ``holds`` is true."""
    found: dict[object, set[str]] = {}
    for node, owner in source.owner.items():
        if isinstance(node, ast.Assign) and any(holds(one) for one in ast.walk(node.value)):
            names = {
                one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)
            }
            found.setdefault(owner, set()).update(names)
    return found


def raw_caller_text(source: Source) -> Iterator[Finding]:
    """The caller's words put into instructions in a way that does not quote them."""
    for use in source.uses:
        if use.name not in PROMPTS:
            continue
        for value in _prompts(use):
            for node in ast.walk(value):
                if isinstance(node, ast.Attribute) and node.attr == "raw":
                    yield source.found(
                        node, "raw-caller-text", f".raw in {use.name} is not quoted", "leave .raw out"
                    )
                elif _joins(node) and any(_is_caller_text(source, use, one) for one in ast.walk(node)):
                    yield source.found(
                        node,
                        "raw-caller-text",
                        f"join does not quote the caller's text in {use.name}",
                        'use an f-string: f"… {text}"',
                    )


def _joins(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join"


def _is_caller_text(source: Source, use: VerbUse, node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in CALLER_TEXTS
        and source.is_call(node.value, use.function)
    )


RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (
    long_uninterruptible,
    secret_spoken,
    raw_caller_text,
)
