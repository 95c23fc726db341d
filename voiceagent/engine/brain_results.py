"""A tool's result as a spoken sentence. PURE."""

from __future__ import annotations

import json
from typing import Any, cast

from .brain_text import finish, listing, plain


def result_sentence(output: str) -> str:
    """Turn a tool's output (often JSON) into a spoken sentence."""
    try:
        value: Any = json.loads(output)
    except ValueError:
        return finish(output) or "That is done."
    return finish(_spoken(value)) or "That is done."


_FAILURES = {
    "timeout": "Sorry, that takes too long just now.",
    "invalid_arguments": "Sorry, I did not get all the details. Could you tell me again?",
    "tool_not_allowed": "Sorry, I cannot do that now.",
    "unknown_tool": "Sorry, I cannot do that.",
    "too_many": "Sorry, that was too much at once.",
    "failed": "Sorry, that did not work.",
}
"""What is said of a tool's typed error, by its code: the message is for a model."""
_SPEAKABLE = ("say", "speech", "message", "text", "answer", "result", "summary")


def _spoken(value: Any) -> str:
    match value:
        case dict():
            return _spoken_object(cast("dict[str, Any]", value))
        case list():
            members = [_spoken(member) for member in cast("list[Any]", value)]
            return listing([member for member in members if member], "and") or "nothing was found"
        case True:
            return "yes"
        case False:
            return "no"
        case None:
            return ""
        case _:
            return str(value)


def _spoken_object(value: dict[str, Any]) -> str:
    error = value.get("error")
    if isinstance(error, dict):
        told = _FAILURES.get(str(cast("dict[str, Any]", error).get("code")))
        if told is not None:
            return told
    if error:
        return f"Sorry, that did not work: {_spoken(error)}"
    for name in _SPEAKABLE:
        if isinstance(value.get(name), str):
            return value[name]
    facts = [f"{plain(name)} is {_spoken(member)}" for name, member in value.items() if member is not None]
    return f"the {listing(facts, 'and')}" if facts else ""
