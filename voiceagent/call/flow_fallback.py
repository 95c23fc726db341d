"""What a caller gets whose flow has failed: a sentence, then a person if one is named, then a polite end.

The sentence is spoken by the model, word for word. It waits while the caller speaks or is away; a session
that does not begin when it could is given up, and the recorded apology is played instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voiceagent.call.apology import play_apology
from voiceagent.call.config import FALLBACK_SENTENCE, CallConfig
from voiceagent.call.flow_port import FlowPort
from voiceagent.call.heard_whole import said_word_for_word
from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.requests import Origin

if TYPE_CHECKING:
    from voiceagent.call.call import Call

BEGIN_LIMIT_S = 5.0
"""How long the session may take to begin while nothing keeps it from speaking."""
LIMIT_S = 60.0
"""How long all that comes before the transfer may take: the caller's own words, a hold, the sentence."""
LOOK_S = 0.1
"""How often it is looked whether an operator's transfer is over."""


class FlowFallback:
    """The last steps of one call whose flow has failed."""

    def __init__(
        self,
        call: Call,
        port: FlowPort,
        config: CallConfig,
        hurry: asyncio.Future[None],
        run: Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:
        """``hurry`` is done when something else ends the call, or the session is lost."""
        self._call = call
        self._port = port
        self._config = config
        self._hurry = hurry
        self._run = run
        self._sentence = call.flow.fallback or _sentence(call.flow, config)
        self._target = call.flow.fallback_target or config.fallback_target

    async def play(self, failed: CallOutcome) -> CallOutcome:
        """Take the caller through it; return how the call ends: as it has failed, and what came then."""
        call = self._call
        self._port.close()
        self._withdraw()
        await self._have_the_line()
        if not self._over and not await self._say() and not self._over:
            self._give_up_the_session()
            await play_apology(call, failed)
        accepted = self._target is not None and not self._over and await self._transfer(self._target)
        then = "transferred" if accepted else call.ending.afterwards.reason if call.ending.afterwards else ""
        return replace(failed, then=then)

    @property
    def _over(self) -> bool:
        """Somebody has ended the call meanwhile; a lost provider has not."""
        call = self._call
        return call.leg_gone or (
            call.ending.afterwards is not None and call.ending.afterwards.kind is not OutcomeClass.PROVIDER
        )

    def _withdraw(self) -> None:
        """What the flow still wanted to say is not said any more; what an operator wants is."""
        for entry in self._call.ledger.open():
            if entry.request.origin is Origin.IVR:
                self._call.withdraw(entry.request.id)

    def _give_up_the_session(self) -> None:
        """Whoever still wants the model to speak, or waits for it: the recorded apology is the last word."""
        call = self._call
        if call.speech is not None:
            call.speech.closed = True
        if call.session is not None:
            for entry in call.ledger.open():
                call.session.withdraw(entry.request.id)
        call.watch.close()

    async def _have_the_line(self) -> None:
        """Let a transfer under way come to its end, and take a caller back whom the flow put on hold."""
        call = self._call
        while call.transfers.active and not self._hurry.done():
            await asyncio.wait({self._hurry}, timeout=LOOK_S)
        if call.holding.by_us and not self._over:
            resumed = self._run("fallback/resume", call.holding.resume())
            await asyncio.wait({resumed, self._hurry}, return_when=asyncio.FIRST_COMPLETED)

    async def _say(self) -> bool:
        """Have the model say the sentence; True when it was heard whole."""
        return await said_word_for_word(
            self._call,
            self._sentence,
            begin_limit_s=BEGIN_LIMIT_S,
            limit_s=LIMIT_S,
            run=self._run,
            stop=self._hurry,
        )

    async def _transfer(self, target: str) -> bool:
        call = self._call
        if not call.leg.capabilities.can_transfer:
            return False
        result = await call.transfers.blind(target, self._config.transfer_timeout_s)
        call.journal.write("fallback.transfer", target=target, accepted=result.accepted, status=result.status)
        return result.accepted


def _sentence(flow: Flow, config: CallConfig) -> str:
    """Return the service's own sentence; where that was left as it is, in the flow's language."""
    unset = config.fallback_sentence == FALLBACK_SENTENCE
    return flow.options.words.broken if unset else config.fallback_sentence
