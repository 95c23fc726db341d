"""The hosted leg: a call that the provider terminates, taken and steered over its REST.

The provider hears and plays by itself. What is played is told by the control socket, as events of the
realtime model, which :meth:`HostedLeg.model_event` turns into the facts that a call expects of any leg.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from voiceagent.call.inputs import Inputs, error_data
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
from voiceagent.call.loop_timers import beyond
from voiceagent.errors import ProviderError, SipError
from voiceagent.realtime.model_events import (
    RealtimeModelEvent,
    RealtimeModelPlaybackEvent,
    RealtimeModelResponseOutcomeEvent,
)
from voiceagent.realtime.webhook_event import CallOffer
from voiceagent.sip.syntax.grammar_addr import NameAddr
from voiceagent.sip.syntax.identity import claims_of

_log = logging.getLogger("voiceagent.call.hosted")


class Reply(Protocol):
    """What became of one verb; see :class:`voiceagent.realtime.calls_rest.CallReply`."""

    @property
    def status(self) -> int: ...

    @property
    def settled(self) -> bool: ...


class CallControl(Protocol):
    """The provider's verbs for one call. Each raises :class:`~voiceagent.errors.ProviderError`."""

    async def accept(self, call_id: str, session: Mapping[str, Any]) -> Reply: ...

    async def reject(self, call_id: str, status: int) -> Reply: ...

    async def refer(self, call_id: str, target: str) -> Reply: ...

    async def hangup(self, call_id: str) -> Reply: ...


class RecordedControl:
    """The verbs, with what became of each written into the call's journal."""

    def __init__(self, calls: CallControl, inputs: Inputs) -> None:
        self._calls = calls
        self._inputs = inputs

    async def accept(self, call_id: str, session: Mapping[str, Any]) -> Reply:
        return await self._answered("accept", self._calls.accept(call_id, session))

    async def reject(self, call_id: str, status: int) -> Reply:
        return await self._answered("reject", self._calls.reject(call_id, status))

    async def refer(self, call_id: str, target: str) -> Reply:
        return await self._answered("refer", self._calls.refer(call_id, target))

    async def hangup(self, call_id: str) -> Reply:
        return await self._answered("hangup", self._calls.hangup(call_id))

    async def _answered(self, verb: str, work: Awaitable[Reply]) -> Reply:
        try:
            with beyond(self._inputs):
                reply = await work
        except ProviderError as error:
            self._inputs.write("rest", verb=verb, error=error_data(error))
            raise
        except asyncio.CancelledError:
            self._inputs.write("rest", verb=verb, given_up=True)
            raise
        self._inputs.write("rest", verb=verb, status=reply.status, settled=reply.settled)
        return reply


class HostedLeg:
    """One offered call. Fulfils :class:`voiceagent.call.leg.Leg`.

    ``session`` is what the call is accepted with; None where attaching the control socket is the acceptance.
    """

    def __init__(
        self,
        offer: CallOffer,
        calls: CallControl,
        *,
        session: Mapping[str, Any] | None = None,
        gone: Callable[[str], None] | None = None,
    ) -> None:
        self.call_id = offer.call_id
        self.session = session
        self.info = hosted_info(offer)
        self.capabilities = LegCapabilities(
            owns_playout=False,
            can_send_digits=False,
            can_hold=False,
            can_consult=False,
            private_input=False,
        )
        self._calls = calls
        self._gone = gone
        self._listener: LegListener | None = None
        self._asked = False
        """An accept has left; whether it arrived is known by its answer only."""
        self._taken = False
        self._end: tuple[LegEnd, int | None, str] | None = None
        self._playing: tuple[str, str] | None = None
        self._leaving: asyncio.Future[None] | None = None
        """Set while the provider transfers the call; done when the call has left us."""

    def record_inputs(self, inputs: Inputs) -> None:
        """Have what the provider answers to the verbs written down; all else follows from its events."""
        self._calls = RecordedControl(self._calls, inputs)

    # ── Leg ─────────────────────────────────────────────────────────────────────────────────────
    @property
    def audio_format(self) -> G711:
        """No audio passes through us; this is only what the call's session is told."""
        return "audio/pcmu"

    def listen(self, listener: LegListener) -> None:
        self._listener = listener
        if self._end is not None:
            listener.leg_ended(*self._end)

    async def prepare(self) -> None:
        """Accept the call with its whole session: the caller should not ring while we think.

        Raises SipError (``already_settled``) when the caller has gone, or another node was first.
        """
        if self.session is not None:
            self._asked = True
            reply = await self._calls.accept(self.call_id, self.session)
            if reply.settled:
                words = f"the provider says {reply.status}: the call is settled already"
                self._over(LegEnd.CALLER_CANCELLED, reply.status, words)
                raise SipError(words, status=487, code="already_settled")
            self._taken = True

    async def answer(self) -> None:
        """Nothing is left to do: the provider has answered."""
        self._asked = self._taken = True

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        if self._end is None:
            calls, call_id = self._calls, self.call_id
            settled = self._taken or await self._end_it(calls.reject(call_id, status))
            if settled and self._asked:
                await self._end_it(calls.hangup(call_id))  # it may be ours by now: nobody is left in silence
            self._over(LegEnd.REJECTED, status, reason)

    async def hang_up(self, reason: str = "") -> None:
        if self._end is None:
            await self._end_it(self._calls.hangup(self.call_id))
            self._over(LegEnd.WE_HUNG_UP, None, reason)

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        """Have the provider refer the caller. It is done when the call has left us, which is all we learn."""
        if self._end is not None:
            return TransferResult(False, None, "the call is over")
        if self._leaving is not None:
            return TransferResult(False, 491, "a transfer is under way")
        self._leaving = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._calls.refer(self.call_id, target)
                if reply.settled:
                    return TransferResult(False, reply.status, "the call is over")
                await self._leaving
        except TimeoutError:
            return TransferResult(False, 408, "the provider took the transfer, but the call is still here")
        except ProviderError as error:
            return TransferResult(False, None, str(error))
        finally:
            self._leaving = None
        return TransferResult(True, 200, "OK")

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        """The provider joins no legs."""
        return TransferResult(False, 501, "not supported")

    async def hold(self, on: bool) -> bool:
        """The provider knows no hold."""
        return False

    async def send_digits(self, digits: str) -> None:
        """The provider sends no keys; see the capabilities."""

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        """The provider plays; what comes by of it is not for us."""

    def play_end(self, *, response_id: str) -> None:
        """See :meth:`play`."""

    def stop_playing(self) -> Sequence[Heard]:
        """The provider's buffer is cleared by the sequencer, not here."""
        return ()

    def play_music(self, on: bool) -> None:
        """The provider plays, and it has no music: the caller waits in silence."""

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        """No audio passes through us; see the capabilities."""

    def tap(self, tap: LegTap | None) -> None:
        """No audio passes through us; see the capabilities."""

    def figures(self) -> MediaFigures:
        return MediaFigures()

    # ── what the control socket tells ───────────────────────────────────────────────────────────
    def model_event(self, event: RealtimeModelEvent) -> None:
        """Listen to the call's realtime model: what it plays is what this leg plays."""
        match event:
            case RealtimeModelPlaybackEvent(playing=True):
                self._stopped(cut=True)
                self._playing = (event.response_id, event.item_id)
                if self._listener is not None:
                    self._listener.leg_playback_started(event.response_id, event.item_id)
            case RealtimeModelPlaybackEvent():
                self._stopped(event.response_id, heard_ms=event.heard_ms, cut=event.cut)
            case RealtimeModelResponseOutcomeEvent():
                # The end of playing may get lost with a socket; the sequencer's word ends it, too.
                outcome = event.outcome
                if outcome.response_id is not None:
                    self._stopped(outcome.response_id, heard_ms=outcome.heard_ms, cut=outcome.interrupted)
            case _:
                return

    def call_over(self, reason: str) -> None:
        """The provider no longer knows the call."""
        if self._leaving is not None and not self._leaving.done():
            self._leaving.set_result(None)
            self._over(LegEnd.TRANSFERRED, None, reason)
        else:
            self._over(LegEnd.CALLER_HUNG_UP if self._taken else LegEnd.CALLER_CANCELLED, None, reason)

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def _stopped(self, response_id: str | None = None, *, heard_ms: int = 0, cut: bool) -> None:
        playing = self._playing
        if playing is None or (response_id is not None and playing[0] != response_id):
            return
        self._playing = None
        if self._listener is not None:
            self._listener.leg_playback_ended(Heard(*playing, heard_ms, cut))

    async def _end_it(self, verb: Awaitable[Reply]) -> bool:
        """Wait for a verb that ends the call; True when the call was settled otherwise, or nobody knows."""
        try:
            return (await verb).settled
        except ProviderError as error:
            # Our part ends all the same. The provider's own limits end a call that nobody steers.
            _log.warning("hosted call %s: %s", self.call_id, error)
            return True

    def _over(self, end: LegEnd, status: int | None, reason: str) -> None:
        if self._end is not None:
            return
        self._end = (end, status, reason)
        if self._gone is not None:
            self._gone(self.call_id)
        if self._listener is not None:
            self._listener.leg_ended(end, status, reason)


def hosted_info(offer: CallOffer) -> LegInfo:
    """Return who calls whom, as the SIP headers of an offer claim it."""
    caller, name = _address(offer.header("From"))
    called, _ = _address(offer.header("To"))
    return LegInfo(
        id=offer.call_id,
        kind="hosted",
        caller=caller,
        called=called,
        caller_name=name,
        protocol_call_id=offer.header("Call-ID") or offer.call_id,
        source="provider",
        headers=offer.headers,
        claims=claims_of(offer.headers),
    )


def _address(header: str) -> tuple[str, str]:
    """Return user (or URI) and display name of From or To; empty texts when it is malformed."""
    try:
        found = NameAddr.parse(header)
        return found.uri.user or found.uri_text, found.display
    except SipError:
        return "", ""
