"""PURE. What is still heard of a link that is gone, and how its responses end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voiceagent.realtime.conversation import Conversation, Item
from voiceagent.realtime.model_events import RealtimeModelTurnEndedEvent
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind

BARELY_MS = 1000
"""An unfinished response of which no more than this had arrived counts as not begun."""


@dataclass(slots=True)
class Sounding:
    """A response of a lost link whose audio is still in the playout."""

    response_id: str
    request_id: str | None
    conversation: Conversation
    interruptible: bool = True
    cut_by: InterruptedBy | None = None
    scrap: bool = False
    """The request is asked for again: this is no turn of the conversation."""

    @property
    def items(self) -> list[Item]:
        """Its items with audio."""
        return self.conversation.audio_items(self.response_id)

    @property
    def playing(self) -> Item:
        """The one that is heard now."""
        items = self.items
        return next((item for item in items if item.heard_ms is None), items[0])

    @property
    def cut(self) -> bool:
        """True when some of it was not heard."""
        return any(item.cut for item in self.items)

    def heard(self, item_id: str, heard_ms: int, *, cut: bool) -> bool:
        """Note the ear's report; True when there is nothing left to hear."""
        self.conversation.heard(item_id, heard_ms, cut=cut)
        items = self.items
        if cut:
            for item in items:
                if item.heard_ms is None:
                    self.conversation.heard(item.id, 0, cut=True)
        return all(item.heard_ms is not None for item in items)

    def outcome(self) -> Outcome:
        """Return how the request ends: by what was heard, and by whether there was more to come."""
        response = self.conversation.response(self.response_id)
        heard_ms, heard_text = self.conversation.heard_of(self.response_id)
        if self.cut or self.cut_by is not None:
            kind = OutcomeKind.INTERRUPTED
        elif response.status not in (None, "failed") or response.calls:
            kind = OutcomeKind.COMPLETED
        else:
            kind = OutcomeKind.LOST
        return Outcome(
            kind,
            response_id=self.response_id,
            heard_ms=heard_ms,
            heard_text=heard_text,
            text=self.conversation.text_of(self.response_id),
            by=self.cut_by,
            code="link_lost" if kind is OutcomeKind.LOST else None,
            reason="the link was lost while it was spoken",
            incomplete=response.status != "completed",
            generated=response.status == "completed",
        )


def sounding_items(soundings: Iterable[Sounding], conversation: Conversation) -> set[str]:
    """Return the ids of a conversation's items that are still heard, and belong to it to their end."""
    return {
        item.id
        for sounding in soundings
        if sounding.conversation is conversation and not sounding.scrap
        for item in sounding.items
    }


def barely_begun(conversation: Conversation, response_id: str) -> bool:
    """Return whether so little of a response had arrived that it is better said from its beginning."""
    response = conversation.response(response_id)
    unfinished = response.status is None and not response.calls
    return unfinished and conversation.audio_ms_of(response_id) <= BARELY_MS


def cut_off(conversation: Conversation, response_id: str) -> RealtimeModelTurnEndedEvent:
    """Return the end of a response that the provider never ended."""
    return RealtimeModelTurnEndedEvent(
        response_id,
        "cancelled",
        reason="link_lost",
        text=conversation.text_of(response_id),
        audio_ms=conversation.audio_ms_of(response_id),
        request_id=conversation.response(response_id).request_id,
    )
