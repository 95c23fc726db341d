"""PURE. Errors as they stand in a journal, made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voiceagent.errors import (
    CallEnded,
    ConfigError,
    MediaError,
    ProviderError,
    RequestRefused,
    SipError,
)


class Recorded(Exception):
    """An error of a class that is not known here."""


_BUILT_IN: Mapping[str, type[Exception]] = {
    one.__name__: one
    for one in (ValueError, TypeError, KeyError, RuntimeError, LookupError, OSError, ConnectionError)
}


def error_back(data: Mapping[str, Any]) -> Exception:
    """Return the error that ``error_data`` wrote."""
    kind, message = str(data.get("type")), str(data.get("message", ""))
    code = str(data.get("code", "")) or None
    match kind:
        case "SipError" | "TrunkDown":
            return SipError(message, status=int(data.get("status", 400)), code=code)
        case "MediaError":
            return MediaError(message, code=code)
        case "ProviderError":
            return ProviderError(message, code=code)
        case "ConfigError":
            setting, _, words = message.partition(": ")
            return ConfigError(setting, words)
        case "RequestRefused" | "TargetRefused":
            field, _, words = message.partition(": ")
            return RequestRefused(field, words, code=code)
        case "CallEnded":
            return CallEnded(message)
        case "TimeoutError":
            return TimeoutError(message)
        case _:
            known = _BUILT_IN.get(kind)
            return known(message) if known is not None else type(kind or "Recorded", (Recorded,), {})(message)
