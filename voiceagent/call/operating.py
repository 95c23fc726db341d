"""An operator's hand on a call, beside making it speak and ending it: hold, resume, hand over, press keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from voiceagent.call.inputs import HIDDEN, of_the_call, write_operator
from voiceagent.call.targets import TargetRefused, rules_of
from voiceagent.errors import CallEnded, MediaError, RequestRefused, SipError

if TYPE_CHECKING:
    from voiceagent.call.call import Call

Start = Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class Operating:
    """An operator's hand on one call.

    Everything here raises CallEnded, or RequestRefused with a ``code``: ``not_answered``, ``handing_over``,
    ``not_supported``, ``not_recording`` and ``failed`` (the call does not allow it, or not now);
    ``bad_target``, ``denied_target`` and ``target_not_allowed``.
    """

    __slots__ = ("_call", "_handing", "_start_task", "_targets", "_timeout_s")

    def __init__(self, call: Call, targets: Sequence[str], start: Start, transfer_timeout_s: float) -> None:
        """``start`` starts a task of the call: what is begun here ends with it."""
        self._call = call
        self._targets = tuple(targets)
        self._start_task = start
        self._timeout_s = transfer_timeout_s
        self._handing: asyncio.Task[Any] | None = None

    @property
    def abilities(self) -> tuple[str, ...]:
        """What this kind of call can do: hold, transfer, consult (attended transfer), send_digits, listen,
        take_over."""
        can = self._call.leg.capabilities
        named = (
            ("hold", can.can_hold),
            ("transfer", can.can_transfer),
            ("consult", can.can_transfer and can.can_consult and self._call.transfers.can_dial),
            ("send_digits", can.can_send_digits),
            ("listen", self._call.listening.able),
            ("take_over", self._call.take_over.able),
        )
        return tuple(name for name, able in named if able)

    async def hold(self, operator: str) -> None:
        """Put the caller on hold; one who is, stays. Music plays even where the caller's side objects."""
        self._asked("hold", operator)
        self._check("hold", "hold")
        self._call.journal.write("operator.hold", operator=operator)
        await self._done("hold", self._call.holding.hold())

    async def resume(self, operator: str) -> None:
        """Take the caller back; one who is not on hold is left alone."""
        self._asked("resume", operator)
        self._check("hold", "resume")
        self._call.journal.write("operator.resume", operator=operator)
        await self._done("resume", self._call.holding.resume())

    async def send_digits(self, digits: str, operator: str) -> None:
        """Send keys to the caller's side, and wait until they are sent."""
        self._asked("send_digits", operator, digits=HIDDEN * len(digits))
        self._check("send_digits", "digits")
        # How many, not which: they may be somebody's PIN.
        self._call.journal.write("operator.send_digits", operator=operator, count=len(digits))
        await self._done("send_digits", self._call.leg.send_digits(digits))

    async def take_over(self, operator: str) -> None:
        """Speak with the caller in the agent's place, on the socket on which ``operator`` listens.

        Refusals besides: ``listen_first``, ``taken_over`` (by somebody else), ``secret`` and ``in_queue``.
        """
        self._asked("take_over", operator)
        self._check("take_over", "call")
        with of_the_call(self._call.journal):
            self._call.take_over.begin(operator)

    async def hand_back(self, operator: str) -> None:
        """Let the agent speak again, and wait until it may. A call that nobody has taken is left alone."""
        self._asked("hand_back", operator)
        if self._call.take_over.on:
            with of_the_call(self._call.journal):
                self._call.take_over.leave(operator)
            await self._call.take_over.until_back()

    def pause_recording(self, operator: str) -> None:
        """Keep what is heard out of the recording, and out of those that are begun later. Twice is once."""
        self._asked("pause_recording", operator)
        self._check_standing()
        recorder = self._call.recorder
        if not recorder.state:
            raise RequestRefused("call", "is not being recorded", code="not_recording")
        self._call.journal.write("operator.pause_recording", operator=operator)
        with of_the_call(self._call.journal):
            recorder.gate("operator", True)

    def resume_recording(self, operator: str) -> None:
        """Take an operator's pause back; where the flow, a secret or hold has another, it stays paused."""
        self._asked("resume_recording", operator)
        self._check_standing()
        self._call.journal.write("operator.resume_recording", operator=operator)
        with of_the_call(self._call.journal):
            self._call.recorder.gate("operator", False)

    async def transfer(self, target: str, operator: str, *, attended: bool) -> None:
        """Begin to hand the caller to ``target``. What became of it: ``call.transfers.newest``."""
        self._asked("transfer", operator, target=target, attended=attended)
        self._check("transfer", "target")
        if attended:
            self._check("consult", "attended")
            if self._call.take_over.on:
                words = "the agent cannot speak with somebody else while a human has the caller"
                raise RequestRefused("attended", words, code="taken_over")
        try:
            uri = rules_of(self._targets).check(target).uri
        except TargetRefused as error:
            words = str(error).removeprefix("to: ")
            raise RequestRefused("target", words, code=error.code) from None
        transfers = self._call.transfers
        self._call.journal.write("operator.transfer", operator=operator, target=uri, attended=attended)
        work = transfers.attended if attended else transfers.blind
        self._handing = self._start("operator/transfer", work(uri, self._timeout_s))
        await asyncio.sleep(0)  # now it has begun, and shows

    def _asked(self, what: str, operator: str, **arguments: Any) -> None:
        write_operator(self._call.journal, what, operator=operator, **arguments)

    def _check_standing(self) -> None:
        word = self._call.ending.word
        if word in ("offered", "dialling", "ringing"):
            raise RequestRefused("call", "is not answered yet", code="not_answered")
        if word != "talking":
            raise CallEnded(outcome=word)

    def _check(self, ability: str, field: str) -> None:
        call = self._call
        self._check_standing()
        if ability not in self.abilities:
            words = f"this call ({call.info.kind}) does not support it"
            raise RequestRefused(field, words, code="not_supported")
        begun = self._handing is not None and not self._handing.done()
        if begun or call.transfers.active or call.holding.caller_gone:
            raise RequestRefused("call", "is being handed to somebody else", code="handing_over")

    def _start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        with of_the_call(self._call.journal):  # a task inherits whose it is from where it begins
            return self._start_task(name, work)

    async def _done(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Wait for ``work``, which is the call's and not the asker's. Its failure is an answer, no end."""
        task = self._start(f"operator/{name}", _caught(work))
        await asyncio.wait({task})
        if task.cancelled() or self._call.leg_gone:
            raise CallEnded(outcome=self._call.ending.word)
        error = task.result()
        if error is not None:
            raise RequestRefused("call", str(error), code="failed")


async def _caught(work: Coroutine[Any, Any, Any]) -> SipError | MediaError | None:
    try:
        await work
    except (SipError, MediaError) as error:
        return error
    return None
