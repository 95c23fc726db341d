"""From an ``async def`` to a tool that the model may call: the schema comes from the signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, overload

from pydantic import ConfigDict, Field, create_model

from voiceagent.errors import ConfigError
from voiceagent.ivr.ports import Tool, ToolFunction


@overload
def tool(function: ToolFunction, /) -> Tool: ...


@overload
def tool(*, name: str | None = None, timeout_s: float = 8.0) -> Callable[[ToolFunction], Tool]: ...


def tool(
    function: ToolFunction | None = None, /, *, name: str | None = None, timeout_s: float = 8.0
) -> Tool | Callable[[ToolFunction], Tool]:
    """Make a :class:`Tool` of an ``async def`` with annotated parameters; its docstring is the description.

    Use as ``@tool`` or ``@tool(timeout_s=3)``. Raises :class:`~voiceagent.errors.ConfigError` for a function
    that is not a coroutine function or has unannotated parameters.
    """
    if function is None:
        return lambda inner: _make(inner, name, timeout_s)
    return _make(function, name, timeout_s)


def _make(function: ToolFunction, name: str | None, timeout_s: float) -> Tool:
    label = name or getattr(function, "__name__", "tool")
    if not inspect.iscoroutinefunction(function):
        raise ConfigError(f"tool {label}", "must be an async function")
    return Tool(
        name=label,
        description=inspect.getdoc(function) or label.replace("_", " "),
        parameters=_schema(label, function),
        function=function,
        timeout_s=timeout_s,
    )


def _schema(label: str, function: ToolFunction) -> Mapping[str, Any]:
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.annotation is inspect.Parameter.empty:
            raise ConfigError(f"tool {label}", f"parameter {parameter.name} has no type annotation")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, Field(default=default))
    model = create_model(f"{label}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    schema = model.model_json_schema()
    schema.pop("title", None)
    for entry in schema.get("properties", {}).values():
        entry.pop("title", None)
    return schema
