"""A note: what an operator tells the agent, and nobody hears.

It goes to the model as an item of the conversation, by the road of the flows' ``call.note``; no response is
asked for, so the queue of responses does not know of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from voiceagent.call.call_state import UNANSWERED, CallState
from voiceagent.call.inputs import of_the_call, write_operator
from voiceagent.call.ledger import LedgerEntry
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.realtime.requests import Origin, ResponseRequest

if TYPE_CHECKING:
    from voiceagent.call.call import Call

SPEAKER = "note"
"""Stands as the speaker of a note in the transcript: nobody said it."""


def take_note(
    call: Call, text: str, operator: str, request_id: str, metadata: Mapping[str, str] | None = None
) -> LedgerEntry:
    """Give the agent a note; returns its entry in the ledger, which has ended.

    ``metadata`` stays with the entry, for whoever asked. Raises CallEnded; RequestRefused, by ``code``:
    ``not_answered``.
    """
    asked = dict(metadata or {})
    write_operator(call.journal, "note", text=text, operator=operator, id=request_id, metadata=asked)
    if call.ending.word in UNANSWERED:
        raise RequestRefused("call", "is not answered yet", code="not_answered")
    session, speech = call.session, call.speech
    if session is None or speech is None or speech.closed or call.state is not CallState.TALKING:
        raise CallEnded(outcome=call.ending.word)
    with of_the_call(call.journal):
        session.note(text)
    call.journal.write("operator.note", operator=operator, request_id=request_id, text=text)
    call.transcript.said(request_id, call.seconds, SPEAKER, text)
    request = ResponseRequest(id=request_id, origin=Origin.OPERATOR)
    return call.ledger.noted(request, text, asked, asyncio.get_running_loop().time())
