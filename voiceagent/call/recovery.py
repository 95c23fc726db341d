"""A direct call that loses its provider goes on: comfort, a new link, the conversation restored.

The caller's leg is never touched. What was said already plays out, then a soft sound fills the silence until
the agent speaks again. Links are tried with random, growing pauses, the first at once; after ``cap_s`` the
second provider is tried once, if there is one, and then the call's last steps follow (apology, transfer,
goodbye). Before a session grows too old for its provider, it is replaced between two turns, unheard.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voiceagent.call.comfort import Comfort
from voiceagent.call.config import SurvivalConfig
from voiceagent.call.dialling import Failure, Open, Run, attempt, pause_s
from voiceagent.call.inputs import chance_of
from voiceagent.errors import ProviderError
from voiceagent.media.levels import g711_dbfs
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.surviving import SurvivingModel
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel

if TYPE_CHECKING:
    from voiceagent.call.call import Call

CALLER_LOUD_DBFS = -35.0
"""Above this the caller is speaking: no comfort then."""
CALLER_WINDOW_MS = 200
COMFORT_AFTER_RESTORE_S = 6.0
"""How long the sound may bridge the time from the new link to the first word over it."""
LEAST_ATTEMPT_S = 0.1
"""With less time left no attempt is begun."""
LOOK_S = 0.05
"""How often a hand-over looks whether the moment is right."""
READY_LIMIT_S = 60.0
"""How long a session that is ready may wait for the moment before it is given up again."""


class Recovery:
    """Keeps one call's session alive over links that come and go."""

    def __init__(
        self,
        call: Call,
        session: RealtimeSession,
        open_first: Open,
        open_second: Open | None,
        config: SurvivalConfig,
        run: Run,
        *,
        chance: Callable[[], float] | None = None,
    ) -> None:
        first = session.model
        assert isinstance(first, OpenAIRealtimeWebSocketModel)
        self._call = call
        self._open_first = open_first
        self._open_second = open_second
        self._config = config
        self._run = run
        self._chance = chance or chance_of(call.journal, "recovery")
        self._loop = asyncio.get_running_loop()
        self._law = call.leg.audio_format
        self._handing_over: asyncio.Task[Any] | None = None
        self._recovering = False
        self.losses = 0
        self.model = SurvivingModel(
            first, session.config, lost=self._fell, caller_audio_ms=round(config.caller_audio_s * 1000)
        )
        session.carry_over(self.model)
        self._comfort = Comfort(
            self._law,
            silent=self._nobody_speaks,
            play=call.watch.play_line,
            run=run,
            after_s=config.comfort_after_s,
        )
        self._grow_old()

    def close(self) -> None:
        """The call is over: nothing is mended any more, and nobody is held."""
        self._comfort.close()

    # ── the two ways in ─────────────────────────────────────────────────────────────────────────
    def lost(self, reason: str) -> None:
        """Give the present link up, whether its socket stands or not, and go on with another."""
        self.model.abandon(reason)

    def go_elsewhere(self, reason: str) -> bool:
        """Leave the provider for good, and take the second one from now on; False when there is none left."""
        if self._open_second is None:
            return False
        self._open_first, self._open_second = self._open_second, None
        self._call.journal.write("recovery.elsewhere", reason=reason)
        self.model.abandon(reason)
        return True

    def planned(self) -> None:
        """Change over to a new session at the next moment when nobody speaks and nothing is asked for."""
        if self._handing_over is None and self.model.up:
            self._handing_over = self._run("hand-over", self._hand_over())

    def agent_speaks(self) -> None:
        """Audio of the agent is about to be queued: the sound must have stopped before it."""
        if self._comfort.on:
            self._comfort.stop()

    # ── recovering ──────────────────────────────────────────────────────────────────────────────
    def _fell(self, reason: str) -> None:
        call = self._call
        self.losses += 1
        call.journal.write("provider.lost", reason=reason)
        if self._handing_over is not None:
            self._handing_over.cancel()
            self._handing_over = None
        if call.speech is None or call.speech.closed:
            self.model.give_up(reason)
            return
        self._recovering = True
        if call.floor == "caller":
            call.caller_silent()  # nobody will tell when this turn ends; it is heard again over the new link
        self._run("recovery", self._recover(reason))

    async def _recover(self, reason: str) -> None:
        config, journal = self._config, self._call.journal
        began = self._loop.time()
        old = self.model.inner
        journal.write("recovery.started", reason=reason, loss=self.losses)
        if config.comfort:
            self._comfort.start()
        count, failure = 0, None
        while (left := began + config.cap_s - self._loop.time()) > LEAST_ATTEMPT_S:
            count += 1
            failure = await self._try(count, "first", self._open_first, min(config.attempt_s, left), began)
            if failure is None or failure.hopeless:
                break
            pause = pause_s(count, config.backoff_s, config.backoff_max_s, self._chance)
            await asyncio.sleep(min(pause, max(0.0, began + config.cap_s - self._loop.time())))
        if failure is not None and self._open_second is not None:
            count += 1
            failure = await self._try(count, "second", self._open_second, config.second_s, began)
        self._recovering = False
        if failure is None:
            await self._bridge_the_rest()
            await old.close("replaced")
            return
        journal.write(
            "recovery.failed", attempts=count, code=failure.code, seconds=self._seconds(began), reason=reason
        )
        self._comfort.stop()
        self.model.give_up(reason)

    async def _try(
        self, count: int, place: str, open_session: Open, limit_s: float, began: float
    ) -> Failure | None:
        journal = self._call.journal
        journal.write("recovery.attempt", attempt=count, provider=place, seconds=self._seconds(began))
        opened = await attempt(open_session, self._run, limit_s)
        if not isinstance(opened, Failure):
            try:
                self._go_on(opened, began, count, place)
            except ProviderError as error:
                opened = Failure(error.code, str(error))
            else:
                return None
        journal.write("recovery.attempt_failed", attempt=count, code=opened.code, detail=opened.message)
        return opened

    def _go_on(self, session: RealtimeSession, began: float, count: int, place: str) -> None:
        model = session.let_go()
        assert isinstance(model, OpenAIRealtimeWebSocketModel)
        restored = self.model.restore(model)
        self._call.journal.write(
            "recovery.restored",
            attempts=count,
            provider=place,
            seconds=self._seconds(began),
            items=restored.items,
            caller_audio_ms=restored.audio_ms,
            reissued=restored.reissued,
        )
        self._call.watch.new_session()
        self._grow_old()

    async def _bridge_the_rest(self) -> None:
        """Keep the comfort until the agent is heard, but not when there is nothing it would say."""
        until = self._loop.time() + COMFORT_AFTER_RESTORE_S
        while self._comfort.on and self.model.up and self.model.speech_due:
            if self._loop.time() >= until:
                break
            await asyncio.sleep(LOOK_S)
        if not self._recovering:
            self._comfort.stop()

    def _nobody_speaks(self) -> bool:
        call = self._call
        if not call.talking or call.away or call.holding.in_queue:
            return False  # music is heard
        ours = call.agent_audible or call.watch.line_playing or call.sounds.playing
        if ours or call.floor == "caller":
            return False
        caller = self.model.caller_audio.last(CALLER_WINDOW_MS)
        law = "alaw" if self._law == "audio/pcma" else "ulaw"
        return g711_dbfs(caller, law) < CALLER_LOUD_DBFS

    def _seconds(self, began: float) -> float:
        return round(self._loop.time() - began, 3)

    # ── the planned hand-over ───────────────────────────────────────────────────────────────────
    def _grow_old(self) -> None:
        """Plan the hand-over at a share of the session's life."""
        link = self.model.inner.link
        expires_at, minutes = link.conversation.mirror.expires_at, link.profile.session_minutes
        life = expires_at - link.wall() if expires_at is not None else (minutes or 0) * 60.0
        if life > 0:
            share = self._config.handover_at + self._config.handover_jitter * (2 * self._chance() - 1)
            self._run("session age", self._age(self.model.inner, life * share))

    async def _age(self, inner: OpenAIRealtimeWebSocketModel, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if inner is self.model.inner:
            self.planned()

    async def _hand_over(self) -> None:
        journal = self._call.journal
        journal.write("handover.started")
        began = self._loop.time()
        count = 0
        while True:
            await self._between_turns(None)
            count += 1
            opened = await attempt(self._open_first, self._run, self._config.attempt_s)
            if not isinstance(opened, Failure):
                model = opened.let_go()
                assert isinstance(model, OpenAIRealtimeWebSocketModel)
                try:
                    if await self._between_turns(READY_LIMIT_S):
                        old = self.model.inner
                        restored = self.model.restore(model, planned=True)
                        break
                    await model.close("not needed")
                    continue
                except asyncio.CancelledError:
                    model.link.close("not needed")
                    raise
                except ProviderError as error:
                    opened = Failure(error.code, str(error))
            journal.write("handover.attempt_failed", attempt=count, code=opened.code)
            if opened.hopeless:
                self._handing_over = None
                return
            await asyncio.sleep(pause_s(count, 1.0, 30.0, self._chance))
        self._handing_over = None
        journal.write("handover.done", seconds=self._seconds(began), items=restored.items)
        self._call.watch.new_session()
        self._grow_old()
        await old.close("handed over")

    async def _between_turns(self, limit_s: float | None) -> bool:
        """Wait until nobody speaks and nothing is asked for; False after ``limit_s``."""
        call = self._call
        until = math.inf if limit_s is None else self._loop.time() + limit_s
        while not (self.model.idle and call.floor == "nobody" and not call.agent_audible):
            if self._loop.time() >= until:
                return False
            await asyncio.sleep(LOOK_S)
        return True
