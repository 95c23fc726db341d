"""Calls of a node that has vanished: one survivor marks them lost in history, and tells it, once.

When the dead node comes back it takes in its own journals, and its fuller record takes the place of the row;
the event of the end has the same id whoever tells it, so nobody hears of a second one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from voiceagent.app import endings
from voiceagent.app.archive import Archive
from voiceagent.app.outgoing import Outgoing
from voiceagent.cluster.ports import CallEntry, NodeView
from voiceagent.records.rows import CallRecord

_log = structlog.get_logger("voiceagent.fleet")


class Losses:
    """Takes the calls of vanished nodes, on the survivor that was chosen to."""

    def __init__(
        self, archive: Archive, outgoing: Outgoing, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._archive = archive
        self._outgoing = outgoing
        self._clock = clock

    def on_node_lost(self, node: NodeView, entries: Sequence[CallEntry]) -> None:
        """Mark these calls lost. Does not wait: the archive writes when the database can."""
        seen_at = min(self._clock(), node.seen_at or self._clock())
        for entry in entries:
            try:
                record = lost_record(entry, seen_at)
            except (TypeError, ValueError, AttributeError):  # of another version, perhaps
                _log.exception("what was told of a lost call cannot be read", call_id=entry.call_id)
                record = lost_record(replace(entry, data={}), seen_at)
            if record is None:
                continue
            try:
                message = self._outgoing.ended_before(record)
            except Exception:  # the record is worth more than its telling
                _log.exception("the loss of a call cannot be told", call_id=record.id)
                message = None
            self._archive.keep_found((record, [], []), message, endings.lost)


def lost_record(entry: CallEntry, seen_at: float) -> CallRecord | None:
    """PURE. Return what is known of a lost call: what its node published last. None: it had ended.

    ``seen_at``: when its node was last heard of, which is the newest that anybody knows of the call.
    """
    data = entry.data
    if data.get("state") == "ended":
        return None
    started = float(data.get("started_at") or seen_at)
    ended = max(started, seen_at)
    figures: Mapping[str, Any] = data.get("figures") or {}
    return CallRecord(
        id=entry.call_id,
        node=entry.node,
        direction=str(data.get("direction") or "inbound"),
        kind=str(data.get("kind") or ""),
        caller=str(data.get("caller") or ""),
        called=str(data.get("called") or ""),
        flow=str(data.get("flow") or ""),
        trunk=str(data.get("trunk") or ""),
        provider=str(data.get("provider") or ""),
        started_at=round(started, 3),
        answered_at=None,
        ended_at=round(ended, 3),
        duration_s=round(ended - started, 3),
        outcome="ours",
        reason=endings.NODE_LOST,
        fault=f"node {entry.node} has vanished",
        barge_ins=int(figures.get("barge_ins") or 0),
        first_words_ms=figures.get("first_words_ms"),
    )
