"""PURE. Refusals as they cross from node to node, to be raised again alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from voiceagent.errors import CallEnded, MediaError, RequestRefused

CARRIED = (KeyError, CallEnded, RequestRefused, MediaError)
"""What an owner's refusal may be; anything else is a fault of the owner, and its answer counts as lost."""


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


def done_of(answer: Mapping[str, Any]) -> Any:
    """Return what a node says that it has done; raises what it has refused it with."""
    if "done" not in answer:
        raise error_of(answer)
    return answer["done"]
