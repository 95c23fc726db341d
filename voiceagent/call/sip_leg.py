"""The direct leg: our SIP user agent and our RTP port as one party of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from voiceagent.call.direct_audio import DirectAudio, DirectMedia
from voiceagent.call.leg import (
    G711,
    Heard,
    Leg,
    LegCapabilities,
    LegEnd,
    LegInfo,
    LegListener,
    MediaFigures,
    TransferResult,
)
from voiceagent.errors import SipError
from voiceagent.sip import effects as sip
from voiceagent.sip.transport import SipTransport

_ENDS = {
    "peer": LegEnd.CALLER_HUNG_UP,
    "us": LegEnd.WE_HUNG_UP,
    "cancelled": LegEnd.CALLER_CANCELLED,
    "rejected": LegEnd.REJECTED,
    "no_ack": LegEnd.NO_ACK,
    "timeout": LegEnd.FAILED,
}


class SipLeg:
    """One inbound INVITE dialog with its audio. Fulfils :class:`voiceagent.call.leg.Leg`."""

    def __init__(
        self,
        invite: sip.InviteReceived,
        transport: SipTransport,
        media: DirectMedia,
        gone: Callable[[str], None],
    ) -> None:
        self._invite = invite
        self._transport = transport
        self._gone = gone
        # Without an offer the codec would be known only after our answer, when the model's session stands
        # already: so we offer the one that every phone has.
        codecs = ("PCMU", "PCMA") if invite.offer is not None else ("PCMU",)
        self._audio = DirectAudio(media, self, codecs)
        self._listener: LegListener | None = None
        self._answer: bytes | None = None
        self._over = False
        self._end: tuple[LegEnd, int | None, str] | None = None
        self._opened = False
        self._transfer: asyncio.Future[TransferResult] | None = None
        self._refer_taken = False
        self._held = False
        self.info = LegInfo(
            id=invite.leg,
            kind="direct",
            caller=invite.caller_user or invite.caller_uri,
            called=invite.called_user,
            caller_name=invite.caller_name,
            protocol_call_id=invite.call_id,
            source=f"{invite.source[0]}:{invite.source[1]}",
            headers=invite.headers,
        )
        self.capabilities = LegCapabilities()

    # ── Leg ─────────────────────────────────────────────────────────────────────────────────────
    @property
    def audio_format(self) -> G711:
        return self._audio.audio_format

    def listen(self, listener: LegListener) -> None:
        self._listener = listener
        if self._end is not None:
            listener.leg_ended(*self._end)

    async def prepare(self) -> None:
        """Bind RTP, answer the offer (or make one, when the INVITE came without), and let it ring."""
        self._audio.open()
        self._opened = True
        offer = self._invite.offer
        self._answer = self._audio.answer(offer) if offer is not None else self._audio.offer()
        self._transport.ring(self.info.id)  # the provider may take a moment: the caller hears that it rings

    async def answer(self) -> None:
        """Send 200 with our SDP. Media starts at once; a caller who never sends ACK is told as ``NO_ACK``."""
        if self._over:
            return
        assert self._answer is not None
        self._transport.accept(self.info.id, self._answer)
        if self._invite.offer is not None:
            self._audio.start()

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        if self._over:
            return
        headers = [("Retry-After", str(retry_after_s))] if retry_after_s is not None else []
        self._transport.reject(self.info.id, status, reason, headers)

    async def hang_up(self, reason: str = "") -> None:
        if not self._over:
            self._transport.hang_up(self.info.id, reason)
        self._close()

    async def transfer(self, target: str, *, timeout_s: float) -> TransferResult:
        if self._over:
            return TransferResult(False, None, "the call is over")
        if self._transfer is not None:
            return TransferResult(False, 491, "a transfer is under way")
        self._transfer = asyncio.get_running_loop().create_future()
        self._refer_taken = False
        try:
            self._transport.refer(self.info.id, target)
            async with asyncio.timeout(timeout_s):
                return await self._transfer
        except TimeoutError:
            return TransferResult(False, 408, "no outcome in time")
        except SipError as error:
            return TransferResult(False, error.status, str(error))
        finally:
            self._transfer = None

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        self._audio.port.play(audio, response_id, item_id)

    def play_end(self, *, response_id: str) -> None:
        self._audio.port.play_end(response_id)

    def stop_playing(self) -> Sequence[Heard]:
        return self._audio.stop()

    def figures(self) -> MediaFigures:
        port = self._audio.port.figures()
        return MediaFigures(port.received, port.sent, port.lost, port.late, port.foreign, port.details)

    # ── SIP events ──────────────────────────────────────────────────────────────────────────────
    def on_sip(self, event: sip.SipEvent) -> None:
        """Take one event of our dialog."""
        match event:
            case sip.Confirmed(answer=answer):
                self._confirmed(answer)
            case sip.OfferReceived(offer=offer):
                self._re_offered(offer)
            case sip.InfoReceived():
                digit = digit_of_info(event.content_type, event.body)
                if digit and self._listener is not None:
                    self._listener.leg_digit(digit)
            case sip.ReferProgress():
                self._referred(event)
            case sip.Ended():
                self._ended(_ENDS.get(event.by, LegEnd.FAILED), event.status, event.reason)
            case _:
                return

    def _confirmed(self, answer: bytes | None) -> None:
        """The ACK of a 2xx that carried our offer (late offer, or a re-INVITE without one) has the answer."""
        if self._over or (answer is None and (self._invite.offer is not None or self._audio.running)):
            return
        try:
            if answer is None:
                raise SipError("the ACK carries no answer", status=400)
            self._audio.answered(answer)
            self._audio.start()
        except SipError as error:
            self._give_up(LegEnd.NO_MEDIA, error.status, str(error))
        else:
            self._tell_hold()

    def _re_offered(self, offer: bytes | None) -> None:
        try:
            answer = self._audio.answer(offer) if offer is not None else self._audio.offer()
        except SipError as error:
            self._transport.refuse_offer(self.info.id, error.status)
            return
        self._transport.answer_offer(self.info.id, answer)
        self._tell_hold()

    def _tell_hold(self) -> None:
        if self._audio.held != self._held and self._listener is not None:
            self._held = self._audio.held
            self._listener.leg_held(self._held)

    def _referred(self, event: sip.ReferProgress) -> None:
        future = self._transfer
        if future is None or future.done():
            return
        self._refer_taken = self._refer_taken or event.status < 300
        if event.status >= 300:
            future.set_result(TransferResult(False, event.status, event.reason))
        elif event.final and event.status >= 200:
            future.set_result(TransferResult(True, event.status, event.reason))

    def _ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._end = (end, status, reason)
        self._close()
        if self._transfer is not None and not self._transfer.done():
            # Many phones hang up as soon as the new call stands; the last NOTIFY then never comes. One that
            # has not even taken the REFER has simply given up.
            accepted = end is LegEnd.CALLER_HUNG_UP and self._refer_taken
            self._transfer.set_result(TransferResult(accepted, status, reason))
            if accepted:
                end = LegEnd.TRANSFERRED
                self._end = (end, status, reason)
        self._gone(self.info.id)
        if self._listener is not None:
            self._listener.leg_ended(end, status, reason)

    def _give_up(self, end: LegEnd, status: int | None, reason: str) -> None:
        # The end first: the transport tells our own hang-up at once, as an end without any fault.
        self._ended(end, status, reason)
        self._transport.hang_up(self.info.id, reason)

    def _close(self) -> None:
        if self._opened:
            self._opened = False
            self._audio.close()

    # ── media events (PortEvents) ───────────────────────────────────────────────────────────────
    def on_audio(self, audio: bytes) -> None:
        if self._listener is not None:
            self._listener.leg_audio(audio)

    def on_digit(self, digit: str) -> None:
        if self._listener is not None:
            self._listener.leg_digit(digit)

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        if self._listener is not None:
            self._listener.leg_playback_started(response_id, item_id)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        if self._listener is not None:
            self._listener.leg_playback_ended(Heard(response_id, item_id, heard_ms, cut))

    def on_media_lost(self, silence_s: float) -> None:
        """Nothing heard for too long: the phone has gone without a word."""
        if not self._over:
            self._give_up(LegEnd.NO_MEDIA, None, f"no RTP for {silence_s:.0f} s")


class SipGateway:
    """Turns the events of one SIP transport into legs, and routes each leg's events to it."""

    def __init__(
        self, media: DirectMedia, offered: Callable[[Leg], None], other: Callable[[sip.SipEvent], None]
    ) -> None:
        self._media = media
        self._offered = offered
        self._other = other
        self._legs: dict[str, SipLeg] = {}
        self.transport: SipTransport | None = None

    def __len__(self) -> int:
        return len(self._legs)

    def on_event(self, event: sip.SipEvent) -> None:
        """Take one event of the transport."""
        if isinstance(event, sip.InviteReceived):
            assert self.transport is not None
            leg = SipLeg(event, self.transport, self._media, self._forget)
            self._legs[event.leg] = leg
            try:
                self._offered(leg)
            except Exception:
                self.transport.reject(event.leg, 500, "Server Internal Error")
                raise  # the transport logs it; the caller must not be left ringing
            return
        leg_id = getattr(event, "leg", None)
        leg = self._legs.get(leg_id) if leg_id is not None else None
        if leg is not None:
            leg.on_sip(event)
        else:
            self._other(event)

    def _forget(self, leg_id: str) -> None:
        self._legs.pop(leg_id, None)


def digit_of_info(content_type: str, body: bytes) -> str | None:
    """Return the digit of an INFO body: ``Signal=5`` (application/dtmf-relay) or ``5`` (application/dtmf)."""
    text = body.decode("ascii", "replace")
    if content_type.lower().startswith("application/dtmf-relay"):
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.strip().lower() == "signal":
                text = value
                break
        else:
            return None
    digit = text.strip().upper()
    numbers = {"10": "*", "11": "#"}
    digit = numbers.get(digit, digit)
    return digit if len(digit) == 1 and digit in "0123456789*#ABCD" else None
