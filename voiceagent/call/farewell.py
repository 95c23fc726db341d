"""What a caller hears whose call outlasts the drain of its node: a goodbye, said by the agent, then the BYE.

What the agent is just saying is heard out for a little while; what waits to be said is not said any more. A
session that does not begin, or takes too long, is given up, and the recorded line asks to call again: no
call that somebody can hear is cut in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voiceagent.call.apology import play_apology
from voiceagent.call.call_state import CallState
from voiceagent.call.config import DRAIN_SENTENCE, CallConfig
from voiceagent.call.flow_port import FlowPort
from voiceagent.call.heard_whole import said_word_for_word
from voiceagent.call.outcome import DRAINED, CallOutcome, OutcomeClass
from voiceagent.realtime.requests import Progress

if TYPE_CHECKING:
    from voiceagent.call.call import Call

HEAR_OUT_S = 6.0
"""How long what the agent is saying may go on."""
BEGIN_LIMIT_S = 5.0
"""How long the session may take to begin while nothing keeps it from speaking."""
LOOK_S = 0.1

Run = Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


def dismiss(call: Call) -> None:
    """Have a call end because its node goes: with a goodbye where somebody talks with us, else at once.

    A caller who has not been answered is refused with 503, and may be answered elsewhere.
    """
    call.end(DRAINED if call.state is CallState.TALKING else "shut_down", kind=OutcomeClass.OURS)


class Farewell:
    """The last steps of one call of a node that goes."""

    def __init__(
        self, call: Call, port: FlowPort, config: CallConfig, hurry: asyncio.Future[None], run: Run
    ) -> None:
        """``hurry`` is done when something else ends the call, or the session is lost."""
        self._call = call
        self._port = port
        self._hurry = hurry
        self._run = run
        self._limit_s = config.farewell_limit_s
        unset = config.drain_sentence == DRAIN_SENTENCE
        self._sentence = call.flow.options.words.closing if unset else config.drain_sentence

    async def play(self, drained: CallOutcome) -> CallOutcome:
        """Take the caller through it; return how the call ends."""
        call = self._call
        self._port.close()
        heard = False
        try:
            async with asyncio.timeout(self._limit_s):
                await self._have_the_line()
                heard = not self._over and await self._say()
        except TimeoutError:
            pass
        self._withdraw(waiting_only=False)
        if not heard and not self._over and not call.away:
            await play_apology(call, drained)
        return replace(drained, then=call.ending.afterwards.reason if call.ending.afterwards else "")

    @property
    def _over(self) -> bool:
        """Somebody has ended the call meanwhile; a lost provider has not."""
        call = self._call
        return call.leg_gone or (
            call.ending.afterwards is not None and call.ending.afterwards.kind is not OutcomeClass.PROVIDER
        )

    def _withdraw(self, *, waiting_only: bool) -> None:
        for entry in self._call.ledger.open():
            if not waiting_only or entry.state == Progress.QUEUED.value:
                self._call.withdraw(entry.request.id)

    async def _have_the_line(self) -> None:
        """Let a transfer come to its end, take the caller back from hold or a human, hear the agent out."""
        call = self._call
        self._withdraw(waiting_only=True)
        while call.transfers.active and not self._hurry.done():
            await asyncio.wait({self._hurry}, timeout=LOOK_S)
        if self._over:
            return
        if call.take_over.on:
            call.take_over.leave(call.take_over.operator, "drained")
            await self._unless_hurried("farewell/back", call.take_over.until_back())
        if call.holding.by_us:
            await self._unless_hurried("farewell/resume", call.holding.resume())
        left = HEAR_OUT_S
        while left > 0 and call.agent_audible and not self._hurry.done():
            await asyncio.wait({self._hurry}, timeout=LOOK_S)
            left -= LOOK_S
        self._withdraw(waiting_only=False)

    async def _unless_hurried(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        task = self._run(name, work)
        await asyncio.wait({task, self._hurry}, return_when=asyncio.FIRST_COMPLETED)

    async def _say(self) -> bool:
        """Have the model say the sentence; True when it was heard whole."""
        return await said_word_for_word(
            self._call,
            self._sentence,
            begin_limit_s=BEGIN_LIMIT_S,
            limit_s=self._limit_s,
            run=self._run,
            stop=self._hurry,
        )
