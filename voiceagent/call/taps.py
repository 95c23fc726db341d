"""Everybody who hears both sides of a call: its recording, and those who listen. One leg has one tap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.call.leg import Leg, LegTap

if TYPE_CHECKING:
    from voiceagent.call.call import Call


class Taps:
    """Shares the tap of a call's leg; fulfils :class:`~voiceagent.call.leg.LegTap`.

    What one of them raises must not reach the others, nor the media: they promise to raise nothing.
    """

    __slots__ = ("_all", "_call")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._all: tuple[LegTap, ...] = ()

    def add(self, tap: LegTap) -> None:
        """Have ``tap`` hear both sides from now on."""
        self._all = (*self._all, tap)
        self._apply(self._call.leg)

    def remove(self, tap: LegTap) -> None:
        """``tap`` has heard enough; harmless when it has been removed."""
        if tap in self._all:
            self._all = tuple(one for one in self._all if one is not tap)
            self._apply(self._call.leg)

    def follow(self, former: Leg, leg: Leg) -> None:
        """Another party is on the line: they hear that one."""
        if self._all:
            former.tap(None)
            self._apply(leg)

    def _apply(self, leg: Leg) -> None:
        # One alone is given to the leg as it is: recordings pay nothing for what is rarely shared.
        leg.tap(None if not self._all else self._all[0] if len(self._all) == 1 else self)

    def caller_audio(self, audio: bytes) -> None:
        for tap in self._all:
            tap.caller_audio(audio)

    def agent_audio(self, audio: bytes) -> None:
        for tap in self._all:
            tap.agent_audio(audio)
