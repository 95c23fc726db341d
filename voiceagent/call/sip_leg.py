"""The direct leg: a dialog of our SIP user agent and an RTP port as one party of a call.

What both directions share stands here; :mod:`.inbound_leg` and :mod:`.outbound_leg` add their set-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Sequence

from voiceagent.call.direct_audio import DirectAudio, DirectMedia
from voiceagent.call.inputs import Inputs
from voiceagent.call.leg import (
    G711,
    Heard,
    Leg,
    LegCapabilities,
    LegEnd,
    LegInfo,
    LegListener,
    LegTap,
    MediaFigures,
    Progress,
    TransferResult,
)
from voiceagent.call.recorded_sip import RecordedEndpoint
from voiceagent.call.silence import SilenceWatch
from voiceagent.errors import MediaError, SipError
from voiceagent.media.key_presses import KeyPresses, Way
from voiceagent.media.telephone_event import DIGITS
from voiceagent.sip import effects as sip
from voiceagent.sip.net.transport import SipTransport

OFFER_LIMIT_S = 40.0
"""How long an offer of ours may be open; the transaction layer gives up after 32 s."""
OFFER_AGAIN_S = 0.1
"""Until it is tried again while another exchange of offer and answer is open."""
KEY_MS = 160
KEY_S = 0.25
"""Length of a key sent by INFO, and from one key to the next."""
_ENDS = {
    "peer": LegEnd.CALLER_HUNG_UP,
    "us": LegEnd.WE_HUNG_UP,
    "cancelled": LegEnd.CALLER_CANCELLED,
    "rejected": LegEnd.REJECTED,
    "no_ack": LegEnd.NO_ACK,
    "timeout": LegEnd.FAILED,
    "expired": LegEnd.EXPIRED,
}


class SipLeg:
    """One dialog with its audio; fulfils :class:`voiceagent.call.leg.Leg` with the set-up of a direction.

    ``gone`` is told the dialog's id once the leg has ended.
    """

    def __init__(
        self,
        info: LegInfo,
        transport: SipTransport,
        media: DirectMedia,
        gone: Callable[[str], None],
        codecs: tuple[str, ...] | None,
    ) -> None:
        self.info = info
        self.capabilities = LegCapabilities(can_record=True)
        self._transport = transport
        self._gone = gone
        self._audio = DirectAudio(media, self, codecs)
        self._listener: LegListener | None = None
        self._tap: LegTap | None = None
        self._over = False
        self._end: tuple[LegEnd, int | None, str] | None = None
        self._transfer: asyncio.Future[TransferResult] | None = None
        self._steps: list[tuple[int, str]] = []
        """What was told about the transfer under way, or the last one."""
        self._progress_told: Progress | None = None
        self._offered: asyncio.Future[int] | None = None
        """Done with the status of our last offer within the dialog."""
        self._presses = KeyPresses()
        self._held = False
        self._silence = SilenceWatch(media.silence_probes)
        self._hold_probe_s = media.hold_probe_s
        self._hold_timer: asyncio.TimerHandle | None = None

    # ── Leg ─────────────────────────────────────────────────────────────────────────────────────
    @property
    def audio_format(self) -> G711:
        return self._audio.audio_format

    def listen(self, listener: LegListener) -> None:
        self._listener = listener
        if self._end is not None:
            listener.leg_ended(*self._end)

    def record_sip(self, inputs: Inputs) -> None:
        """Have the messages of our dialog written into a call's journal, where the endpoint does that."""
        endpoint = getattr(self._transport, "endpoint", None)
        if isinstance(endpoint, RecordedEndpoint):
            endpoint.follow(self.info.id, inputs, asyncio.get_running_loop().time())

    def _open(self) -> None:
        self._audio.open()
        self._watch_hold()

    async def hang_up(self, reason: str = "") -> None:
        if not self._over:
            self._transport.hang_up(self.info.id, reason)
        self._close()

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        return await self._refer(lambda: self._transport.refer(self.info.id, target), timeout_s, progress)

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        order = lambda: self._transport.refer_replacing(self.info.id, other.info.id)  # noqa: E731
        return await self._refer(order, timeout_s, progress)

    async def _refer(
        self, order: Callable[[], None], timeout_s: float, progress: Progress | None
    ) -> TransferResult:
        if self._over:
            return TransferResult(False, None, "the call is over")
        if self._transfer is not None:
            return TransferResult(False, 491, "a transfer is under way")
        self._transfer = asyncio.get_running_loop().create_future()
        self._steps, self._progress_told = [], progress
        try:
            order()
            async with asyncio.timeout(timeout_s):
                result = await self._transfer
        except TimeoutError:
            result = TransferResult(False, 408, "no outcome in time")
        except SipError as error:
            result = TransferResult(False, error.status, str(error))
        finally:
            self._transfer = None
        return dataclasses.replace(result, steps=tuple(self._steps))

    async def hold(self, on: bool) -> bool:
        """Offer what a hold means, or its end. Music plays from now on, whatever the peer says to it."""
        if self._over:
            return False
        sdp = self._audio.hold(on)
        try:
            async with asyncio.timeout(OFFER_LIMIT_S):
                while not self._over:
                    self._offered = asyncio.get_running_loop().create_future()
                    try:
                        self._transport.offer(self.info.id, sdp)
                    except SipError as error:
                        if error.code != "bad_state":
                            return False
                        await asyncio.sleep(OFFER_AGAIN_S)  # the peer's own offer, or our 200, comes first
                        sdp = self._audio.hold(on)
                    else:
                        return await self._offered < 300
        except TimeoutError:
            pass
        return False

    async def send_digits(self, digits: str) -> None:
        """Send keys the way that was agreed on (setting ``media.digits``). ValueError for what is no key."""
        way = self._audio.digit_way(lambda: self._transport.peer_takes(self.info.id, "INFO"))
        if way != "info":
            self._audio.port.send_digits(digits, inband=way == "inband")
            await asyncio.sleep(KEY_S * len(digits))
            return
        for digit in digits.upper():
            if digit not in DIGITS:
                raise ValueError(f"{digit!r} is no DTMF digit")
        for digit in digits.upper():
            if self._over:
                return
            body = f"Signal={digit}\r\nDuration={KEY_MS}\r\n".encode()
            self._transport.send_info(self.info.id, "application/dtmf-relay", body)
            await asyncio.sleep(KEY_S)

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        self._audio.port.play(audio, response_id, item_id)

    def play_end(self, *, response_id: str) -> None:
        self._audio.port.play_end(response_id)

    def stop_playing(self) -> Sequence[Heard]:
        return self._audio.stop()

    def play_music(self, on: bool) -> None:
        self._audio.entertain(on)

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        self._audio.speak_live(voice)

    def tap(self, tap: LegTap | None) -> None:
        self._tap = tap
        self._audio.port.tap(None if tap is None else tap.agent_audio)

    def figures(self) -> MediaFigures:
        port = self._audio.port.figures()
        return MediaFigures(
            port.received,
            port.sent,
            port.lost,
            port.late,
            port.foreign,
            port.details,
            self._audio.port.srtp_profile,
        )

    def replaced_by(self, successor: Leg) -> bool:
        """Ask the call whether ``successor`` may take this leg's place."""
        return self._listener is not None and not self._over and self._listener.leg_replaced(successor)

    # ── SIP events ──────────────────────────────────────────────────────────────────────────────
    def on_sip(self, event: sip.SipEvent) -> None:
        """Take one event of our dialog."""
        match event:
            case sip.Confirmed(answer=answer):
                self._confirmed(answer)
            case sip.OfferReceived(offer=offer):
                self._re_offered(offer)
            case sip.InfoReceived():
                self._pressed(digit_of_info(event.content_type, event.body), "info")
            case sip.AnswerReceived():
                self._offer_settled(event)
            case sip.ReferProgress():
                self._referred(event)
            case sip.ReferReceived(taken=True):
                self._asked_to_refer(event)
            case sip.SessionRefreshed(sdp=answer):
                self._refreshed(answer)
            case sip.RefreshRefused():
                self._note("session.refresh_refused", method=event.method, status=event.status)
            case sip.ProbeAnswered():
                self._note("leg.answered_probe", status=event.status)
            case sip.Ended():
                self._ended(self._end_of(event), event.status, event.reason)
            case _:
                return

    @property
    def _owed_answer(self) -> bool:
        """True while the ACK of our 2xx must bring an answer, because the INVITE came without an offer."""
        return False

    def _confirmed(self, answer: bytes | None) -> None:
        """The ACK of a 2xx that carried our offer (late offer, or a re-INVITE without one) has the answer."""
        if self._over or (answer is None and not self._owed_answer):
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

    def _end_of(self, event: sip.Ended) -> LegEnd:
        if event.by == "failed" and event.status in (408, 481):
            return LegEnd.LOST
        return _ENDS.get(event.by, LegEnd.FAILED)

    def _re_offered(self, offer: bytes | None) -> None:
        try:
            answer = self._audio.answer(offer) if offer is not None else self._audio.offer()
        except SipError as error:
            self._transport.refuse_offer(self.info.id, error.status)
            return
        self._transport.answer_offer(self.info.id, answer)
        self._tell_hold()

    def _offer_settled(self, event: sip.AnswerReceived) -> None:
        """The peer has answered our offer, or refused it: then all stays as it was."""
        status = event.status
        try:
            if event.sdp is not None and status < 300:
                self._audio.answered(event.sdp)
        except SipError as error:
            status = error.status
        if self._offered is not None and not self._offered.done():
            self._offered.set_result(status)
        self._tell_hold()

    def _asked_to_refer(self, event: sip.ReferReceived) -> None:
        asked = PeerRefer(event, self._transport)
        if self._over or self._listener is None or event.method != "INVITE":
            asked.refuse(403)
        else:
            self._listener.leg_refer(asked)

    def _pressed(self, digit: str | None, way: Way) -> None:
        now = asyncio.get_running_loop().time()
        if digit and self._listener is not None and self._presses.fresh(digit, way, now):
            self._listener.leg_digit(digit)

    def _tell_hold(self) -> None:
        if self._audio.held != self._held and self._listener is not None:
            self._held = self._audio.held
            self._listener.leg_held(self._held)

    def _referred(self, event: sip.ReferProgress) -> None:
        future = self._transfer
        if future is None or future.done():
            return
        self._steps.append((event.status, event.reason))
        if self._progress_told is not None:
            self._progress_told(event.status, event.reason)
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
        if self._offered is not None and not self._offered.done():
            self._offered.set_result(487)
        if self._transfer is not None and not self._transfer.done():
            # Many phones hang up as soon as the new call stands; the last NOTIFY then never comes. One that
            # has not even taken the REFER has simply given up.
            accepted = end is LegEnd.CALLER_HUNG_UP and any(step[0] < 300 for step in self._steps)
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
        self._audio.close()
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None

    # ── media events (PortEvents) ───────────────────────────────────────────────────────────────
    def on_audio(self, audio: bytes) -> None:
        if self._tap is not None:
            self._tap.caller_audio(audio)
        if self._listener is not None:
            self._listener.leg_audio(audio)

    def on_digit(self, digit: str) -> None:
        self._pressed(digit, "rtp")

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        if self._listener is not None:
            self._listener.leg_playback_started(response_id, item_id)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        if self._listener is not None:
            self._listener.leg_playback_ended(Heard(response_id, item_id, heard_ms, cut))

    def on_media_lost(self, silence_s: float) -> None:
        """Nothing heard for too long: does the phone still know the call? (:mod:`.silence`)"""
        if self._over:
            return
        if self._silence.gives_up(silence_s):
            self._give_up(LegEnd.NO_MEDIA, None, f"no RTP for {silence_s:.0f} s")
        else:
            self._note("media.silent", seconds=round(silence_s, 1), probe=self._silence.asked)
            self._probe()

    # ── is anybody there? ───────────────────────────────────────────────────────────────────────
    def _probe(self) -> None:
        # Before the call is answered there is nothing to ask yet.
        with contextlib.suppress(SipError):
            self._transport.probe(self.info.id)

    def _watch_hold(self) -> None:
        if self._hold_probe_s:
            loop = asyncio.get_running_loop()
            self._hold_timer = loop.call_later(self._hold_probe_s, self._on_hold_too_long)

    def _on_hold_too_long(self) -> None:
        """Silence says nothing while no media has to come; a session timer asks by itself."""
        waiting = self._audio.running and self._audio.port.path.direction != "sendrecv"
        if waiting and self._transport.session_interval(self.info.id) is None:
            self._probe()
        if not self._over:
            self._watch_hold()

    def _refreshed(self, answer: bytes | None) -> None:
        if answer is None or self._over:
            return
        try:
            self._audio.refreshed(answer)
        except SipError as error:
            self._note("session.refresh_unread", error=str(error))
        else:
            self._tell_hold()

    def _note(self, kind: str, **facts: object) -> None:
        if self._listener is not None:
            self._listener.leg_noted(kind, **facts)

    def on_media_failed(self, error: MediaError) -> None:
        """The media cannot be encrypted as agreed, so there is none."""
        if not self._over:
            self._give_up(LegEnd.NO_MEDIA, None, str(error))


class PeerRefer:
    """One REFER of the peer; fulfils :class:`voiceagent.call.leg.ReferAsked`."""

    def __init__(self, event: sip.ReferReceived, transport: SipTransport) -> None:
        self._event = event
        self._transport = transport
        self.target = event.target

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        headers: list[tuple[str, str]] = []
        if self._event.replaces:
            # Required, so that a target who does not know it does not begin a call of its own.
            headers += [("Replaces", self._event.replaces), ("Require", "replaces")]
        if self._event.referred_by.isprintable() and self._event.referred_by:
            headers.append(("Referred-By", self._event.referred_by))
        return headers

    def accept(self) -> None:
        self._transport.accept_refer(self._event.leg, self._event.refer)

    def refuse(self, status: int) -> None:
        self._transport.refuse_refer(self._event.leg, self._event.refer, status)

    def tell(self, status: int, reason: str) -> None:
        self._transport.refer_outcome(self._event.leg, status, reason, self._event.refer)


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
    return digit if len(digit) == 1 and digit in DIGITS else None
