"""Small checks from which the wire's schemas are built. PURE.

A check takes a JSON value and its dotted path, and returns the value or raises
:class:`~voiceagent.engine.protocol_errors.Refusal`. Hand-made because the wire's errors name one code and one
path per fault, which general validators do not give for nested unions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from .protocol_errors import Refusal, missing_parameter, unknown_parameter, wrong_type, wrong_value

Check = Callable[[Any, str], Any]
"""``check(value, path) -> value``."""

METADATA_PAIRS = 16
METADATA_KEY = 64
METADATA_VALUE = 512


def anything(value: Any, path: str) -> Any:
    """Any JSON value."""
    return value


def string(*, longest: int | None = None) -> Check:
    """A string of at most ``longest`` characters."""

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, str):
            raise wrong_type(path, "a string", value)
        if longest is not None and len(value) > longest:
            raise Refusal(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length {longest}, "
                f"but got a string with length {len(value)} instead.",
                param=path,
            )
        return value

    return check


def boolean(value: Any, path: str) -> Any:
    """true or false."""
    if not isinstance(value, bool):
        raise wrong_type(path, "a boolean", value)
    return value


def integer(low: int, high: int | None = None) -> Check:
    """A whole number within limits."""

    def check(value: Any, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(path, "an integer", value)
        return _within(value, low, high, path, "integer")

    return check


def number(low: float, high: float | None = None) -> Check:
    """A number within limits."""

    def check(value: Any, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(path, "a decimal", value)
        return _within(value, low, high, path, "decimal")

    return check


def _within(value: float, low: float, high: float | None, path: str, noun: str) -> float:
    if not value >= low:
        raise Refusal(
            f"{noun}_below_min_value",
            f"Invalid '{path}': {noun} below minimum value. "
            f"Expected a value >= {low}, but got {value} instead.",
            param=path,
        )
    if high is not None and value > high:
        raise Refusal(
            f"{noun}_above_max_value",
            f"Invalid '{path}': {noun} above maximum value. "
            f"Expected a value <= {high}, but got {value} instead.",
            param=path,
        )
    return value


def one_of(*allowed: Any) -> Check:
    """One of the literal values."""

    def check(value: Any, path: str) -> Any:
        for candidate in allowed:
            if value == candidate and type(value) is type(candidate):
                return value
        if not isinstance(value, str | int | float):
            raise wrong_type(path, "a string", value)
        raise unsupported(value, path, allowed)

    return check


def unsupported(value: Any, path: str, allowed: Iterable[Any]) -> Refusal:
    """The refusal of a value outside of a closed list."""
    names = [f"'{item}'" for item in allowed]
    spoken = names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, and {names[-1]}"
    return wrong_value(path, f"Invalid value: '{value}'. Supported values are: {spoken}.")


def nullable(inner: Check) -> Check:
    """null, or what ``inner`` takes."""

    def check(value: Any, path: str) -> Any:
        return None if value is None else inner(value, path)

    return check


def either(expected: str, *cases: tuple[type, Check]) -> Check:
    """Choose the check by the JSON type."""

    def check(value: Any, path: str) -> Any:
        for kind, inner in cases:
            if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
                return inner(value, path)
        raise wrong_type(path, expected, value)

    return check


def array(inner: Check, *, most: int | None = None) -> Check:
    """A list whose members all pass ``inner``."""

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise wrong_type(path, "an array", value)
        members = cast("list[Any]", value)
        if most is not None and len(members) > most:
            raise Refusal(
                "array_above_max_length",
                f"Invalid '{path}': array too long. Expected an array with maximum length {most}, "
                f"but got an array with length {len(members)} instead.",
                param=path,
            )
        return [inner(member, f"{path}[{index}]") for index, member in enumerate(members)]

    return check


def free_object(value: Any, path: str) -> Any:
    """Any object (a JSON Schema, template variables)."""
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return cast("dict[str, Any]", value)


def table(fields: Mapping[str, Check], required: Iterable[str] = (), *, strict: bool = True) -> Check:
    """An object with these fields only. With ``strict=False`` other fields are dropped in silence."""
    needed = tuple(required)

    def check(value: Any, path: str) -> Any:
        found = free_object(value, path)
        prefix = f"{path}." if path else ""
        for name in needed:
            if name not in found:
                raise missing_parameter(prefix + name)
        clean: dict[str, Any] = {}
        for name, member in found.items():
            inner = fields.get(name)
            if inner is None:
                if strict:
                    raise unknown_parameter(prefix + name)
                continue
            clean[name] = inner(member, prefix + name)
        return clean

    return check


def tagged(tag: str, cases: Mapping[str, Check], *, default: str | None = None) -> Check:
    """An object whose field ``tag`` chooses its check."""

    def check(value: Any, path: str) -> Any:
        found = free_object(value, path)
        where = f"{path}.{tag}" if path else tag
        name = found.get(tag, default)
        if name is None and tag not in found:
            raise missing_parameter(where)
        if not isinstance(name, str):
            raise wrong_type(where, "a string", name)
        inner = cases.get(name)
        if inner is None:
            raise unsupported(name, where, cases)
        return inner(found, path)

    return check


def metadata(value: Any, path: str) -> Any:
    """At most 16 pairs of strings; keys up to 64 characters, values up to 512."""
    found = free_object(value, path)
    if len(found) > METADATA_PAIRS:
        raise Refusal(
            "object_above_max_properties",
            f"Invalid '{path}': too many properties. Expected an object with at most {METADATA_PAIRS} "
            f"properties, but got an object with {len(found)} properties instead.",
            param=path,
        )
    text = string(longest=METADATA_VALUE)
    for key, member in found.items():
        if len(key) > METADATA_KEY:
            raise Refusal(
                "property_name_above_max_length",
                f"Invalid property name in '{path}': '{key[:METADATA_KEY]}…' too long. Expected a property "
                f"name with maximum length {METADATA_KEY}, but got one with length {len(key)} instead.",
                param=path,
            )
        text(member, f"{path}.{key}")
    return found
