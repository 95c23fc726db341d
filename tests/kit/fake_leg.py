"""A leg without a network: plays audio on the loop's clock and counts what was heard, like the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

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
from voiceagent.errors import MediaError, SipError
from voiceagent.media.playout import Playout, Started


class FakeLeg:
    """Fulfils ``voiceagent.call.leg.Leg``. ``log`` holds what the call did with it, in order."""

    def __init__(
        self,
        called: str = "100",
        *,
        fail: MediaError | SipError | None = None,
        direction: Literal["inbound", "outbound"] = "inbound",
    ) -> None:
        self.info = LegInfo(
            id="leg-1",
            kind="direct",
            caller="alice",
            called=called,
            protocol_call_id="c1@test",
            direction=direction,
            dialled=f"sip:{called}@callee.example" if direction == "outbound" else "",
        )
        self.capabilities = LegCapabilities(can_record=True)
        self.log: list[str] = []
        self.retry_after_s: int | None = None
        """As told with the refusal."""
        self.played = bytearray()
        """Every frame that went out, silence left out."""
        self.transfer_result = TransferResult(True, 200, "OK")
        self.agrees_to_hold = True
        self._fail = fail
        self._listener: LegListener | None = None
        self._playout = Playout()
        self.tapped: LegTap | None = None
        self.voice: Callable[[], bytes] | None = None
        self.line = bytearray()
        """Every frame of the line: the agent's, a live voice's, or silence."""
        self._clock: asyncio.Task[None] | None = None
        self.ended = False
        self.on_frame: Callable[[bytes | None], None] | None = None
        """Sees every 20 ms of the line from the answer on, None for silence."""

    @property
    def listener(self) -> LegListener:
        assert self._listener is not None
        return self._listener

    @property
    def audio_format(self) -> G711:
        return "audio/pcmu"

    def listen(self, listener: LegListener) -> None:
        self._listener = listener

    async def prepare(self) -> None:
        self.log.append("prepare")
        if self._fail is not None:
            raise self._fail

    async def answer(self) -> None:
        self.log.append("answer")
        self._clock = asyncio.get_running_loop().create_task(self._run(), name="fake leg's wheel")

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        self.log.append(f"reject {status}")
        self.retry_after_s = retry_after_s
        self._over(LegEnd.REJECTED, status, reason)

    async def hang_up(self, reason: str = "") -> None:
        if not self.ended:
            self.log.append(f"hang_up {reason}")
        self._over(LegEnd.WE_HUNG_UP, None, reason)
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        self.log.append(f"transfer {target}")
        for status, reason in self.transfer_result.steps:
            if progress is not None:
                progress(status, reason)
        return self.transfer_result

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        self.log.append(f"transfer_to {other.info.dialled}")
        return self.transfer_result

    async def hold(self, on: bool) -> bool:
        self.log.append("hold" if on else "resume")
        return self.agrees_to_hold

    async def send_digits(self, digits: str) -> None:
        self.log.append(f"digits {digits}")

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        self._playout.write(audio, response_id, item_id)

    def play_end(self, *, response_id: str) -> None:
        self._playout.end(response_id)

    def stop_playing(self) -> Sequence[Heard]:
        return [Heard(one.response_id, one.item_id, one.heard_ms, one.cut) for one in self._playout.flush()]

    def play_music(self, on: bool) -> None:
        self.log.append("music" if on else "no music")

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        self.voice = voice

    def tap(self, tap: LegTap | None) -> None:
        self.tapped = tap

    def figures(self) -> MediaFigures:
        return MediaFigures(sent=len(self.played) // 160)

    def hears(self, audio: bytes) -> None:
        """Frames of the caller's audio arrive."""
        if self.tapped is not None:
            self.tapped.caller_audio(audio)
        self.listener.leg_audio(audio)

    # ── the caller's side, for tests ────────────────────────────────────────────────────────────
    def callee(self, status: int, early_media: bool = False) -> None:
        """The callee's phone rings (18x), or is picked up (200)."""
        self.listener.leg_progress(status, early_media)

    def callee_refuses(self, end: LegEnd, status: int) -> None:
        """The callee is busy, does not want us, or is not there."""
        self._over(end, status, "")

    def caller_hangs_up(self, end: LegEnd = LegEnd.CALLER_HUNG_UP) -> None:
        """The caller's BYE (or CANCEL) arrives."""
        self._over(end, None, "")

    def press(self, digits: str) -> None:
        """The caller presses keys."""
        for digit in digits:
            self.listener.leg_digit(digit)

    def _over(self, end: LegEnd, status: int | None, reason: str) -> None:
        if self.ended:
            return
        self.ended = True
        if self._clock is not None:
            self._clock.cancel()
        if self._listener is not None:
            self._listener.leg_ended(end, status, reason)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            frame = self._playout.take()
            live = self.voice() if frame is None and self.voice is not None else None
            self.line.extend(frame or live or bytes((0xFF,)) * 160)
            if live is not None and self.tapped is not None:
                self.tapped.agent_audio(live)
            if frame is not None:
                self.played.extend(frame)
                if self.tapped is not None:
                    self.tapped.agent_audio(frame)
            if self.on_frame is not None:
                self.on_frame(frame)
            facts, self._playout.facts = self._playout.facts, []
            for fact in facts:
                if isinstance(fact, Started):
                    self.listener.leg_playback_started(fact.response_id, fact.item_id)
                else:
                    heard = Heard(fact.response_id, fact.item_id, fact.heard_ms, fact.cut)
                    self.listener.leg_playback_ended(heard)


class FakeCallee(FakeLeg):
    """Somebody whom we call: rings for ``after_s``, then answers, or refuses with ``refuse``."""

    def __init__(self, target: str, *, after_s: float = 2.0, refuse: int | None = None) -> None:
        super().__init__()
        self.info = LegInfo(
            id="leg-2", kind="direct", caller="agent", called=target, direction="outbound", dialled=target
        )
        self._after_s = after_s
        self._refuse = refuse

    async def answer(self) -> None:
        self.listener.leg_progress(180, False)
        await asyncio.sleep(self._after_s)
        if self._refuse is not None:
            self._over(LegEnd.BUSY, self._refuse, "Busy Here")
        elif not self.ended:
            await super().answer()
            self.listener.leg_progress(200, False)
