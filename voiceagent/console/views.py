"""PURE. Views as JSON: the one shape of calls, responses and lines in REST, the live stream and the page.

The app uses :func:`call_data`, :func:`response_data` and :func:`line_data` for ``LiveEvent.data`` as well, so
that a reader merges an event into what it fetched before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from voiceagent.console.ports import CallView, ResponseView, TranscriptLine

Json = dict[str, Any]

PROGRESS = ("queued", "sent", "started", "audible", "generated", "played")
"""States of a response that has not ended, in their order."""


def plain(value: object) -> Any:
    """Return ``value`` as something JSON and UTF-8 can carry.

    Lone surrogates become "?", NaN and infinities become null, unknown things become their text.
    """
    kind = type(value)  # what nearly everything is, first: lists of calls are made of thousands of these
    if kind is str:
        text = cast("str", value)
        return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    if value is None or kind is bool or kind is int:
        return value
    if kind is dict:
        pairs = cast("dict[Any, Any]", value)
        return {plain(str(key)): plain(item) for key, item in pairs.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in cast("Sequence[Any]", value)]
    return plain(str(value))


def line_data(line: TranscriptLine) -> Json:
    """Return one line of a transcript."""
    return {
        "at": plain(line.at),
        "speaker": plain(line.speaker),
        "text": plain(line.text),
        "full_text": plain(line.full_text or line.text),
        "item_id": plain(line.item_id),
        "cut": line.cut,
    }


def response_data(view: ResponseView) -> Json:
    """Return one response request with its state, its reason and, once ended, its outcome."""
    return {
        "id": view.id,
        "call_id": view.call_id,
        "origin": view.origin,
        "instructions": plain(view.instructions),
        "metadata": plain(view.metadata),
        "state": view.state,
        "ended": view.outcome is not None,
        "reason": plain(view.reason),
        "submitted_at": plain(view.submitted_at),
        "outcome": plain(view.outcome),
        "links": {
            "self": f"/v1/calls/{view.call_id}/responses/{view.id}",
            "call": f"/v1/calls/{view.call_id}",
        },
    }


def call_data(view: CallView) -> Json:
    """Return a call for the list: everything but its transcript and its responses."""
    return {
        "id": view.id,
        "caller": plain(view.caller),
        "called": plain(view.called),
        "kind": view.kind,
        "direction": view.direction,
        "flow": plain(view.flow),
        "step": plain(view.step),
        "state": view.state,
        "started_at": plain(view.started_at),
        "duration_s": plain(view.duration_s),
        "floor": view.floor,
        "last_words": plain(view.last_words),
        "provider": plain(view.provider),
        "trunk": plain(view.trunk),
        "outcome": plain(view.outcome),
        "figures": plain(view.figures),
        "held_by": list(view.held_by),
        "abilities": list(view.abilities),
        "transfer": plain(view.transfer),
        "tags": plain(view.tags),
        "recording": plain(view.recording),
        "listeners": plain(view.listeners),
        "taken_over_by": plain(view.taken_over_by),
        "node": plain(view.node),
        "stale": view.stale,
        "trace_id": view.trace_id,
        "links": {
            "self": f"/v1/calls/{view.id}",
            "responses": f"/v1/calls/{view.id}/responses",
            "hangup": f"/v1/calls/{view.id}/actions/hangup",
            "actions": f"/v1/calls/{view.id}/actions",
            "listen": f"/v1/calls/{view.id}/listen",
        },
    }


def call_detail(view: CallView) -> Json:
    """Return a call with its transcript and its responses, oldest first."""
    return {
        **call_data(view),
        "transcript": [line_data(line) for line in view.transcript],
        "responses": [response_data(response) for response in view.responses],
    }
