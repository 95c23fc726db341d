"""A human speaks with the caller in the agent's place, until handing back.

The voice comes up the socket on which the operator listens. It is no item of the playout: it fills slots in
which the line would be silent, so there are never two voices in one; the sequencer says nothing meanwhile
(rule 16), the flow waits, and nothing that was asked for is lost. A microphone that falls silent (its
socket is gone, or stands still) is waited for with the sound of waiting, and then the agent is back.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING

from voiceagent.call.comfort import comfort_sound
from voiceagent.call.inputs import of_the_call, write_operator
from voiceagent.call.leg import Leg
from voiceagent.call.operator_words import OperatorWords
from voiceagent.call.triggers import submit_wish
from voiceagent.errors import RequestRefused
from voiceagent.flags import Flag
from voiceagent.media.g711 import ulaw_to_alaw
from voiceagent.media.microphone import Microphone
from voiceagent.media.music import MusicLoop

if TYPE_CHECKING:
    from voiceagent.call.call import Call
    from voiceagent.call.listening import Listener

SLOTS_PER_S = 50
FIRST_S = 15.0
"""So long the first sound of the microphone may take: somebody may have to allow it."""
COMFORT_AFTER_S = 0.6
"""After so much of nothing the caller hears the sound of waiting."""
LOST_S = 5.0
"""After so much of nothing the agent is back."""
LAST_WORDS_S = 2.5
"""How long the agent waits at most until the session has heard what the human said last."""
BEGUN = "A human colleague speaks with the caller now, in your place. You are told what they say."
OVER = "Your human colleague has handed the caller back to you. Go on from what was said."
LOST = "The connection to your human colleague was lost. Tell the caller that you go on, and do so."


class TakeOver:
    """Whether a human has one call, and that human's voice. Synchronous, on the loop's thread."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self.on = False
        """From the taking over until the agent may speak again. Asked for every frame."""
        self.operator = ""
        """Who speaks in the agent's place; empty again as soon as handing back has begun."""
        self.last = ""
        """Who did so last."""
        self.words = OperatorWords(call)
        self._back = Flag()
        self._back.set()
        self._began = 0.0
        self._leave_by = 0.0
        """Loop time at which the agent is back at the latest; 0 while nobody hands back."""
        self._reason = ""
        self._source: Listener | None = None
        """On whose socket the voice comes; the first of the operator's that brings any."""
        self._times = 0
        self._microphone = Microphone()
        self._heard = False
        self._replayed = call.inputs is not None and call.inputs.replayed
        self._waiting = MusicLoop(comfort_sound(call.leg.audio_format))
        self._silence = b""

    @property
    def able(self) -> bool:
        """The caller's line is ours to speak on."""
        can = self._call.leg.capabilities
        return can.can_record and can.owns_playout

    def begin(self, operator: str) -> None:
        """From now on ``operator`` speaks. Raises RequestRefused (taken_over, secret, in_queue,
        listen_first)."""
        call = self._call
        if self.on:
            if operator == self.operator:
                return
            raise RequestRefused("call", f"{self.operator or 'somebody'} has it already", code="taken_over")
        if call.secrecy.open:
            raise RequestRefused("call", "is taking a secret just now", code="secret")
        if call.holding.in_queue:
            raise RequestRefused("call", "waits in a queue just now", code="in_queue")
        if not call.listening.of(operator):
            raise RequestRefused("call", "is not being listened to by you", code="listen_first")
        self.on, self.operator, self.last = True, operator, operator
        self._began, self._leave_by, self._source = self._loop.time(), 0.0, None
        self._times += 1
        self._microphone, self._heard = Microphone(), False
        self._silence = call.secrecy.silence(bytes(160))
        self._back.clear()
        call.journal.write("operator.take_over", operator=operator)
        call.sounds.stop()
        if call.session is not None:
            call.session.take_over(True)
            call.session.note(BEGUN)
        call.mute_agent(True)
        call.stop_leg()
        call.leg.speak_live(self._next)
        self._changed()

    def leave(self, operator: str, reason: str = "asked") -> None:
        """Hand back: the voice ends now, the agent is back once the last words were heard."""
        if not self.operator:
            return
        call = self._call
        seconds = round(self._loop.time() - self._began, 3)
        call.journal.write("operator.hand_back", operator=operator, reason=reason, seconds=seconds)
        self.operator, self._reason = "", reason
        call.leg.speak_live(None)
        self.words.flush()
        self._leave_by = self._loop.time() + LAST_WORDS_S
        self._changed()
        # Not one of the call's own timers: in a replay its end is told by the recording.
        if not self._replayed:
            Context().run(self._loop.call_later, LAST_WORDS_S + 0.1, self._look, self._times)

    def finish(self) -> None:
        """The agent is back."""
        if not self.on or self.operator:
            return
        call = self._call
        self.on, self._leave_by = False, 0.0
        call.mute_agent(False)
        if call.session is not None:
            call.session.note(OVER if self._reason != "voice_lost" else LOST)
            call.session.take_over(False)
        self._changed()
        self._back.set()
        if self._reason == "voice_lost" and call.talking and not call.ledger.open():
            self._go_on()

    def _go_on(self) -> None:
        """Nobody would say anything: the caller does not know that the human is gone."""
        call = self._call
        if call.session is not None and call.speech is not None and not call.speech.closed:
            request_id = f"back_{self._times}"
            submit_wish(call.session, call.speech, call.ledger, LOST, {}, request_id)

    def close(self) -> None:
        """The call is over."""
        if self.on:
            self.on, self.operator = False, ""
            self._call.leg.speak_live(None)
        self._back.set()

    async def until_back(self) -> None:
        """Wait until the agent may speak."""
        await self._back.wait()

    def follow(self, former: Leg, leg: Leg) -> None:
        """Another party is on the line: the human speaks with that one."""
        if self.operator:
            former.speak_live(None)
            leg.speak_live(self._next)

    def _changed(self) -> None:
        self._call.holding.apply()
        self._call.listening.changed()

    # ── the voice ───────────────────────────────────────────────────────────────────────────────
    def voice(self, listener: Listener, frame: bytes) -> None:
        """20 ms of µ-law from a listener; counts only from the one who has the call."""
        if not self.operator or listener.name != self.operator:
            return
        if self._source is None or self._source.ended:
            self._source = listener
        if self._source is listener:
            self._heard = True
            self._microphone.put(frame)
            spoke = self.words.speaking
            self.words.heard(frame)
            if spoke != self.words.speaking:
                self._call.set_floor("nobody" if spoke else "operator")

    def _next(self) -> bytes:
        """Return the caller's next 20 ms, in the law of the line."""
        frame = self._microphone.take()
        alaw = self._call.leg.audio_format == "audio/pcma"
        if frame is not None:
            return ulaw_to_alaw(frame) if alaw else frame
        starved_s = self._microphone.starved / SLOTS_PER_S
        if starved_s >= (LOST_S if self._heard else FIRST_S):
            self.voice_lost()
        elif starved_s >= COMFORT_AFTER_S:
            return self._waiting()
        return self._silence

    def voice_lost(self) -> None:
        """The microphone has been silent for too long: the agent is back."""
        if self.operator:
            write_operator(self._call.journal, "voice_lost")
            with of_the_call(self._call.journal):
                self.leave(self.operator, "voice_lost")

    # ── every 20 ms of the caller's ─────────────────────────────────────────────────────────────
    def tick(self) -> None:
        """Pass on what the human said, and end the handing back when all of it was heard."""
        if self._replayed:
            return
        self.words.pass_on()
        if self._leave_by and (not self.words.busy or self._loop.time() >= self._leave_by):
            self._end()

    def _look(self, times: int) -> None:
        """Nothing of the caller's comes: end the handing back without it."""
        if self._leave_by and times == self._times:
            self._end()

    def _end(self) -> None:
        write_operator(self._call.journal, "handed_back")
        with of_the_call(self._call.journal):
            self.finish()
