"""PURE. What crosses from node to node: calls and responses in the shape of the API.

Nodes of two versions may talk to each other: fields that the reader does not know are left out, and those
that the writer did not have keep their defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar, cast

from voiceagent.console.ports import CallView, ResponseView, TranscriptLine

Made = TypeVar("Made")


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
