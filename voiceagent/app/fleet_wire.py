"""PURE. What crosses from node to node: views as the API has them, and errors that are raised again alike.

Nodes of two versions may talk to each other: fields that the reader does not know are left out, and those
that the writer did not have keep their defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar, cast

from voiceagent.console.ports import CallView, ResponseView, TranscriptLine
from voiceagent.errors import CallEnded, MediaError, RequestRefused

Made = TypeVar("Made")

CARRIED = (KeyError, CallEnded, RequestRefused, MediaError)
"""What an owner's refusal may be; anything else is a fault of the owner, and its answer counts as lost."""


def made(kind: type[Made], data: Mapping[str, Any], **given: Any) -> Made:
    """Return a ``kind`` (a dataclass) of those of its fields that are there. Raises TypeError."""
    known = {one.name for one in fields(cast("Any", kind))}
    return kind(**{name: value for name, value in data.items() if name in known} | given)


def call_view(data: Mapping[str, Any], *, node: str, stale: bool = False) -> CallView:
    """Return the view of a call from ``call_data`` or ``call_detail``. Raises TypeError and ValueError."""
    lines = cast("Sequence[Mapping[str, Any]]", data.get("transcript", ()))
    asked = cast("Sequence[Mapping[str, Any]]", data.get("responses", ()))
    return made(
        CallView,
        data,
        transcript=[made(TranscriptLine, line) for line in lines],
        responses=[response_view(one) for one in asked],
        node=node,
        stale=stale,
    )


def response_view(data: Mapping[str, Any]) -> ResponseView:
    """Return the view of a response from ``response_data``. Raises TypeError."""
    return made(ResponseView, data)


def error_data(error: Exception) -> dict[str, Any]:
    """Return an error of :data:`CARRIED` as JSON."""
    if isinstance(error, RequestRefused):
        return {
            "error": "refused",
            "field": error.field,
            "words": str(error).removeprefix(f"{error.field}: "),
            "code": error.code,
            "retry_after_s": getattr(error, "retry_after_s", None),
        }
    if isinstance(error, CallEnded):
        return {"error": "ended", "words": str(error), "outcome": error.outcome}
    if isinstance(error, MediaError):
        return {"error": "media", "words": str(error), "code": error.code}
    return {"error": "unknown", "what": str(error.args[0]) if error.args else ""}


def error_of(data: Mapping[str, Any]) -> Exception:
    """Return the error that :func:`error_data` told of."""
    match data.get("error"):
        case "refused":
            refused = RequestRefused(str(data["field"]), str(data["words"]), code=str(data["code"]))
            if data.get("retry_after_s") is not None:
                cast("Any", refused).retry_after_s = data["retry_after_s"]
            return refused
        case "ended":
            return CallEnded(str(data["words"]), outcome=str(data["outcome"]))
        case "media":
            return MediaError(str(data["words"]), code=str(data["code"]))
        case _:
            return KeyError(str(data.get("what", "")))
