"""Results of others' work (tools, fetched data) as inputs in the journal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from voiceagent.call.inputs import Inputs, error_data
from voiceagent.call.outside import Outside
from voiceagent.call.tool_runs import output_text

VALUE_LIMIT = 64 << 10
"""Characters of a result that are written down; a longer one cannot be replayed."""


def recorded_outside(outside: Outside, inputs: Inputs | None) -> Outside:
    """Return ``outside`` with every result, or error, written down under its key."""
    if inputs is None:
        return outside

    async def recording(key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any:
        try:
            value = await outside(key, work, kind=kind)
        except Exception as error:
            inputs.write("outside", key=key, error=error_data(error))
            raise
        inputs.write("outside", key=key, **value_data(key, value))
        return value

    return recording


def value_data(key: str, value: object) -> dict[str, Any]:
    """Return a result as plain values: ``value``, its class in ``as`` where it is not JSON by itself.

    A tool's result is only ever a text to the model, so that text is kept.
    """
    if key.startswith("tool:"):
        return _whole(output_text(value), {})
    if isinstance(value, BaseModel):
        return _whole(value.model_dump(mode="json"), {"as": _name(value)})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _whole(dataclasses.asdict(value), {"as": _name(value)})
    return _whole(value, {})


def _whole(value: object, about: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return {"unwritten": _name(value)}
    if len(text) > VALUE_LIMIT:
        return {"unwritten": f"{len(text)} characters"}
    plain = json.loads(text)
    return {"value": plain, **about} if plain == value or about else {"unwritten": _name(value)}


def _name(value: object) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"
