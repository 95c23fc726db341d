"""Which function tool do the words ask for, and with what arguments? PURE.

A tool matches when the words name one of its ``enum`` values, all telling words of its name, or enough
words of its name and description. Arguments come, by JSON Schema type, from enum values, digits (typed or
spoken), ISO dates, yes and no, and quoted text. A required argument that was not heard is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from .brain_text import digits_in, listing, plain, words
from .items import text_of
from .ports import BrainTurn, CallTool, Say

MATCH = 2.0


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DULL = _set(
    """a an and are as at be by call caller for from function get give has have how i in is it its look me
    my of on or please should so tell that the their them then this to up use user want when which with
    you your customer current given return returns value id"""
)
_GENERIC = _set(
    """check connect create do fetch find forward hand handle list look lookup make open perform pull query
    read retrieve route run search send set show start submit switch transfer"""
)
"""Verbs of tool names that callers do not say: "billing" is enough for ``route_billing``."""
_DIGITS_WANTED = re.compile(
    r"number|digits?|code|pin|phone|account|zip|postcode|order|ticket|reference|(?:^|_)id$"
)
_WHOLE_TEXT = re.compile(r"text|query|question|message|reason|summary|request|utterance|topic|comment|note")
_YES = frozenset({"yes", "yeah", "yep", "sure", "correct", "right", "okay", "ok", "true"})
_NO = frozenset({"no", "nope", "not", "wrong", "false", "never"})


def choose_tool(turn: BrainTurn, line: str, *, forced: bool = False) -> Say | CallTool | None:
    """Return the call of the tool which the words ask for, a question for what is missing, or None.

    With ``forced`` only a ``tool_choice`` of ``required`` or a named function is looked at.
    """
    tools = [tool for tool in turn.tools if tool.get("type", "function") == "function"]
    choice = turn.tool_choice
    if not tools or choice == "none":
        return None
    heard = _heard(turn)
    if isinstance(choice, Mapping):
        name = cast("Mapping[str, Any]", choice).get("name")
        named = [tool for tool in tools if tool["name"] == name]
        return _call(named[0], line, heard) if named else None
    if choice == "required":
        return _call(max(tools, key=lambda tool: score(tool, f"{line} {heard}")), line, heard)
    if forced or _just_answered(turn):
        return None
    said = line or heard
    best = max(tools, key=lambda tool: score(tool, said))
    return _call(best, line, heard) if score(best, said) >= MATCH else None


def _heard(turn: BrainTurn) -> str:
    """Return the caller's last words."""
    for item in reversed(turn.items):
        if item["type"] == "message" and item.get("role") == "user":
            return text_of(item)
    return ""


def _just_answered(turn: BrainTurn) -> bool:
    """A tool's result is the newest item: calling again would go round in circles."""
    return bool(turn.items) and turn.items[-1]["type"] == "function_call_output"


def score(tool: Mapping[str, Any], text: str) -> float:
    """Return how well the words of ``text`` ask for this tool; ``MATCH`` and more is a match."""
    said = {_stem(word) for word in words(text)} - _DULL
    if not said:
        return 0.0
    name = {_stem(word) for word in plain(str(tool["name"])).split()} - _DULL
    about = {_stem(word) for word in words(str(tool.get("description", "")))} - _DULL - name
    total = 1.0 * len(name & said) + 0.5 * min(len(about & said), 4)
    telling = name - _GENERIC or name
    if telling and telling <= said:
        total += MATCH
    for schema in _properties(tool).values():
        if _enum_value(schema, text) is not None:
            total += MATCH
    return total


def _call(tool: Mapping[str, Any], line: str, heard: str) -> Say | CallTool:
    """Fill the arguments; ask for the required ones that are missing."""
    properties = _properties(tool)
    parameters: Mapping[str, Any] = tool.get("parameters") or {}
    required = [str(name) for name in parameters.get("required", ())]
    arguments: dict[str, Any] = {}
    for name, schema in properties.items():
        value = _argument(name, schema, line, heard)
        if value is not None:
            arguments[name] = value
        elif name not in required:
            continue
    missing = [plain(name) for name in required if name not in arguments]
    if missing:
        return Say(f"Please tell me the {listing(missing, 'and')}.")
    return CallTool(str(tool["name"]), arguments)


def _argument(name: str, schema: Mapping[str, Any], line: str, heard: str) -> Any:
    """Find one argument in the instruction line, then in the caller's words."""
    if "const" in schema:
        return schema["const"]
    for text in (line, heard):
        value = _find(name, schema, text, is_line=text is line)
        if value is not None:
            return value
    return schema.get("default")


def _find(name: str, schema: Mapping[str, Any], text: str, *, is_line: bool) -> Any:
    if not text:
        return None
    if "enum" in schema:
        return _enum_value(schema, text)
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        kinds = [each for each in cast("list[Any]", kind) if each != "null"]
        kind = kinds[0] if kinds else "string"
    if kind == "string" and schema.get("format") == "date":
        days = re.findall(r"\b\d{4}-\d{2}-\d{2}\b", text)
        return days[0] if days else None
    match kind:
        case "integer" | "number":
            return _number(text, whole=kind == "integer")
        case "boolean":
            return _yes_or_no(text)
        case "string":
            return _string(name, schema, text, is_line=is_line)
        case _:
            return None


def _string(name: str, schema: Mapping[str, Any], text: str, *, is_line: bool) -> str | None:
    about = f"{name} {schema.get('description', '')}".lower()
    if _DIGITS_WANTED.search(name.lower()) or re.search(r"\bdigits?\b", about):
        runs = digits_in(text)
        fitting = [run for run in runs if _fits(schema, run)]
        return fitting[0] if fitting else None
    quotes = re.findall(r'["“«]([^"”»]+)["”»]', text)
    if quotes:
        return quotes[0]
    if match := re.search(
        rf"\b{re.escape(plain(name))}\b(?: is| of|:|=)?\s+([\w.@+-]+)", text, re.IGNORECASE
    ):
        return match[1].rstrip(".")
    if not is_line and _WHOLE_TEXT.search(name.lower()):
        return text
    return None


def _fits(schema: Mapping[str, Any], run: str) -> bool:
    if len(run) < int(schema.get("minLength", 1)) or len(run) > int(schema.get("maxLength", 64)):
        return False
    pattern = schema.get("pattern")
    try:
        return not isinstance(pattern, str) or re.search(pattern, run) is not None
    except re.error:
        return True


def _number(text: str, *, whole: bool) -> int | float | None:
    if match := re.search(r"-?\d+(?:\.\d+)?", text):
        value = float(match[0])
        return int(value) if whole or value == int(value) else value
    runs = digits_in(text)
    if not runs:
        small = [word for word in words(text) if word == "one"]
        return 1 if small else None
    return int(runs[0])


def _yes_or_no(text: str) -> bool | None:
    said = set(words(text))
    if said & _NO:
        return False
    return True if said & _YES else None


def _enum_value(schema: Mapping[str, Any], text: str) -> Any:
    """Return the enum value whose words all occur in the text, the longest first."""
    said = {_stem(word) for word in words(text.replace("_", " "))}
    values: list[Any] = list(schema.get("enum", ()))
    for value in sorted(values, key=lambda each: len(str(each)), reverse=True):
        wanted = {_stem(word) for word in plain(str(value)).split()}
        if wanted and wanted <= said:
            return value
    return None


def _properties(tool: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    parameters: Any = tool.get("parameters")
    if not isinstance(parameters, Mapping):
        return {}
    properties: Any = cast("Mapping[str, Any]", parameters).get("properties")
    if not isinstance(properties, Mapping):
        return {}
    found = cast("Mapping[str, Any]", properties)
    kinds: Mapping[str, Any] = cast("Mapping[str, Any]", parameters).get("$defs") or {}
    return {
        name: _resolved(cast("Mapping[str, Any]", schema), kinds)
        for name, schema in found.items()
        if isinstance(schema, Mapping)
    }


def _resolved(schema: Mapping[str, Any], kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a parameter's schema with its reference to a named type (an Enum of Python's) looked up."""
    named = kinds.get(str(schema.get("$ref", "")).rpartition("/")[2])
    return {**cast("Mapping[str, Any]", named), **schema} if isinstance(named, Mapping) else schema


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
