"""The short road of audio between a leg and a realtime session, and the barge-in that cuts it.

Caller's frames go straight to the session, agent's audio straight to the leg's playout. When the sequencer
orders silence, the leg stops at once and says how much was heard; the session truncates to that and only
then may the next response begin.
"""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.call.leg import Heard, Leg
from voiceagent.call.local_lines import is_local
from voiceagent.realtime.model_events import RealtimeModelAudioEvent
from voiceagent.realtime.session import RealtimeSession


class AudioBridge:
    """Joins one leg and one session. Both sides call it synchronously on the loop's thread."""

    __slots__ = ("_local_ended", "_session", "_silenced", "_unheard", "caller_audio", "leg", "muted")

    def __init__(
        self,
        leg: Leg,
        session: RealtimeSession,
        silenced: Callable[[], None],
        local_ended: Callable[[Heard], None],
    ) -> None:
        self.leg = leg
        """Who hears the agent now."""
        self._silenced = silenced
        self._local_ended = local_ended
        self._session = session
        self.muted = False
        """A human speaks in the agent's place: what still comes of the agent is not heard."""
        self._unheard = ""
        self.caller_audio = session.send_audio

    def agent_audio(self, event: RealtimeModelAudioEvent) -> None:
        """Have the leg play what the agent says, unless it is muted."""
        if not self.muted:
            self.leg.play(event.data, response_id=event.response_id, item_id=event.item_id)
        elif event.item_id != self._unheard:
            self._unheard = event.item_id
            self._session.playback_ended(event.response_id, event.item_id, 0, cut=True)

    def playback_started(self, response_id: str, item_id: str) -> None:
        """The leg plays the first frame of an item."""
        self._session.playback_started(response_id, item_id)

    def playback_ended(self, heard: Heard) -> None:
        """The leg has played an item, or dropped it."""
        self._session.playback_ended(heard.response_id, heard.item_id, heard.heard_ms, cut=heard.cut)

    def silence(self, response_id: str, item_id: str) -> None:
        """The sequencer wants silence: stop, and say how much was heard."""
        stopped = self.leg.stop_playing()
        self._silenced()
        for heard in stopped:
            if is_local(heard.response_id):
                self._local_ended(heard)
            else:
                self.playback_ended(heard)
        if all(heard.response_id != response_id for heard in stopped):
            self._session.playback_ended(response_id, item_id, 0, cut=True)
