"""Runs the functions that the model calls; every call gets an output, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from voiceagent.ivr.ports import Tool


async def run_tool(tools: Sequence[Tool], name: str, arguments: str) -> tuple[str, bool]:
    """Run the tool ``name`` with its JSON ``arguments``; return the output text and whether it went well.

    Unknown tools, bad arguments, time-outs and exceptions become an ``{"error": …}`` output, so that the
    model can say so; no detail of an exception is given to the model.
    """
    chosen = next((one for one in tools if one.name == name), None)
    if chosen is None:
        return _failure(f"there is no tool named {name}"), False
    given = _arguments(arguments)
    if given is None:
        return _failure("the arguments are not a JSON object"), False
    missing = [key for key in chosen.parameters.get("required", ()) if key not in given]
    unknown = [key for key in given if key not in chosen.parameters.get("properties", {})]
    if missing or unknown:
        return _failure(f"missing: {missing}, unknown: {unknown}"), False
    try:
        async with asyncio.timeout(chosen.timeout_s):
            result = await chosen.function(**given)
        return output_text(result), True
    except TimeoutError:
        return _failure("the tool took too long"), False
    except Exception as error:
        return _failure(f"the tool failed ({type(error).__name__})"), False


def output_text(result: object) -> str:
    """Return a tool's result as the text that goes into ``function_call_output``."""
    if isinstance(result, str):
        return result
    if isinstance(result, BaseModel):
        return result.model_dump_json()
    return json.dumps(result, ensure_ascii=False, default=str)


def _arguments(text: str) -> Mapping[str, Any] | None:
    try:
        value: object = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]


def _failure(message: str) -> str:
    return json.dumps({"error": message})
