"""One hosted call: the caller's SIP dialog and RTP, and from its acceptance on a session of the wire.

A call rings until it is accepted, rejected or given up; accepted, it lives until somebody hangs up. Control
sockets come and go meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from voiceagent.errors import MediaError, SipError
from voiceagent.media.party import MediaPlace, RtpParty
from voiceagent.media.playout import Heard
from voiceagent.sip import effects as sip
from voiceagent.sip.net.transport import SipTransport
from voiceagent.tasks import TaskNest

from .config import EngineConfig
from .faults import FaultPlan
from .hosted_outlet import HostedOutlet
from .parts_pool import PartsPool
from .ports import AudioFormat
from .protocol_errors import Refusal
from .protocol_session import WireSession
from .session_state import SessionState

_log = logging.getLogger("voiceagent.engine")
DEFAULT_VOICE = "marin"
EXPIRED_CLOSE = 1001
MOST_CAUGHT = 8000 * 10
"""Bytes of the caller's audio waiting to be judged; older audio is dropped."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What every call of one engine needs."""

    config: EngineConfig
    pool: PartsPool
    tokens: Callable[[], str]
    plan: Callable[[], FaultPlan]
    media: MediaPlace


class HostedCall:
    """One caller. Fulfils :class:`~voiceagent.engine.output_buffer.Line` and the port's events."""

    def __init__(
        self,
        call_id: str,
        invite: sip.InviteReceived,
        transport: SipTransport,
        studio: Studio,
        over: Callable[[HostedCall], None],
    ) -> None:
        self.id = call_id
        self.leg = invite.leg
        self.accepted = False
        self.over = False
        self.nest = TaskNest(f"engine-{call_id}")
        self._invite = invite
        self._transport = transport
        self._studio = studio
        self._told_over = over
        self._party = RtpParty(studio.media, self)
        self._answer: bytes | None = None
        self._caught = bytearray()
        self._caught_more = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        """While ringing: gives the caller up. Afterwards: ends the session of age."""
        self._referring = False
        self.outlet: HostedOutlet | None = None
        self.session: WireSession | None = None

    # -- what the application asks ---------------------------------------------------------------------

    def prepare(self) -> None:
        """Bind RTP and settle the SDP. Raises SipError or MediaError."""
        self._party.open()
        offer = self._invite.offer
        self._answer = self._party.answer(offer) if offer is not None else self._party.offer()

    def ring(self, limit_s: float) -> None:
        """Ring, for ``limit_s`` seconds at most."""
        self._set_timer(limit_s, lambda: self.hang_up("not accepted in time"))
        self._transport.ring(self.leg)

    def _set_timer(self, seconds: float, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def accept(self, config: Mapping[str, Any]) -> None:
        """Answer the call with a session of this (checked) configuration. Raises Refusal."""
        studio = self._studio
        plan = studio.plan()
        outlet = HostedOutlet(studio.tokens, plan, self._expire)
        minutes = studio.config.session_minutes
        state = SessionState(
            outlet.new_id("sess"),
            config.get("model", studio.config.model),
            DEFAULT_VOICE,
            int(time.time() + minutes * 60),
            strict=studio.config.strict,
            line_format=self.audio_format,
        )
        state.update(config, voice_frozen=False)
        self.outlet = outlet
        self.session = WireSession(studio.config, studio.pool, state, outlet, plan, self.nest, self)
        self.accepted = True
        self._set_timer(minutes * 60, self._expire)
        self.nest.start("listen", self._listen(self.session))
        assert self._answer is not None
        self._transport.accept(self.leg, self._answer)
        if self._invite.offer is not None and not self.over:
            self._party.start()

    def reject(self, status: int) -> None:
        """Refuse the call with a SIP status."""
        self._transport.reject(self.leg, status)
        self._end()

    def refer(self, target: str) -> bool:
        """Ask the caller's phone to call ``target``; False while an earlier transfer is under way."""
        if self._referring:
            return False
        self._referring = True
        self._transport.refer(self.leg, target)
        return True

    def hang_up(self, reason: str = "") -> None:
        """End the call from our side."""
        if self.over:
            return
        if self.accepted:
            self._transport.hang_up(self.leg, reason)
        else:
            self._transport.reject(self.leg, 480, reason)
        self._end()

    # -- SIP -------------------------------------------------------------------------------------------

    def on_sip(self, event: sip.SipEvent) -> None:
        """Take one event of the dialog."""
        match event:
            case sip.Confirmed(answer=answer):
                self._confirmed(answer)
            case sip.OfferReceived(offer=offer):
                self._re_offered(offer)
            case sip.ReferProgress(status=status, final=final):
                self._referred(status, final=final)
            case sip.Ended():
                self._end()
            case _:
                return

    def _confirmed(self, answer: bytes | None) -> None:
        """The ACK of a 2xx that carried our offer has the answer."""
        if self.over or (answer is None and (self._invite.offer is not None or self._party.running)):
            return
        try:
            if answer is None:
                raise SipError("the ACK carries no answer", status=400)
            self._party.answered(answer)
            self._party.start()
        except SipError as error:
            self.hang_up(str(error))

    def _re_offered(self, offer: bytes | None) -> None:
        try:
            answer = self._party.answer(offer) if offer is not None else self._party.offer()
        except SipError as error:
            self._transport.refuse_offer(self.leg, error.status)
            return
        self._transport.answer_offer(self.leg, answer)

    def _referred(self, status: int, *, final: bool) -> None:
        if status >= 300:
            self._referring = False
        elif final and status >= 200:
            self.hang_up("transferred")

    # -- the line (output) -----------------------------------------------------------------------------

    @property
    def audio_format(self) -> AudioFormat:
        """The agreed law."""
        return self._party.audio_format

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        """Queue audio of an item."""
        if not self.over:
            self._party.port.play(audio, response_id, item_id)

    def play_end(self, response_id: str) -> None:
        """No more audio of this response will come."""
        if not self.over:
            self._party.port.play_end(response_id)

    def stop(self) -> Iterable[Heard]:
        """Silence now; return the account of every unfinished item."""
        return self._party.port.stop_playing()

    # -- the line (input and facts of playing) ---------------------------------------------------------

    def on_audio(self, audio: bytes) -> None:
        """Keep the caller's audio for the listener."""
        self._caught += audio
        if len(self._caught) > MOST_CAUGHT:
            del self._caught[: len(self._caught) - MOST_CAUGHT]
        self._caught_more.set()

    def on_digit(self, digit: str) -> None:
        """Tell a key of the caller."""
        if self.outlet is not None:
            self.outlet.emit(
                "input_audio_buffer.dtmf_event_received", event=digit, received_at=int(time.time())
            )

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        """An item's first packet has left."""
        if self.session is not None and self.session.output is not None:
            self.session.output.playback_started(response_id)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        """An item was played to its end."""
        if self.session is not None and self.session.output is not None:
            self.session.output.playback_ended(response_id, item_id)

    def on_media_lost(self, silence_s: float) -> None:
        """The phone has gone without a word."""
        self.hang_up(f"no RTP for {silence_s:.0f} s")

    def on_media_failed(self, error: MediaError) -> None:
        """The media cannot be encrypted as agreed."""
        self.hang_up(str(error))

    async def _listen(self, session: WireSession) -> None:
        while True:
            await self._caught_more.wait()
            self._caught_more.clear()
            audio = bytes(self._caught)
            self._caught.clear()
            try:
                await session.input.append(audio)
            except Exception:
                _log.exception("the audio of call %s could not be judged", self.id)

    # -- the end ---------------------------------------------------------------------------------------

    def _expire(self) -> None:
        if self.over or self.outlet is None:
            return
        message = f"Your session hit the maximum duration of {self._studio.config.session_minutes:g} minutes."
        self.outlet.emit("error", error=Refusal("session_expired", message).error(None))
        self.outlet.close(EXPIRED_CLOSE, message)
        self.hang_up("session expired")

    def _end(self) -> None:
        if self.over:
            return
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        self._party.close()
        self._told_over(self)
        if self.outlet is not None and self._studio.config.hosted is not None:
            self.outlet.close(self._studio.config.hosted.end_close, "The call has ended.")

    def drop(self) -> None:
        """Give the port back of a call that was never offered."""
        self._party.close()

    async def close(self) -> None:
        """Let go of everything after the end."""
        if self.session is not None:
            await self.session.close()
        await self.nest.close()
