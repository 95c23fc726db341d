"""Ends of calls that are known from elsewhere than the call: written where nothing better is known.

Each runs in the transaction that also puts the event of the end into the outbox. The event's id is made of
the call's, so whoever tells the end, and however often, it is delivered once. Only after a call that was told
as lost has been told to live, its end is told once more, under another id.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voiceagent.notify.message import Message, end_token, event_id, found_token
from voiceagent.records.closing import CRASHED
from voiceagent.records.derive import Kept
from voiceagent.store import history, outbox
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
    """A survivor tells that a call's node has vanished: nothing, where any end is known.

    Unless that end was such a loss, too, and the call had been found again since.
    """
    known = history.one(connection, record.id)
    if known is not None:
        return known.call.reason == NODE_LOST and was_found_again(connection, record.id)
    history.write(connection, record, lines, responses)
    return True


def id_of(connection: Connection, message: Message) -> str:
    """Return under which id an event is told: an end after a loss that was taken back has the second one."""
    if message.type != "call.ended" or not outbox.knows(connection, message.id):
        return message.id
    again = was_found_again(connection, message.call_id)
    return event_id(end_token(message.call_id, again=True)) if again else message.id


def needs_no_other(connection: Connection, message: Message) -> bool:
    """Return whether an end is told anew although no loss of that call has been told, nor will be.

    Known only where all nodes have one database: there its true end was the first that stood in it.
    """
    if message.id != event_id(end_token(message.call_id, again=True)):
        return False
    first = outbox.payload_of(connection, event_id(end_token(message.call_id)))
    if first is None or connection.dialect.name != "postgresql":
        return False
    outcome: dict[str, Any] = json.loads(first)["data"].get("outcome") or {}
    return outcome.get("reason") != NODE_LOST


def was_found_again(connection: Connection, call_id: str) -> bool:
    """Return whether somebody was told that this call, which was told as lost, lives."""
    return outbox.knows(connection, event_id(found_token(call_id)))
