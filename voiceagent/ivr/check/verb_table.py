"""PURE. What the call offers to a flow, read from the class itself, so that no verb can be forgotten here."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from voiceagent.ivr.verbs import Call

QUESTIONS = frozenset({"choose", "confirm", "collect"})
"""Verbs that return None when the caller gave no answer."""
LEAVING = frozenset({"transfer", "queue"})
"""Verbs that end the call, or return when they failed."""
ENDING = frozenset({"hangup"})
"""Verbs that never return."""
OWN_WAITS = frozenset({"asyncio", "contextlib", "anyio"})
"""Modules whose waits are the flow's own business, and end no call."""
PROMPTS: Mapping[str, tuple[str, ...]] = {
    "respond": ("guidance",),
    "say": ("text",),
    "play": ("text",),
    "note": ("text",),
    "choose": ("prompt",),
    "confirm": ("prompt",),
    "collect": ("prompt",),
    "converse": ("guidance", "instructions", "prompt"),
    "hangup": ("goodbye",),
    "transfer": ("announce", "whisper"),
    "queue": ("whisper",),
    "record": ("announce",),
}
"""Which arguments of a verb reach the model or the caller as words."""
UNINTERRUPTIBLE = frozenset({"hangup", "transfer", "record"})
"""Verbs whose words the caller cannot interrupt, whatever their arguments."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One method of the call."""

    name: str
    is_async: bool
    signature: inspect.Signature

    @property
    def takes_any_keyword(self) -> bool:
        """True for verbs whose options come as keywords."""
        return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in self.signature.parameters.values())

    @property
    def positional(self) -> tuple[str, ...]:
        """Parameters that need no name, in order."""
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return tuple(name for name, one in self.signature.parameters.items() if one.kind in kinds)

    def place(self, name: str) -> int | None:
        """Return where a parameter stands when it is given without its name; None where it cannot be."""
        return self.positional.index(name) if name in self.positional else None

    @property
    def named(self) -> tuple[str, ...]:
        """Parameters that have a name, in order."""
        wild = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return tuple(name for name, one in self.signature.parameters.items() if one.kind not in wild)


@cache
def verbs() -> Mapping[str, Verb]:
    """Return the call's methods by name."""
    found: dict[str, Verb] = {}
    for name in dir(Call):
        method = inspect.getattr_static(Call, name)
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        signature = inspect.signature(method)
        own = list(signature.parameters.values())[1:]
        found[name] = Verb(name, inspect.iscoroutinefunction(method), signature.replace(parameters=own))
    return found


@cache
def attributes() -> frozenset[str]:
    """Return every public name of a call: verbs, properties, and what its constructor sets."""
    names = {name for name in dir(Call) if not name.startswith("_")}
    for base in Call.__mro__:
        constructor = vars(base).get("__init__")
        if not inspect.isfunction(constructor):
            continue
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(constructor)))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    return frozenset(name for name in names if not name.startswith("_"))
