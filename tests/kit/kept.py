"""Holds what a journal says of its call to what the live call keeps of itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from voiceagent.app.archive import entry_of
from voiceagent.call.call import Call
from voiceagent.records.derive import derive
from voiceagent.records.journal import plain
from voiceagent.records.rows import CallRecord, LineRecord, ResponseRecord


def as_read(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return entries as they come from a file."""
    return [json.loads(json.dumps(one, default=plain)) for one in entries]


def as_kept(call: CallRecord, said: Iterable[LineRecord], asked: Iterable[ResponseRecord]) -> Any:
    """Return rows as plain JSON, as they come from a database."""
    return json.loads(json.dumps([call, list(said), list(asked)], default=every_field))


def every_field(value: Any) -> Any:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def differences(call: Call, entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return where the record that the journal gives is not the one that the call gives; empty: nowhere."""
    provider = node = ""
    made = derive(as_read(entries), "" if call.journal.path is None else call.journal.path.name)
    if made is None:
        return ["the journal gives no record"]
    live = as_kept(*entry_of(call, provider, node))
    read = as_kept(made.call, made.lines, made.responses)
    return [f"{call.id}: {path}" for path in _between(live, read, "")]


def _between(live: Any, read: Any, path: str) -> list[str]:
    if isinstance(live, dict) and isinstance(read, dict):
        keys = sorted({*live, *read})
        return [one for key in keys for one in _between(live.get(key), read.get(key), f"{path}.{key}")]
    if isinstance(live, list) and isinstance(read, list) and len(live) == len(read):
        return [
            one
            for n, (a, b) in enumerate(zip(live, read, strict=True))
            for one in _between(a, b, f"{path}[{n}]")
        ]
    return [] if live == read else [f"{path}: live {live!r}, read {read!r}"]
