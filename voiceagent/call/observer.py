"""The port through which a call tells the rest of the house what happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from voiceagent.call.call import Call
    from voiceagent.call.ledger import LedgerEntry
    from voiceagent.call.transcript import Utterance
    from voiceagent.realtime.model_events import RealtimeModelNoticeEvent


class CallObserver(Protocol):
    """Told synchronously; must not wait and must not raise."""

    def call_changed(self, call: Call) -> None:
        """State, step or floor of a call is another one now."""
        ...

    def response_changed(self, call: Call, entry: LedgerEntry) -> None:
        """A response request has come further or ended."""
        ...

    def utterance_changed(self, call: Call, line: Utterance) -> None:
        """A transcript line is new, longer, or cut."""
        ...

    def noticed(self, call: Call, notice: RealtimeModelNoticeEvent) -> None:
        """The sequencer gave a reason."""
        ...

    def digit_pressed(self, call: Call, digit: str) -> None:
        """The caller pressed a key."""
        ...

    def tool_ended(self, call: Call, name: str, ok: bool, seconds: float) -> None:
        """A tool function has returned."""
        ...

    def happened(self, call: Call, kind: str, facts: Mapping[str, Any]) -> None:
        """Something that operators are told and figures count: ``flow.failed``, ``recording.failed`` …"""
        ...

    def call_ended(self, call: Call) -> None:
        """The call has its outcome; told exactly once."""
        ...
