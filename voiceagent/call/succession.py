"""The call goes on with another party: the other side refers us to it, or it takes a place over (Replaces).

Flow and realtime session stay what they are; only the leg is another one from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from voiceagent.call.leg import Leg, ReferAsked, TransferResult, with_party
from voiceagent.call.outcome import CallOutcome
from voiceagent.call.targets import why_not
from voiceagent.call.transfers import Dial, SecondLeg
from voiceagent.errors import MediaError, RequestRefused, SipError

if TYPE_CHECKING:
    from voiceagent.call.call import Call

_log = structlog.get_logger("voiceagent.calls")

Run = Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class Succession:
    """Follows one call from party to party; one change at a time."""

    __slots__ = ("_call", "_dial", "_left", "_run", "_targets", "_timeout_s", "under_way")

    def __init__(
        self, call: Call, targets: Sequence[str], dial: Dial | None, run: Run, timeout_s: float
    ) -> None:
        self._call = call
        self._targets = targets
        self._dial = dial
        self._run = run
        self._timeout_s = timeout_s
        self.under_way = False
        self._left: CallOutcome | None = None
        """How the party before ended, where it did not wait for the next one."""

    # ── the other side refers us ────────────────────────────────────────────────────────────────
    def referred(self, asked: ReferAsked) -> None:
        """Accept or refuse a REFER: only targets of the allow-list, only while the call stands."""
        call = self._call
        status, reason = 202, ""
        if not call.talking or self.under_way:
            status, reason = 491, "it is not the moment"
        elif self._dial is None:
            status, reason = 403, "this call cannot be placed anew"
        elif (forbidden := why_not(asked.target, self._targets)) is not None:
            status, reason = 403, forbidden
        call.journal.write("refer.received", target=asked.target, status=status, reason=reason)
        if status >= 300:
            _log.warning("refer refused", call_id=call.id, status=status, reason=reason)
            asked.refuse(status)
            return
        asked.accept()
        self.under_way = True
        self._run("refer", self._follow(asked))

    async def _follow(self, asked: ReferAsked) -> None:
        assert self._dial is not None
        call = self._call
        second: SecondLeg | None = None
        result = TransferResult(False, 487, "Request Terminated")
        try:
            second = SecondLeg(self._dial(asked.target, asked.headers, call.leg), call.ear, asked.tell)
            result = await second.answered(self._timeout_s)
            if result.accepted:
                former = self._change_leg(second.leg)
                if not any(status >= 200 for status, _ in second.steps):
                    asked.tell(200, "OK")
                await former.hang_up("transferred")
        except (SipError, RequestRefused) as error:
            result = TransferResult(False, error.status if isinstance(error, SipError) else 403, str(error))
        finally:
            call.journal.write("refer.ended", accepted=result.accepted, status=result.status)
            if not result.accepted:
                asked.tell(result.status if result.status and result.status >= 300 else 503, "Failed")
                if second is not None:
                    await second.leg.hang_up()
            self._done(result.accepted)

    # ── somebody takes the other side's place ───────────────────────────────────────────────────
    def replaced(self, by: Leg) -> bool:
        """Let ``by``, an unanswered call, take the present party's place; False: it is not the moment."""
        if not self._call.talking or self.under_way:
            return False
        self.under_way = True
        self._run("replace", self._change(by))
        return True

    async def _change(self, by: Leg) -> None:
        call = self._call
        second = SecondLeg(by, call.ear, lambda status, reason: None)
        by.listen(second)
        stands = False
        try:
            await by.prepare()
            await by.answer()
            stands = not second.ended.done()
            if stands:
                former = self._change_leg(by)
                await former.hang_up("replaced")
        except (MediaError, SipError) as error:
            await by.reject(error.status if isinstance(error, SipError) else 503, "")
        except asyncio.CancelledError:
            await by.reject(487, "")  # the call ends: nobody is left whose place could be taken
            raise
        finally:
            self._done(stands)

    def _change_leg(self, leg: Leg) -> Leg:
        """Go on with ``leg``, which stands; return the one before, which nobody listens to any more."""
        call = self._call
        former, before = call.leg, call.info
        call.interrupt()
        former.listen(Former())
        call.holding.reset()
        call.use_leg(leg, with_party(before, leg.info))
        call.journal.write(
            "call.party_changed",
            caller=call.info.caller,
            called=call.info.called,
            before=before.caller,
            protocol_call_id=leg.info.protocol_call_id,
        )
        call.holding.apply()
        return former

    # ── the party before ────────────────────────────────────────────────────────────────────────
    def party_left(self, outcome: CallOutcome) -> bool:
        """The present party has gone. True when that is not the call's end: the next one is being called."""
        if not self.under_way:
            return False
        self._left = outcome
        self._call.stop_leg()
        self._call.holding.caller_gone = True
        self._call.holding.apply()
        return True

    def _done(self, stands: bool) -> None:
        """The change is over; ``stands``: with the next party on the line."""
        self.under_way = False
        left, self._left = self._left, None
        if left is None:
            return
        self._call.holding.caller_gone = False
        self._call.holding.apply()
        if not stands:
            self._call.ear.leg_lost(left)


class Former:
    """Listens to a leg that the call has left behind, and does nothing about it."""

    def leg_progress(self, status: int, early_media: bool) -> None: ...

    def leg_audio(self, audio: bytes) -> None: ...

    def leg_digit(self, digit: str) -> None: ...

    def leg_playback_started(self, response_id: str, item_id: str) -> None: ...

    def leg_playback_ended(self, heard: object) -> None: ...

    def leg_held(self, held: bool) -> None: ...

    def leg_noted(self, kind: str, **facts: object) -> None: ...

    def leg_refer(self, asked: ReferAsked) -> None:
        asked.refuse(491)

    def leg_replaced(self, by: Leg) -> bool:
        return False

    def leg_ended(self, end: object, status: int | None, reason: str) -> None: ...
