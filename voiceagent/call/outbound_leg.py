"""The direct leg of a call that we place: INVITE, ringing, early media, the answer or why there is none."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import G711, LegEnd, LegInfo, LegListener
from voiceagent.call.sip_leg import SipLeg
from voiceagent.errors import SipError
from voiceagent.sip import effects as sip
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.syntax.uri import SipUri

Lookup = Callable[[], Awaitable[Sequence[sip.Address]]]
"""Finds where a target lives. Raises SipError."""


@dataclass(frozen=True, slots=True)
class DialPlan:
    """Whom to call, as whom, and through where. Nothing in it is checked here any more."""

    target: str
    """Request-URI."""
    destination: sip.Address | Sequence[sip.Address] | Lookup
    """Where the INVITE goes; several are tried in order (RFC 3263 §4.3)."""
    from_uri: str
    from_name: str = ""
    headers: Sequence[tuple[str, str]] = ()
    ring_timeout_s: float = 45.0
    trunk: str = ""
    """Over which trunk it goes, by that trunk's rules and with our account there; empty: over none."""
    codecs: tuple[str, ...] | None = None
    """In our order; None: those of the media settings."""
    line: G711 | None = None
    """The format of the audio that we take and give, where it is settled already."""


Place = Callable[["OutboundLeg", Callable[[], str]], str]
"""Sends an INVITE by calling the function, which returns the leg's id, and routes its events to the leg."""


class OutboundLeg(SipLeg):
    """One INVITE of ours. Fulfils :class:`voiceagent.call.leg.Leg`.

    The line's format stands before anybody has answered, because the model's session is opened while it
    rings; a callee that picks another codec gets its audio transcoded by the port. Early media is received
    (announcements, ringback) and counted, but never handed on, and nothing of the agent's is played into it.
    """

    def __init__(
        self,
        plan: DialPlan,
        transport: SipTransport,
        media: DirectMedia,
        gone: Callable[[str], None],
        place: Place,
    ) -> None:
        info = LegInfo(
            id="",
            kind="direct",
            caller=_user_of(plan.from_uri),
            called=_user_of(plan.target),
            caller_name=plan.from_name,
            direction="outbound",
            dialled=plan.target,
            trunk=plan.trunk,
        )
        super().__init__(info, transport, media, gone, plan.codecs)
        if plan.line is not None:
            self._audio.settle(plan.line)
        self._plan = plan
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._decided: asyncio.Future[None] = self._loop.create_future()
        """Done when the call was answered or has ended."""
        self._ring_timer: asyncio.TimerHandle | None = None
        self._early: dict[str, bytes] = {}
        """SDP of early dialogs, by To tag."""
        self._rang = False
        self.answered = False
        self.early_ms = 0
        """How much early media was heard."""

    # ── Leg ─────────────────────────────────────────────────────────────────────────────────────
    def listen(self, listener: LegListener) -> None:
        super().listen(listener)
        if self.answered and not self._over:
            listener.leg_progress(200, False)

    async def prepare(self) -> None:
        """Bind RTP and send the INVITE with our offer. Raises MediaError.

        A target that has no address, or cannot be called at all, has ended when this returns.
        """
        plan = self._plan
        try:
            destinations = await _addresses(plan.destination)
            await self._audio.load()
            if self._decided.done():
                return  # hung up meanwhile
            self._audio.tls_signalling = all(one.transport == "tls" for one in destinations)
            self._open()
            offer = self._audio.offer()
            self._place(
                self,
                lambda: self._named(
                    self._transport.invite(
                        plan.target,
                        from_uri=plan.from_uri,
                        from_name=plan.from_name,
                        sdp=offer,
                        destination=destinations,
                        headers=tuple(plan.headers),
                        trunk=plan.trunk,
                    )
                ),
            )
        except SipError as error:
            self._ended(LegEnd.UNREACHABLE, error.status, str(error))
        if not self._decided.done():
            self._ring_timer = self._loop.call_later(plan.ring_timeout_s, self._rang_out)

    def _named(self, leg_id: str) -> str:
        call_id = self._transport.call_id(leg_id)
        self.info = dataclasses.replace(self.info, id=leg_id, protocol_call_id=call_id)
        return leg_id

    async def answer(self) -> None:
        """Wait until the callee has answered, or the leg has ended: the listener was told."""
        await asyncio.shield(self._decided)

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        """Give the call up."""
        await self.hang_up(reason)

    async def hang_up(self, reason: str = "") -> None:
        await super().hang_up(reason)
        self._decide()

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        """Queue agent audio. Before the answer it is dropped: early media is not for the agent's voice."""
        if self.answered:
            super().play(audio, response_id=response_id, item_id=item_id)

    def play_end(self, *, response_id: str) -> None:
        if self.answered:
            super().play_end(response_id=response_id)

    # ── SIP events ──────────────────────────────────────────────────────────────────────────────
    def on_sip(self, event: sip.SipEvent) -> None:
        match event:
            case sip.InviteProgress():
                self._progress(event)
            case sip.Answered():
                self._on_answer(event)
            case _:
                super().on_sip(event)

    def _progress(self, event: sip.InviteProgress) -> None:
        if self._over or self.answered:
            return
        self._rang = True
        if event.answer is not None and self._early.get(event.fork) != event.answer:
            self._early[event.fork] = event.answer
            self._hear_early(event.answer)
        if self._listener is not None:
            self._listener.leg_progress(event.status, self._audio.running)

    def _hear_early(self, answer: bytes) -> None:
        """Follow the newest early dialog (RFC 3960 §3): who answers in the end is told by the 2xx."""
        try:
            self._audio.answered(answer)
            if not self._audio.running:
                self._audio.start()
        except SipError:
            return  # an early answer that is of no use; the final one decides

    def _on_answer(self, event: sip.Answered) -> None:
        if self._over:
            return
        answer = event.sdp if event.sdp is not None else self._early.get(event.fork)
        try:
            if answer is None:
                raise SipError("the answer carries no SDP", status=488)
            self._audio.answered(answer)
            if not self._audio.running:
                self._audio.start()
        except SipError as error:
            self._give_up(LegEnd.NO_MEDIA, error.status, str(error))
            return
        self.answered = True
        self._decide()
        if self._listener is not None:
            self._listener.leg_progress(200, self.early_ms > 0)
        self._tell_hold()

    def _end_of(self, event: sip.Ended) -> LegEnd:
        if self.answered:
            return super()._end_of(event)
        return end_of_dialling(event.by, event.status, rang=self._rang)

    def _ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        self._decide()
        super()._ended(end, status, reason)

    def _rang_out(self) -> None:
        end = LegEnd.NO_ANSWER if self._rang else LegEnd.UNREACHABLE
        self._give_up(end, 408, f"no answer within {self._plan.ring_timeout_s:g} s")

    def _decide(self) -> None:
        if self._ring_timer is not None:
            self._ring_timer.cancel()
            self._ring_timer = None
        if not self._decided.done():
            self._decided.set_result(None)

    # ── media events (PortEvents) ───────────────────────────────────────────────────────────────
    def on_audio(self, audio: bytes) -> None:
        if not self.answered:
            self.early_ms += len(audio) // 8
            return
        super().on_audio(audio)

    def on_digit(self, digit: str) -> None:
        if self.answered:
            super().on_digit(digit)

    def on_media_lost(self, silence_s: float) -> None:
        if self.answered:  # who only rings need not send anything
            super().on_media_lost(silence_s)


async def _addresses(destination: sip.Address | Sequence[sip.Address] | Lookup) -> Sequence[sip.Address]:
    if isinstance(destination, sip.Address):
        return (destination,)
    return await destination() if callable(destination) else destination


_DECLINED = frozenset({401, 403, 407, 603, 607, 608})
_NO_ANSWER = frozenset({408, 480, 487})
_NOT_FOUND = frozenset({404, 410, 484, 604})


def end_of_dialling(by: str, status: int | None, *, rang: bool) -> LegEnd:
    """PURE. Return why a call of ours was not answered.

    ``by`` is that of :class:`voiceagent.sip.effects.Ended`. A redirection (3xx) is not followed (the peer
    must not choose whom we call), so the callee counts as unreachable, as with 5xx and what else there is.
    """
    if by == "us":
        return LegEnd.WE_HUNG_UP
    if by == "timeout":
        return LegEnd.NO_ANSWER if rang else LegEnd.UNREACHABLE
    if by != "rejected" or status is None:
        return LegEnd.UNREACHABLE
    if status in (486, 600):
        return LegEnd.BUSY
    if status in _DECLINED:
        return LegEnd.DECLINED
    if status in _NO_ANSWER:
        return LegEnd.NO_ANSWER
    return LegEnd.NOT_FOUND if status in _NOT_FOUND else LegEnd.UNREACHABLE


def _user_of(uri: str) -> str:
    try:
        parsed = SipUri.parse(uri)
    except SipError:
        return uri
    return parsed.user or uri
