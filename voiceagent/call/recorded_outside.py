"""Results of others' work (tools, fetched data, recordings) as inputs in the journal."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from voiceagent.call.inputs import Inputs, error_data
from voiceagent.call.loop_timers import beyond
from voiceagent.call.outside import Outside, as_json
from voiceagent.call.tool_runs import output_text
from voiceagent.media.g711 import Law
from voiceagent.records.recording import RecordingFailed, RecordingNews, Recordings, RecordingSink

VALUE_LIMIT = 64 << 10
"""Characters of a result that are written down; a longer one cannot be replayed."""
_PLAIN = (str, int, float, bool, list, dict, type(None))


def recorded_outside(outside: Outside, inputs: Inputs | None) -> Outside:
    """Return ``outside`` with every result, or error, written down under its key."""
    if inputs is None:
        return outside

    async def recording(key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any:
        began = inputs.turn()
        try:
            with beyond(inputs):
                value = await outside(key, work, kind=kind)
        except Exception as error:
            inputs.write("outside", key=key, **inputs.since(began), error=error_data(error, inputs.masked))
            raise
        inputs.write("outside", key=key, **inputs.since(began), **value_data(key, value, inputs.told_by))
        return value

    return recording


def value_data(key: str, value: object, secret: Callable[[str], bool]) -> dict[str, Any]:
    """Return a result as plain values: ``value``, its class in ``as`` where it is no plain one.

    A tool's result is only ever a text to the model, so that text is kept. ``unwritten`` says why there is
    no value: data that hold a ``secret`` are the flow's alone.
    """
    of_tool = key.startswith("tool:")
    if of_tool:
        value = output_text(value)
    try:
        plain = as_json(value)
        text = json.dumps(plain, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        return {"unwritten": f"{type(value).__name__}: {type(error).__name__}"}
    if len(text) > VALUE_LIMIT:
        return {"unwritten": f"{len(text)} characters"}
    if not of_tool and secret(text):  # the model is told a tool's result anyway
        return {"unwritten": "holds what was typed in secret"}
    kind = type(value)
    return (
        {"value": plain}
        if kind in _PLAIN
        else {"value": plain, "as": f"{kind.__module__}:{kind.__qualname__}"}
    )


def recorded_recordings(recordings: Recordings, inputs: Inputs | None) -> Recordings:
    """Return ``recordings`` with what becomes of each file written down."""
    return recordings if inputs is None else _RecordedRecordings(recordings, inputs)


class _RecordedRecordings:
    def __init__(self, recordings: Recordings, inputs: Inputs) -> None:
        self._recordings = recordings
        self._inputs = inputs

    def start(self, file: str, law: Law, told: Callable[[RecordingNews], None]) -> RecordingSink:
        def news(news: RecordingNews) -> None:
            kind = "failed" if isinstance(news, RecordingFailed) else "finished"
            self._inputs.write("recording", file=file, news=kind, facts=asdict(news))
            self._inputs.owned(told, news)

        return self._recordings.start(file, law, news)
