"""Ladders whose dialogs are written into a journal, as a service does it, and can be lived again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.sip.ladder import OURS, Ladder
from voiceagent.call.inputs import Inputs
from voiceagent.call.loop_timers import BEHALF
from voiceagent.call.recorded_sip import RecordedEndpoint
from voiceagent.ids import counted_tokens
from voiceagent.records.journal import Journal, plain
from voiceagent.replay.sip_again import sip_again
from voiceagent.replay.sip_difference import SipVerdict
from voiceagent.replay.sip_recording import SipRecording
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import InviteReceived, SipEffect


class RecordedLadder(Ladder):
    """A ladder with one call, whose legs are all that there are."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        recorded = RecordedEndpoint(EndpointConfig(local=OURS, **config), counted_tokens())
        self.endpoint = self.recorded = recorded
        self.entries: list[Mapping[str, Any]] = []
        self.journal = Journal(None, None, monotonic=lambda: self.now)
        self.journal.tap(self.entries.append)
        self.inputs = Inputs(self.journal, "0123456789abcdef", wall=lambda: self.now)
        self.inputs.begun()

    def take(self, effects: list[SipEffect]) -> list[SipEffect]:
        for one in effects:
            if isinstance(one, InviteReceived):
                self.recorded.follow(one.leg, self.inputs, self.now)
        return super().take(effects)

    def invite(self, target: str = "sip:bob@127.0.0.1:5090", **kwargs: Any) -> str:
        token = BEHALF.set(self.inputs)
        try:
            return super().invite(target, **kwargs)
        finally:
            BEHALF.reset(token)

    def written(self) -> list[dict[str, Any]]:
        """The journal's entries, as they would be read from a file."""
        lines = [json.dumps(one, default=plain, ensure_ascii=False) for one in self.entries]
        return [json.loads(one) for one in lines]

    def recording(self) -> SipRecording:
        found = SipRecording()
        for number, entry in enumerate(self.written(), 1):
            assert found.take(number, entry)
        found.last = self.now
        return found

    def replayed(self) -> SipVerdict:
        """Live it again with the code as it is now."""
        recording = self.recording()
        return sip_again(recording, (), 0.1) if recording.replayable else SipVerdict()
