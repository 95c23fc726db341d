"""A leg whose reports, and whose answers to our orders, are written into the call's journal as inputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from voiceagent.call.inputs import HIDDEN, Inputs, error_data, without_credentials
from voiceagent.call.leg import (
    G711,
    Heard,
    Leg,
    LegCapabilities,
    LegEnd,
    LegInfo,
    LegListener,
    MediaFigures,
    Progress,
    ReferAsked,
    TransferResult,
)
from voiceagent.call.loop_timers import beyond
from voiceagent.call.transfers import Dial
from voiceagent.errors import MediaError, RequestRefused, SipError

T = TypeVar("T")
FRAME_BYTES = 160


def leg_data(leg: Leg) -> dict[str, Any]:
    """Return what a leg is, as plain values; credentials in its headers are left out."""
    info = asdict(leg.info)
    info["headers"] = without_credentials(leg.info.headers)
    return {"info": info, "capabilities": asdict(leg.capabilities), "format": leg.audio_format}


def _plain(heard: Heard) -> dict[str, Any]:
    """Return it as JSON values."""
    return {
        "response_id": heard.response_id,
        "item_id": heard.item_id,
        "heard_ms": heard.heard_ms,
        "cut": heard.cut,
    }


class RecordedLeg:
    """Fulfils :class:`voiceagent.call.leg.Leg` through another one. Audio passes by as it is."""

    def __init__(self, leg: Leg, inputs: Inputs) -> None:
        self.inner = leg
        self.number = inputs.new_leg()
        self._inputs = inputs
        self._counts: dict[str, int] = {}
        self.play = leg.play
        self.play_end = leg.play_end
        self.tap = leg.tap
        self.play_music = leg.play_music
        self.speak_live = leg.speak_live
        self.figures: Callable[[], MediaFigures] = leg.figures
        record_sip = getattr(leg, "record_sip", None)
        if record_sip is not None:
            record_sip(inputs)

    @property
    def info(self) -> LegInfo:
        return self.inner.info

    @property
    def capabilities(self) -> LegCapabilities:
        return self.inner.capabilities

    @property
    def audio_format(self) -> G711:
        return self.inner.audio_format

    def listen(self, listener: LegListener) -> None:
        self.inner.listen(RecordedEar(listener, self.number, self._inputs))

    async def prepare(self) -> None:
        await self._answered("prepare", self.inner.prepare(), told=True)

    async def answer(self) -> None:
        await self._answered("answer", self.inner.answer(), told=True)

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        await self._answered("reject", self.inner.reject(status, reason, retry_after_s=retry_after_s))

    async def hang_up(self, reason: str = "") -> None:
        await self._answered("hang_up", self.inner.hang_up(reason))

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        told = self._progress("transfer", progress)
        return await self._answered(
            "transfer", self.inner.transfer(target, timeout_s=timeout_s, progress=told)
        )

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        other = other.inner if isinstance(other, RecordedLeg) else other
        told = self._progress("transfer_to", progress)
        return await self._answered(
            "transfer_to", self.inner.transfer_to(other, timeout_s=timeout_s, progress=told)
        )

    async def hold(self, on: bool) -> bool:
        return await self._answered("hold", self.inner.hold(on))

    async def send_digits(self, digits: str) -> None:
        await self._answered("send_digits", self.inner.send_digits(digits))

    def stop_playing(self) -> Sequence[Heard]:
        stopped = self.inner.stop_playing()
        # Also when it was nothing: a replay hands these answers out one after another.
        self._inputs.write("heard", leg=self.number, cut=[_plain(one) for one in stopped])
        return stopped

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    async def _answered(self, order: str, work: Coroutine[Any, Any, T], *, told: bool = False) -> T:
        """Wait for an order's answer, and write it down under its name and how often it was given.

        Also that nobody waits for it any more: a replay must not take it for answered.
        """
        count = self._counts[order] = self._counts.get(order, 0) + 1
        inputs, about = self._inputs, {"leg": self.number, "order": order, "count": count}
        began = inputs.turn()
        try:
            with beyond(inputs):  # the leg's own timers are not in a replay
                value = await work
        except Exception as error:
            inputs.write("leg", **about, **inputs.since(began), error=error_data(error))
            raise
        except asyncio.CancelledError:
            inputs.write("leg", **about, given_up=True)
            raise
        facts: dict[str, Any] = {} if value is None else {"value": value}
        if told:
            facts |= leg_data(self.inner)
        inputs.write("leg", **about, **inputs.since(began), **facts)
        return value

    def _progress(self, order: str, progress: Progress | None) -> Progress | None:
        if progress is None:
            return None

        def told(status: int, reason: str) -> None:
            self._inputs.write(
                "leg", leg=self.number, event="progress", order=order, status=status, reason=reason
            )
            self._inputs.owned(progress, status, reason)

        return told


class RecordedEar:
    """Hears a leg on behalf of its listener, and writes down what is reported."""

    __slots__ = ("_gather", "_hear", "_inputs", "_leg", "_listener")

    def __init__(self, listener: LegListener, leg: int, inputs: Inputs) -> None:
        self._listener = listener
        self._leg = leg
        self._inputs = inputs
        self._hear = listener.leg_audio
        self._gather = inputs.caller_audio

    def leg_audio(self, audio: bytes) -> None:
        # It passes by, fifty times a second: what is done about it beyond that owns its time itself.
        self._gather(self._leg, len(audio) // FRAME_BYTES)
        self._hear(audio)

    def leg_progress(self, status: int, early_media: bool) -> None:
        self._write("rang", status=status, early_media=early_media)
        self._inputs.owned(self._listener.leg_progress, status, early_media)

    def leg_digit(self, digit: str) -> None:
        self._write("digit", digit=HIDDEN if self._inputs.secret() else digit)
        self._inputs.owned(self._listener.leg_digit, digit)

    def leg_playback_started(self, response_id: str, item_id: str) -> None:
        self._write("playing", response=response_id, item=item_id)
        self._inputs.owned(self._listener.leg_playback_started, response_id, item_id)

    def leg_playback_ended(self, heard: Heard) -> None:
        self._write("played", heard=_plain(heard))
        self._inputs.owned(self._listener.leg_playback_ended, heard)

    def leg_held(self, held: bool) -> None:
        self._write("held", held=held)
        self._inputs.owned(self._listener.leg_held, held)

    def leg_refer(self, asked: ReferAsked) -> None:
        self._write("refer", target=asked.target, headers=without_credentials(asked.headers))
        self._inputs.owned(self._listener.leg_refer, asked)

    def leg_replaced(self, by: Leg) -> bool:
        recorded = RecordedLeg(by, self._inputs)
        self._write("replaced", by=recorded.number, **leg_data(by))
        return self._inputs.owned(self._listener.leg_replaced, recorded)

    def leg_noted(self, kind: str, **facts: object) -> None:
        self._write("noted", kind=kind, facts=facts)
        self._inputs.owned(self._listener.leg_noted, kind, **facts)

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        self._write("ended", end=end.value, status=status, reason=reason)
        self._inputs.owned(self._listener.leg_ended, end, status, reason)

    def _write(self, event: str, **facts: Any) -> None:
        self._inputs.write("leg", leg=self._leg, event=event, **facts)


def recorded_leg(leg: Leg, inputs: Inputs | None) -> Leg:
    """Return ``leg`` with its inputs recorded. One that can record at its own border does it there."""
    if inputs is None:
        return leg
    deeper = getattr(leg, "record_inputs", None)
    if deeper is not None:
        deeper(inputs)
        inputs.new_leg()
        return leg
    return RecordedLeg(leg, inputs)


def recorded_dial(dial: Dial | None, inputs: Inputs | None) -> Dial | None:
    """Return ``dial`` whose legs are recorded; one that cannot be had is written down, too."""
    if dial is None or inputs is None:
        return dial

    def recording(target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        inner = for_leg.inner if isinstance(for_leg, RecordedLeg) else for_leg
        try:
            leg = dial(target, headers, inner)
        except (SipError, RequestRefused, MediaError) as error:
            inputs.write("dial", leg=inputs.new_leg(), error=error_data(error))
            raise
        recorded = RecordedLeg(leg, inputs)
        inputs.write("dial", leg=recorded.number, **leg_data(leg))
        return recorded

    return recording
