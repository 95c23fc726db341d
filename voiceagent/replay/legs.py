"""Legs without a network: they report what was reported, and answer as they were answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from voiceagent.call.inputs import HIDDEN
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
from voiceagent.errors import SipError
from voiceagent.realtime.config import SILENCE
from voiceagent.replay.errors_back import error_back
from voiceagent.replay.recording import Input
from voiceagent.replay.script import PULL_WINDOW_S, ReplayScript
from voiceagent.replay.trace import rebuild, tuples

FRAME_BYTES = 160
"""20 ms of G.711."""
_BY_US = frozenset({LegEnd.WE_HUNG_UP.value, LegEnd.REJECTED.value})
"""Ends that follow from an order of ours: they come when it is given, not by themselves."""
ORDER_S = 0.005
"""What follows from an order within this time was brought about by the order itself."""


class ReplayLeg:
    """One leg of the recording; fulfils :class:`voiceagent.call.leg.Leg`."""

    def __init__(self, number: int, entry: Mapping[str, Any], script: ReplayScript) -> None:
        self.number = number
        self._script = script
        self._loop = asyncio.get_running_loop()
        self._listener: LegListener | None = None
        self._counts: dict[str, int] = {}
        self._progress: dict[str, Progress] = {}
        self._tap: LegTap | None = None
        self._leaving = False
        self._left: Mapping[str, Any] | None = None
        self.info = LegInfo("", "direct", "", "")
        self.capabilities = LegCapabilities()
        self.audio_format: G711 = "audio/pcmu"
        self._become(entry)

    def _become(self, entry: Mapping[str, Any]) -> None:
        if "info" in entry:
            self.info = rebuild(LegInfo, tuples(entry["info"]))
            self.capabilities = rebuild(LegCapabilities, entry["capabilities"])
            self.audio_format = entry["format"]

    # ── the recording speaks ────────────────────────────────────────────────────────────────────
    def take(self, entry: Mapping[str, Any]) -> bool:
        """Report what was reported, or answer what was answered."""
        if "given_up" in entry:
            return True  # nobody waited for an answer any more
        if "count" in entry:
            self._become(entry)
            return self._script.answer((self.number, entry["order"], entry["count"]), entry)
        if entry["event"] == "progress":
            progress = self._progress.get(entry["order"])
            if progress is not None:
                progress(entry["status"], entry["reason"])
            return progress is not None
        listener = self._listener
        if listener is None:
            return False
        match entry["event"]:
            case "rang":
                listener.leg_progress(entry["status"], entry["early_media"])
            case "digit":
                listener.leg_digit("0" if entry["digit"] == HIDDEN else entry["digit"])
            case "playing":
                listener.leg_playback_started(entry["response"], entry["item"])
            case "played":
                listener.leg_playback_ended(rebuild(Heard, entry["heard"]))
            case "held":
                listener.leg_held(entry["held"])
            case "refer":
                listener.leg_refer(ReplayRefer(entry["target"], entry["headers"]))
            case "noted":
                listener.leg_noted(entry["kind"], **entry["facts"])
            case "ended":
                return self._ended(listener, entry)
            case _:
                return False
        return True

    def take_frames(self, frames: int) -> bool:
        """The caller is silent for so many frames: what was said is not in the journal."""
        if self._listener is None:
            return False
        audio = SILENCE[self.audio_format] * (FRAME_BYTES * frames)
        if self._tap is not None:
            self._tap.caller_audio(audio)
        self._listener.leg_audio(audio)
        return True

    def take_successor(self, by: Leg) -> bool:
        """Somebody wants this leg's place."""
        if self._listener is not None:
            self._listener.leg_replaced(by)
        return self._listener is not None

    def _ended(self, listener: LegListener, entry: Mapping[str, Any]) -> bool:
        if entry["end"] in _BY_US and not self._leaving:
            self._left = entry
            return True
        listener.leg_ended(LegEnd(entry["end"]), entry["status"], entry["reason"])
        return True

    def _leave(self, order: str) -> None:
        """We end it: the report of that comes at once where it did then."""
        self._leaving = True
        key = (self.number, order, self._counts.get(order, 0) + 1)
        mine = self._is_answer(key)
        at_once = self._script.expects(lambda one: bool(one.entry.get("at_once")) and mine(one))
        one = self._script.pull_ahead(self._is_end, PULL_WINDOW_S if at_once else ORDER_S, self._loop.time())
        entry, self._left = (self._left if one is None else one.entry), None
        if entry is not None and self._listener is not None:
            self._ended(self._listener, entry)

    def _is_end(self, one: Input) -> bool:
        entry = one.entry
        mine = entry.get("leg") == self.number and entry.get("event") == "ended"
        return mine and entry["end"] in _BY_US

    # ── Leg ─────────────────────────────────────────────────────────────────────────────────────
    def listen(self, listener: LegListener) -> None:
        self._listener = listener

    async def prepare(self) -> None:
        await self._ordered("prepare")

    async def answer(self) -> None:
        await self._ordered("answer")

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        self._leave("reject")
        await self._ordered("reject")

    async def hang_up(self, reason: str = "") -> None:
        self._leave("hang_up")
        await self._ordered("hang_up")

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        return await self._handed("transfer", progress)

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        return await self._handed("transfer_to", progress)

    async def _handed(self, order: str, progress: Progress | None) -> TransferResult:
        if progress is not None:
            self._progress[order] = progress
        return rebuild(TransferResult, tuples((await self._ordered(order))["value"]))

    async def hold(self, on: bool) -> bool:
        return bool((await self._ordered("hold")).get("value"))

    async def send_digits(self, digits: str) -> None:
        await self._ordered("send_digits")

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        """What was heard of it stands in the recording."""

    def play_end(self, *, response_id: str) -> None:
        """See :meth:`play`."""

    def play_music(self, on: bool) -> None:
        """See :meth:`play`."""

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        """See :meth:`play`."""

    def tap(self, tap: LegTap | None) -> None:
        self._tap = tap

    def stop_playing(self) -> Sequence[Heard]:
        found = self._script.pull("heard", self._loop.time(), leg=self.number)
        return [] if found is None else [rebuild(Heard, one) for one in found["cut"]]

    def figures(self) -> MediaFigures:
        return MediaFigures()

    async def _ordered(self, order: str) -> Mapping[str, Any]:
        """Wait for the answer to an order. One that was never given then is not answered, but for the end."""
        count = self._counts[order] = self._counts.get(order, 0) + 1
        key = (self.number, order, count)
        if order in ("hang_up", "reject") and not self._script.knows(key, self._is_answer(key)):
            return {}
        entry = await self._script.answered(key)
        if "error" in entry:
            raise error_back(entry["error"])
        return entry

    @staticmethod
    def _is_answer(key: tuple[int, str, int]) -> Callable[[Input], bool]:
        def fits(one: Input) -> bool:
            return (one.entry.get("leg"), one.entry.get("order"), one.entry.get("count")) == key

        return fits


class ReplayRefer:
    """The other side's wish; fulfils :class:`voiceagent.call.leg.ReferAsked`. Our answers go nowhere."""

    def __init__(self, target: str, headers: Sequence[Sequence[str]]) -> None:
        self.target = target
        self.headers = [cast("tuple[str, str]", tuple(one)) for one in headers]

    def accept(self) -> None:
        """The call's own entry says so."""

    def refuse(self, status: int) -> None:
        """See :meth:`accept`."""

    def tell(self, status: int, reason: str) -> None:
        """See :meth:`accept`."""


class ReplayLegs:
    """All legs of a recording, and the dialling of further ones."""

    def __init__(self, script: ReplayScript) -> None:
        self._script = script
        self._legs: dict[int, ReplayLeg] = {}
        script.takers["leg"] = self._take
        script.takers["caller_frames"] = self._frames

    def make(self, number: int, entry: Mapping[str, Any]) -> ReplayLeg:
        """Return a new leg."""
        leg = self._legs[number] = ReplayLeg(number, entry, self._script)
        return leg

    def dial(self, target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        """Return the leg of a call to ``target``. Fulfils :data:`voiceagent.call.transfers.Dial`."""
        entry = self._script.pull("dial")
        if entry is None:
            raise SipError("nobody was called here in the recording", status=503, code="not_recorded")
        if "error" in entry:
            raise error_back(entry["error"])
        return self.make(int(entry["leg"]), entry)

    def _take(self, entry: Mapping[str, Any]) -> bool:
        leg = self._legs.get(entry["leg"])
        if leg is None:
            return False
        if entry.get("event") == "replaced":
            return leg.take_successor(self.make(int(entry["by"]), entry))
        return leg.take(entry)

    def _frames(self, entry: Mapping[str, Any]) -> bool:
        leg = self._legs.get(entry["leg"])
        return leg is not None and leg.take_frames(entry["frames"])
