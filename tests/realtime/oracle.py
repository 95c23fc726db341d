"""The vendor's published types as judges of what we send and of what our fixtures pretend to receive."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter


@cache
def _adapters() -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
    from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

    return TypeAdapter(RealtimeClientEvent), TypeAdapter(RealtimeServerEvent)


def check_client_event(event: dict[str, Any]) -> None:
    """Fail unless the vendor's client union takes ``event`` and knows every field of it."""
    parsed = _adapters()[0].validate_python(event)
    _no_strangers(parsed, event["type"])
    _no_nulls(event, event["type"])


def check_server_event(event: dict[str, Any]) -> None:
    """Fail unless the vendor's server union takes ``event`` and knows every field of it."""
    parsed = _adapters()[1].validate_python(event)
    assert parsed.type == event["type"]
    _no_strangers(parsed, event["type"])


UNDECLARED = {"id", "object", "expires_at"}
"""Documented and sent in every session object, but missing in the vendor's type of it."""


def _no_strangers(value: Any, path: str) -> None:
    if isinstance(value, BaseModel):
        strangers = set(value.model_extra or ()) - (UNDECLARED if path.endswith(".session") else set())
        assert not strangers, f"{path} has fields that the vendor does not know: {strangers}"
        for name in value.model_fields_set:
            _no_strangers(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _no_strangers(each, f"{path}[{index}]")


NULLABLE = {"turn_detection", "transcription", "noise_reduction"}


def _no_nulls(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for key, each in value.items():
            assert each is not None or key in NULLABLE, f"{path}.{key} is null"
            _no_nulls(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            _no_nulls(each, path)
