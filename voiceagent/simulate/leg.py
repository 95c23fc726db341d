"""Legs without a line: they play by reckoning, and do what the scenario says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

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
from voiceagent.simulate.line_time import LineTime, Started
from voiceagent.simulate.scenario import Transfer

RINGS = (180, "Ringing")
OK = 200
BUSY = frozenset({486, 600})
RESPONSES = {200: "OK", 404: "Not Found", 480: "Temporarily Unavailable", 486: "Busy Here", 603: "Decline"}
PROGRESS_S = 0.1
"""From the INVITE to the first ring."""


class SimLeg:
    """The caller's attachment; fulfils :class:`voiceagent.call.leg.Leg`."""

    audio_format: G711 = "audio/pcmu"

    def __init__(self, info: LegInfo, transfers: Transfer, rings: Transfer | None = None) -> None:
        """``transfers``: what becomes of those; ``rings``: outbound, what becomes of the call itself."""
        self.info = info
        self.capabilities = LegCapabilities(can_record=True)
        self.plan = transfers
        self._rings = rings or transfers
        self.ended = False
        self.answered = False
        self.transferred_to = ""
        self.on_voice: Callable[[str, Heard | None], None] = _nobody
        """Told the response whose first sound is heard and, at its end, how much was."""
        self._heard_ms = 0
        self._line = LineTime()
        self._loop = asyncio.get_running_loop()
        self._listener: LegListener | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._decided: asyncio.Future[None] = self._loop.create_future()
        """Outbound: done when the call was answered or has ended."""

    @property
    def listener(self) -> LegListener:
        """Who hears of this leg."""
        assert self._listener is not None
        return self._listener

    # ── the port ────────────────────────────────────────────────────────────────────────────────
    def listen(self, listener: LegListener) -> None:
        self._listener = listener

    async def prepare(self) -> None:
        if self.info.direction == "outbound":
            self._loop.call_later(PROGRESS_S, self._ring)
            self._loop.call_later(PROGRESS_S + self._rings.after_ms / 1000, self._decide)

    async def answer(self) -> None:
        if self.info.direction == "outbound":
            await asyncio.shield(self._decided)
        self.answered = not self.ended

    def _ring(self) -> None:
        if not self.ended:
            self.listener.leg_progress(180, False)

    def _decide(self) -> None:
        """The other side answers or refuses, as the scenario says."""
        if self.ended:
            return
        status = self._rings.status
        if status == OK:
            self.listener.leg_progress(OK, False)
            self._decided.set_result(None)
        else:
            end = LegEnd.BUSY if status in BUSY else LegEnd.NO_ANSWER
            self.over(end, status, self._rings.reason or RESPONSES.get(status, ""))

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        self.over(LegEnd.REJECTED, status, reason)

    async def hang_up(self, reason: str = "") -> None:
        self.over(LegEnd.WE_HUNG_UP, None, reason)

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        steps: list[tuple[int, str]] = [RINGS]
        await asyncio.sleep(0)  # no other side reports within the order itself, and no replay can
        if progress is not None:
            progress(*RINGS)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self.plan.after_ms / 1000)
        except TimeoutError:
            return TransferResult(False, 408, "no answer in time", tuple(steps))
        return self._handed(self.plan, target, steps, progress)

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        await asyncio.sleep(0)
        plan = other.plan if isinstance(other, SimLeg) else self.plan
        return self._handed(plan, other.info.dialled, [], progress)

    def _handed(
        self, plan: Transfer, target: str, steps: list[tuple[int, str]], progress: Progress | None
    ) -> TransferResult:
        status, reason = plan.status, plan.reason or RESPONSES.get(plan.status, "")
        if progress is not None:
            progress(status, reason)
        if status == OK:
            self.transferred_to = target
        return TransferResult(status == OK, status, reason, (*steps, (status, reason)))

    async def hold(self, on: bool) -> bool:
        return True

    async def send_digits(self, digits: str) -> None:
        await asyncio.sleep(0.25 * len(digits))

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        self._line.write(len(audio), response_id, item_id, self._loop.time())
        self._rearm()

    def play_end(self, *, response_id: str) -> None:
        self._line.end(response_id)
        self._rearm()

    def stop_playing(self) -> Sequence[Heard]:
        heard = self._line.flush(self._loop.time())
        for one in heard:
            self._heard_ms += one.heard_ms
            self.on_voice(one.response_id, one)
        self._rearm()
        return heard

    def play_music(self, on: bool) -> None:
        """Nothing sounds here."""

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        """Nothing sounds here."""

    def tap(self, tap: LegTap | None) -> None:
        """Nothing sounds here: a recording is silence of the right length."""

    def figures(self) -> MediaFigures:
        return MediaFigures(sent=self._heard_ms // 20)

    # ── the caller's side ───────────────────────────────────────────────────────────────────────
    def caller_holds(self, on: bool) -> None:
        """The caller's side puts us on hold, or takes us back."""
        self._line.hold(on, self._loop.time())
        self._rearm()
        self.listener.leg_held(on)

    def over(self, end: LegEnd, status: int | None, reason: str) -> None:
        """The leg has ended; told once."""
        if self.ended:
            return
        self.ended = True
        if not self._decided.done():
            self._decided.set_result(None)
        self._rearm()
        if self._listener is not None:
            self._listener.leg_ended(end, status, reason)

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = None if self.ended else self._line.wake_at()
        if due is not None:
            self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        for fact in self._line.wake(self._loop.time()):
            if isinstance(fact, Started):
                self.on_voice(fact.response_id, None)
                self.listener.leg_playback_started(fact.response_id, fact.item_id)
            else:
                self._heard_ms += fact.heard_ms
                self.on_voice(fact.response_id, fact)
                self.listener.leg_playback_ended(fact)
        if self._timer is None:
            self._rearm()


def _nobody(_response_id: str, _heard: Heard | None) -> None:
    return
