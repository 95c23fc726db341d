"""The audio of a SIP dialog of ours: shared by the direct leg and the test phone."""

from __future__ import annotations

from voiceagent.call.leg import Heard
from voiceagent.media.party import MediaPlace, RtpParty

DirectMedia = MediaPlace


class DirectAudio(RtpParty):
    """An RTP party whose account of what was heard is the call's."""

    def stop(self) -> list[Heard]:
        """Silence now; what was heard of each cut item."""
        return [
            Heard(one.response_id, one.item_id, one.heard_ms, one.cut) for one in self.port.stop_playing()
        ]
