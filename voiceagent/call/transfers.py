"""Handing the caller to somebody else: blind, or attended after a word with the target."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from voiceagent.call.leg import Heard, Leg, LegEnd, ReferAsked, TransferResult
from voiceagent.call.observer import CallObserver
from voiceagent.call.targets import why_not
from voiceagent.errors import MediaError, RequestRefused, SipError

if TYPE_CHECKING:
    from voiceagent.call.call import Call
    from voiceagent.call.leg_ear import LegEar

_log = structlog.get_logger("voiceagent.calls")

Dial = Callable[[str, Sequence[tuple[str, str]], Leg], Leg]
"""``dial(target, headers, for_leg)`` gives the leg of a call to ``target``, in the format of ``for_leg``.

Raises SipError or RequestRefused for a target that cannot be called. Its INVITE leaves with ``prepare``.
"""

NO_CONSULTATION = TransferResult(False, 501, "attended transfer is not supported on this call")
UNDER_WAY = TransferResult(False, 491, "a transfer is under way")


@dataclass(frozen=True, slots=True)
class HandingOver:
    """The newest transfer of a call, whoever asked for it."""

    target: str
    attended: bool
    state: str = "trying"
    """trying, done or failed."""
    status: int | None = None
    """SIP status that was told last."""
    reason: str = ""


class Transfers:
    """The transfers of one call; one at a time."""

    __slots__ = ("_call", "_dial", "_observer", "_targets", "active", "newest")

    def __init__(self, call: Call, targets: Sequence[str], dial: Dial | None, observer: CallObserver) -> None:
        self._call = call
        self._observer = observer
        self._targets = targets
        self._dial = dial
        self.active = False
        self.newest: HandingOver | None = None

    @property
    def can_dial(self) -> bool:
        """Whether we can call a target ourselves."""
        return self._dial is not None

    async def blind(self, target: str, timeout_s: float) -> TransferResult:
        """Have the caller's side call ``target`` by itself (REFER), and wait for the outcome."""
        refusal = self._refusal(target)
        if refusal is not None:
            return self._refused(target, refusal)
        work = self._call.leg.transfer(target, timeout_s=timeout_s, progress=self._progress)
        return await self._run(HandingOver(target, attended=False), work)

    async def attended(
        self,
        target: str,
        timeout_s: float,
        whisper: Callable[[], Awaitable[object]] | None = None,
        *,
        hold: bool = True,
    ) -> TransferResult:
        """Call ``target`` while the caller hears music; join the two once it has answered.

        ``whisper`` is awaited with the model's voice going to the target. When the target cannot be had, or
        the caller's side will not call it, the caller is taken back. Without ``hold`` the caller is left as
        is: whoever asks keeps the caller entertained.
        """
        refusal = self._refusal(target)
        if refusal is not None:
            return self._refused(target, refusal)
        if self._dial is None or not self._call.leg.capabilities.can_consult:
            return self._refused(target, NO_CONSULTATION)
        work = self._consult(self._dial, target, timeout_s, whisper, hold=hold)
        return await self._run(HandingOver(target, attended=True), work)

    def _refusal(self, target: str) -> TransferResult | None:
        if self.active:
            return UNDER_WAY
        reason = why_not(target, self._targets)
        return None if reason is None else TransferResult(False, 403, f"{reason} (call.transfer_targets)")

    def _refused(self, target: str, result: TransferResult) -> TransferResult:
        """Nothing was sent: the record and the log say so, because nothing else does."""
        self._call.journal.write(
            "transfer.refused", target=target, status=result.status, reason=result.reason
        )
        _log.warning("transfer refused", call_id=self._call.id, status=result.status, reason=result.reason)
        return result

    async def _run(self, begun: HandingOver, work: Awaitable[TransferResult]) -> TransferResult:
        target = begun.target
        result = TransferResult(False, None, "given up")
        self.active = True
        self._call.journal.write("transfer.started", target=target)
        self._show(begun)
        try:
            result = await work
        finally:
            self.active = False
            self._call.journal.write(
                "transfer.ended", target=target, accepted=result.accepted, status=result.status
            )
            state = "done" if result.accepted else "failed"
            self._show(replace(begun, state=state, status=result.status, reason=result.reason))
            self._call.ending.transferred(target, result)
        return result

    def _show(self, handing_over: HandingOver) -> None:
        self.newest = handing_over
        self._observer.call_changed(self._call)

    def _progress(self, status: int, reason: str) -> None:
        self._call.journal.write("transfer.progress", status=status, reason=reason)
        if self.newest is not None:
            self._show(replace(self.newest, status=status, reason=reason))

    async def _consult(
        self,
        dial: Dial,
        target: str,
        timeout_s: float,
        whisper: Callable[[], Awaitable[object]] | None,
        *,
        hold: bool,
    ) -> TransferResult:
        call, holding = self._call, self._call.holding
        result = TransferResult(False, None, "given up")
        if hold:
            await holding.hold()
        second: SecondLeg | None = None
        try:
            second = SecondLeg(dial(target, (), call.leg), call.ear, self._progress)
            answer = await second.answered(timeout_s)
            if answer.accepted and whisper is not None:
                await self._whisper(second, whisper)
            # Until the two are joined nothing has been achieved, whatever breaks this off.
            result = await self._join(second, timeout_s) if answer.accepted else answer
        except (SipError, RequestRefused) as error:
            result = TransferResult(False, error.status if isinstance(error, SipError) else 403, str(error))
        finally:
            if second is not None:
                await second.leg.hang_up("transferred" if result.accepted else "consultation ended")
            if hold and not result.accepted and not call.leg_gone:
                await holding.resume()
        return result

    async def _whisper(self, second: SecondLeg, whisper: Callable[[], Awaitable[object]]) -> None:
        """Let the model speak to the target, which is not heard: the conversation is the caller's."""
        call = self._call
        call.speak_to(second.leg)

        async def whispered() -> None:
            await whisper()

        said = asyncio.get_running_loop().create_task(whispered(), name=f"call {call.id}/whisper")
        try:
            await asyncio.wait({said, second.ended}, return_when=asyncio.FIRST_COMPLETED)
            if said.done():
                said.result()  # a fault in it is the flow's, and is told to it
        finally:
            said.cancel()
            call.speak_to(None)

    async def _join(self, second: SecondLeg, timeout_s: float) -> TransferResult:
        if second.ended.done():
            return TransferResult(False, None, "the target has hung up", tuple(second.steps))
        joined = await self._call.leg.transfer_to(second.leg, timeout_s=timeout_s, progress=self._progress)
        return replace(joined, steps=(*second.steps, *joined.steps))


class SecondLeg:
    """A call to somebody else beside the caller's leg. Listens to it; fulfils ``LegListener``."""

    def __init__(self, leg: Leg, ear: LegEar, progress: Callable[[int, str], None]) -> None:
        """``ear`` is told what the leg plays, ``progress`` how the call goes."""
        self.leg = leg
        self.steps: list[tuple[int, str]] = []
        self.ended: asyncio.Future[tuple[LegEnd, int | None, str]] = (
            asyncio.get_running_loop().create_future()
        )
        self._ear = ear
        self._told = progress

    async def answered(self, timeout_s: float) -> TransferResult:
        """Place the call and wait for its answer; one that does not come in time is given up."""
        self.leg.listen(self)
        try:
            await self.leg.prepare()
            async with asyncio.timeout(timeout_s):
                await self.leg.answer()
        except TimeoutError:
            await self.leg.hang_up("no answer")
            return TransferResult(False, 408, "no answer in time", tuple(self.steps))
        except (MediaError, SipError) as error:
            status = error.status if isinstance(error, SipError) else 503
            return TransferResult(False, status, str(error), tuple(self.steps))
        if self.ended.done():
            end, status, reason = self.ended.result()
            return TransferResult(False, status, reason or end.value, tuple(self.steps))
        return TransferResult(True, 200, "OK", tuple(self.steps))

    def leg_progress(self, status: int, early_media: bool) -> None:
        reason = "OK" if status == 200 else "Ringing" if status == 180 else "Session Progress"
        if (status, reason) not in self.steps:
            self.steps.append((status, reason))
            self._told(status, reason)

    def leg_audio(self, audio: bytes) -> None: ...

    def leg_digit(self, digit: str) -> None: ...

    def leg_playback_started(self, response_id: str, item_id: str) -> None:
        self._ear.leg_playback_started(response_id, item_id)

    def leg_playback_ended(self, heard: Heard) -> None:
        self._ear.leg_playback_ended(heard)

    def leg_held(self, held: bool) -> None: ...

    def leg_noted(self, kind: str, **facts: object) -> None: ...

    def leg_refer(self, asked: ReferAsked) -> None:
        asked.refuse(403)

    def leg_replaced(self, by: Leg) -> bool:
        return False

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result((end, status, reason))
