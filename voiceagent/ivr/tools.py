"""From an ``async def`` to a tool that the model may call: the schema comes from the signature."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, overload

from voiceagent.errors import ConfigError
from voiceagent.ivr.arguments import typed
from voiceagent.ivr.ports import Tool, ToolContext, ToolFunction

TIMEOUT_S = 8.0
WORKING_AFTER_S = 3.0
LONGEST_S = 300.0
"""No tool may take longer than this: a caller waits."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@overload
def tool(function: ToolFunction, /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    timeout_s: float = TIMEOUT_S,
    working: str = "",
    working_after_s: float = WORKING_AFTER_S,
    steps: Iterable[str] = (),
) -> Callable[[ToolFunction], Tool]: ...


def tool(
    function: ToolFunction | None = None,
    /,
    *,
    name: str | None = None,
    timeout_s: float = TIMEOUT_S,
    working: str = "",
    working_after_s: float = WORKING_AFTER_S,
    steps: Iterable[str] = (),
) -> Tool | Callable[[ToolFunction], Tool]:
    """Make a :class:`Tool` of an ``async def`` with annotated parameters; its docstring is the description.

    Use as ``@tool`` or ``@tool(timeout_s=3, working="Still looking that up.")``. ``working`` is said while it
    runs longer than ``working_after_s``. With ``steps`` the model may call it only while the flow is in one
    of these steps (:meth:`voiceagent.ivr.Call.step`). A parameter annotated with ``Call`` or ``ToolContext``
    is filled in by us; the model does not know of it.

    Raises :class:`~voiceagent.errors.ConfigError` for a function that is not a coroutine function or whose
    parameters no JSON object can fill.
    """

    def make(inner: ToolFunction) -> Tool:
        return _make(inner, name, timeout_s, working, working_after_s, steps)

    return make if function is None else make(function)


def _make(
    function: ToolFunction,
    name: str | None,
    timeout_s: float,
    working: str,
    working_after_s: float,
    steps: Iterable[str],
) -> Tool:
    from voiceagent.ivr.verbs import Call  # the verbs take tools

    label = name or getattr(function, "__name__", "tool")
    if not inspect.iscoroutinefunction(function):
        raise ConfigError(f"tool {label}", "must be an async function")
    if not _NAME.fullmatch(label):
        raise ConfigError(f"tool {label}", "its name must be 1 to 64 of a-z, A-Z, 0-9, _ and -")
    for field, value in (("timeout_s", timeout_s), ("working_after_s", working_after_s)):
        if not 0 < value <= LONGEST_S:
            raise ConfigError(f"tool {label}", f"{field} must be above 0, at most {LONGEST_S:.0f}")
    if isinstance(steps, str):
        raise ConfigError(f"tool {label}", "steps must be several names, not one text")
    parameters = _parameters(label, function)
    ours = {one.name: one.annotation for one in parameters if one.annotation in (Call, ToolContext)}
    schema, read = typed(label, [one for one in parameters if one.name not in ours])
    return Tool(
        name=label,
        description=inspect.getdoc(function) or label.replace("_", " "),
        parameters=schema,
        function=function,
        timeout_s=timeout_s,
        read=read,
        takes_call=_named(ours, Call),
        takes_context=_named(ours, ToolContext),
        working=working,
        working_after_s=working_after_s,
        steps=tuple(steps),
    )


def _parameters(label: str, function: ToolFunction) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function, eval_str=True).parameters.values())
    except (NameError, SyntaxError) as error:
        raise ConfigError(f"tool {label}", f"an annotation cannot be read: {error}") from error


def _named(ours: dict[str, Any], kind: type) -> str:
    return next((name for name, annotation in ours.items() if annotation is kind), "")
