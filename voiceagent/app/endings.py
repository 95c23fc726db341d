"""Ends of calls that are known from elsewhere than the call: written where nothing better is known.

Each runs in the transaction that also puts the event of the end into the outbox. The event's id is made of
the call's, so whoever tells the end, and however often, it is delivered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voiceagent.records.closing import CRASHED
from voiceagent.records.derive import Kept
from voiceagent.store import history
from voiceagent.store.history import CallRecord, LineRecord, ResponseRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection

NODE_LOST = "node_lost"
"""Reason of calls whose node vanished, as the others saw it."""
TOLD_AGAIN_S = 2 * 86_400.0
"""Ends no older than this are put into the outbox again, which still knows what it has delivered of them."""


class FoundInJournal:
    """A journal tells the end: the owner's own word, unless it could only be guessed there."""

    def __init__(self, kept: Kept, now: float) -> None:
        self._kept = kept
        self._now = now

    def __call__(
        self,
        connection: Connection,
        record: CallRecord,
        lines: Sequence[LineRecord],
        responses: Sequence[ResponseRecord],
    ) -> bool:
        known = history.one(connection, record.id)
        # A row that was written by the call itself knows more than a journal whose last words were lost.
        if known is None or known.call.reason == NODE_LOST or record.reason != CRASHED:
            history.write(connection, record, lines, responses, self._kept.tags)
        return known is None or self._now - (record.ended_at or 0.0) < TOLD_AGAIN_S


def lost(
    connection: Connection,
    record: CallRecord,
    lines: Sequence[LineRecord],
    responses: Sequence[ResponseRecord],
) -> bool:
    """A survivor tells that a call's node has vanished: nothing, where any end is known."""
    if history.one(connection, record.id) is not None:
        return False
    history.write(connection, record, lines, responses)
    return True
