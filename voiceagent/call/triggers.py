"""An operator's wish that the agent speak, on its way into the call's one queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voiceagent.call.ledger import Ledger, LedgerEntry
from voiceagent.call.speech import CallSpeech
from voiceagent.errors import RequestRefused
from voiceagent.realtime.requests import Origin
from voiceagent.realtime.session import RealtimeSession


def check_room(ledger: Ledger, most: int, coalesce: str | None = None) -> None:
    """Raise RequestRefused (``queue_full``) when ``most`` wishes of operators wait in this call.

    One that takes the place of a waiting one (the same ``coalesce``) always has room.
    """
    waiting = ledger.waiting(Origin.OPERATOR)
    if coalesce is not None and any(one.request.coalesce == coalesce for one in waiting):
        return
    if len(waiting) >= most:
        raise RequestRefused("call", f"{most} requests wait already", code="queue_full")


def submit_wish(
    session: RealtimeSession,
    speech: CallSpeech,
    ledger: Ledger,
    instructions: str | None,
    metadata: Mapping[str, str],
    request_id: str,
    **options: Any,
) -> LedgerEntry:
    """Submit the wish; its instructions are added to the standing prompt. Raises RequestRefused."""
    speech.submit(
        None if instructions is None else session.compose(instructions, "append"),
        line=instructions,
        origin=Origin.OPERATOR,
        metadata=metadata,
        request_id=request_id,
        **options,
    )
    entry = ledger.get(request_id)
    assert entry is not None
    return entry
