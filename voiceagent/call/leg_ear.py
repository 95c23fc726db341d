"""What a call does about each report of its leg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.call.apology import RESPONSE_ID as APOLOGY
from voiceagent.call.bridge import AudioBridge
from voiceagent.call.comfort import COMFORT
from voiceagent.call.flow_port import FlowPort
from voiceagent.call.leg import Heard, Leg, LegEnd, ReferAsked
from voiceagent.call.local_lines import is_local
from voiceagent.call.loop_timers import owning
from voiceagent.call.outcome import CallOutcome, outcome_of_leg
from voiceagent.call.sounds import SOUND
from voiceagent.flags import Flag

if TYPE_CHECKING:
    from voiceagent.call.call import Call


class LegEar:
    """Listens to the leg of one call; fulfils :class:`voiceagent.call.leg.LegListener`."""

    def __init__(self, call: Call) -> None:
        self._call = call
        # Asked at every frame: the call itself is too large to be looked into so often.
        self._holding = call.holding
        self._placing = call.placing
        self._secrecy = call.secrecy
        self._take_over = call.take_over
        self._bridge: AudioBridge | None = None
        self._port: FlowPort | None = None
        self.audible = False
        """The agent's voice, or a line of our own, is heard."""
        self.end: CallOutcome | None = None
        """How the leg ended, whoever ended it."""
        self.apology_played = Flag()

    @property
    def flow_listens(self) -> bool:
        """True while the flow waits for what the caller does."""
        return self._port is not None and self._port.listening

    def attach(self, bridge: AudioBridge, port: FlowPort) -> None:
        """The realtime session stands: from now on it and the flow hear the leg."""
        self._bridge = bridge
        self._port = port

    def detach(self) -> None:
        """The call is over; nothing of session and flow is kept alive from here."""
        self._bridge = self._port = None

    def silent(self) -> None:
        """The agent's voice has ended, or was stopped."""
        self.audible = False
        if self._port is not None:
            self._port.playback(False)

    # ── LegListener ─────────────────────────────────────────────────────────────────────────────
    def leg_progress(self, status: int, early_media: bool) -> None:
        if self._placing is not None:
            self._placing.progress(status, early_media)

    def leg_audio(self, audio: bytes) -> None:
        bridge, holding, secrecy, taken_over = self._bridge, self._holding, self._secrecy, self._take_over.on
        # A question for a secret is not asked while a human speaks: it has nothing to hide yet.
        if (secrecy.deaf and not taken_over) or holding.in_queue:
            audio = secrecy.silence(audio)
        if self._placing is not None:
            with owning(self._call.inputs):
                self._placing.greeting.hear(audio)
        if bridge is not None and not holding.by_us:
            bridge.caller_audio(audio)
        if taken_over:
            with owning(self._call.inputs):
                self._take_over.tick()

    def leg_digit(self, digit: str) -> None:
        if self._call.closing:
            return
        self._call.digit_pressed(digit)
        if self._port is not None and not self._call.take_over.on:
            self._port.hush_for(digit)
        self._call.sounds.caller_acts()

    def leg_playback_started(self, response_id: str, item_id: str) -> None:
        if response_id.startswith(COMFORT):
            return
        self.audible = True
        if not is_local(response_id) or response_id.startswith(SOUND):
            self._call.note_first_words()  # a filler is not the agent's voice
        self._call.set_floor("agent")
        if self._port is not None:
            self._port.playback(True)
        if self._bridge is not None and not is_local(response_id):
            self._call.watch.playback_started(item_id)
            self._bridge.playback_started(response_id, item_id)

    def leg_playback_ended(self, heard: Heard) -> None:
        if heard.response_id.startswith(COMFORT):
            return
        self._call.agent_silent()
        if heard.response_id == APOLOGY:
            self.apology_played.set()
        elif heard.response_id.startswith(SOUND):
            self._call.sounds.ended(heard)
        elif self._bridge is not None and not is_local(heard.response_id):
            self._call.watch.playback_ended(heard.item_id)
            self._bridge.playback_ended(heard)

    def leg_held(self, held: bool) -> None:
        if not self._call.closing:
            self._call.holding.caller_holds(held)

    def leg_refer(self, asked: ReferAsked) -> None:
        self._call.succession.referred(asked)

    def leg_replaced(self, by: Leg) -> bool:
        return self._call.succession.replaced(by)

    def leg_noted(self, kind: str, **facts: object) -> None:
        self._call.journal.write(kind, **facts)

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        if self._call.ended:
            return
        self._call.journal.write("leg.ended", end=end.value, status=status, reason=reason)
        outcome = outcome_of_leg(end, status, reason)
        if not self._call.succession.party_left(outcome):
            self.leg_lost(outcome)

    def leg_lost(self, outcome: CallOutcome) -> None:
        """The leg is gone, and no other one takes its place."""
        self.end = outcome
        self.apology_played.set()
        self._call.leg_has_ended(outcome)
