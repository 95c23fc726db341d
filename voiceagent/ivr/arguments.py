"""PURE. A tool's arguments, from the model's JSON to the values its function takes.

The text comes from a model that a caller talks to: it may be anything. So it is bounded in size, depth and
length before pydantic looks at it, and pydantic converts strictly: a number is no text, a text no number, and
nothing may stand there that the signature does not name.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from voiceagent.errors import ConfigError

ARGUMENTS_BYTES = 16_384
"""The longest JSON text of arguments."""
DEPTH = 12
"""How deep objects and lists may stand within each other."""
STRING_CHARS = 4096
MEMBERS = 1000
"""Values altogether, keys counted as well."""
FAULTS = 4
"""So many faults are told to the model at once."""
FAULT_CHARS = 160

Read = Callable[[str], Mapping[str, Any]]
"""From JSON text to values by parameter. Raises :class:`ArgumentsRefused`."""


class ArgumentsRefused(Exception):
    """The arguments are not what the tool takes; the message is fit to be told to the model."""


def parsed(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``, or raise ArgumentsRefused."""
    if len(text) > ARGUMENTS_BYTES or len(text.encode("utf-8", "surrogatepass")) > ARGUMENTS_BYTES:
        raise ArgumentsRefused(f"the arguments are longer than {ARGUMENTS_BYTES} bytes")
    try:
        value: Any = json.loads(text or "{}", parse_constant=_no_number, object_pairs_hook=_object)
    except ArgumentsRefused:
        raise
    except (ValueError, RecursionError):
        raise ArgumentsRefused("the arguments are not a JSON object") from None
    if not isinstance(value, dict):
        raise ArgumentsRefused("the arguments are not a JSON object")
    _measure(cast("dict[str, Any]", value))
    return cast("dict[str, Any]", value)


def _no_number(name: str) -> Any:
    raise ArgumentsRefused(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ArgumentsRefused("a name stands twice in the arguments")
    return found


def _measure(value: Any) -> None:
    """Refuse what is too deep, too long or too much; without recursion."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    seen = 0
    while waiting:
        one, depth = waiting.pop()
        seen += 1
        if depth > DEPTH:
            raise ArgumentsRefused(f"the arguments are nested deeper than {DEPTH}")
        if seen > MEMBERS:
            raise ArgumentsRefused(f"the arguments have more than {MEMBERS} values")
        inner: Iterable[Any] = ()
        if isinstance(one, dict):
            inner = [each for pair in cast("dict[str, Any]", one).items() for each in pair]
        elif isinstance(one, list):
            inner = cast("list[Any]", one)
        elif isinstance(one, str):
            _measure_text(one)
        elif isinstance(one, float) and not math.isfinite(one):
            raise ArgumentsRefused("a number is too large")
        waiting.extend((each, depth + 1) for each in inner)


def _measure_text(text: str) -> None:
    if len(text) > STRING_CHARS:
        raise ArgumentsRefused(f"a text is longer than {STRING_CHARS} characters")
    if any("\ud800" <= char <= "\udfff" or char == "\0" for char in text):
        raise ArgumentsRefused("a text holds what is no character")


def only_names(parameters: Mapping[str, Any]) -> Read:
    """Return the reader of a tool that was made by hand: its schema's names are checked, and no types."""
    known = parameters.get("properties", {})
    required = parameters.get("required", ())

    def read(text: str) -> Mapping[str, Any]:
        given = parsed(text)
        faults = [f"{key[:64]}: is not a parameter" for key in given if key not in known]
        faults += [f"{key}: is missing" for key in required if key not in given]
        if faults:
            raise ArgumentsRefused("; ".join(faults[:FAULTS]))
        return given

    return read


def typed(label: str, parameters: Iterable[inspect.Parameter]) -> tuple[dict[str, Any], Read]:
    """Return the JSON Schema of ``parameters`` and the reader that goes with it.

    Raises ConfigError for parameters that no JSON object can fill.
    """
    names: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for number, parameter in enumerate(parameters):
        _refuse(label, parameter)
        # Fields have names of our own: a parameter may be called "schema" or "_id".
        field, default = f"p{number}", parameter.default
        names[field] = parameter.name
        given = ... if default is inspect.Parameter.empty else default
        fields[field] = (parameter.annotation, Field(default=given, alias=parameter.name))
    try:
        model: type[BaseModel] = create_model(
            f"{label}_arguments", __config__=ConfigDict(extra="forbid"), **fields
        )
        schema = model.model_json_schema()
    except Exception as error:
        raise ConfigError(f"tool {label}", f"parameters cannot be described: {error}") from error
    schema.pop("title", None)
    for entry in schema.get("properties", {}).values():
        entry.pop("title", None)

    def read(text: str) -> Mapping[str, Any]:
        parsed(text)
        try:
            values = model.model_validate_json(text or "{}", strict=True)
        except ValidationError as error:
            raise ArgumentsRefused(_told(error)) from None
        return {name: getattr(values, field) for field, name in names.items()}

    return schema, read


def _refuse(label: str, parameter: inspect.Parameter) -> None:
    if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
        raise ConfigError(f"tool {label}", f"parameter {parameter.name} cannot be given by name")
    if parameter.annotation is inspect.Parameter.empty:
        raise ConfigError(f"tool {label}", f"parameter {parameter.name} has no type annotation")


def _told(error: ValidationError) -> str:
    """Return what is wrong, for the model: where and why, never the value and nothing of our insides."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(str(part) for part in one['loc'])[:64]}: {one['msg']}" for one in faults[:FAULTS]]
    return "; ".join(each[:FAULT_CHARS] for each in told)
