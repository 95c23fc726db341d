"""Who keeps whom waiting: the caller's side us, or we the caller with music, or both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voiceagent.call.observer import CallObserver
from voiceagent.flags import Flag

if TYPE_CHECKING:
    from voiceagent.call.call import Call


class Holding:
    """The holds of one call. While there is one, the model is not asked to speak and silence is no fault."""

    def __init__(self, call: Call, observer: CallObserver) -> None:
        self._call = call
        self._observer = observer
        self._turn = asyncio.Lock()
        """One change at a time: each is an offer that must be answered first."""
        self._changed = Flag()
        self.by_caller = False
        """The caller's side holds us."""
        self.by_us = False
        self.consulting = False
        """The model speaks with somebody else while the caller hears music."""
        self.in_queue = False
        """The caller waits in a queue, with music and no hold of SIP: keys arrive, and nobody listens."""
        self.caller_gone = False
        """Nobody is there for the moment: the party before has left, the next one is being called."""
        self.back_at = 0.0
        """Loop time since when nobody holds anybody."""
        self._on_since: float | None = None
        self._held_s = 0.0

    @property
    def on(self) -> bool:
        """True while the caller does not hear us, or hears music."""
        return self.by_caller or self.by_us or self.caller_gone

    @property
    def held_s(self) -> float:
        """Seconds of this call in which somebody was held, until now."""
        now = asyncio.get_running_loop().time()
        return self._held_s + (0.0 if self._on_since is None else now - self._on_since)

    @property
    def by(self) -> tuple[str, ...]:
        """Who holds whom: us, caller."""
        return ("us",) * self.by_us + ("caller",) * self.by_caller

    def apply(self) -> None:
        """Have session and watch follow; also those that came later. A file that is played counts as hold."""
        call = self._call
        quiet = self.on or call.sounds.playing
        self._count()
        call.watch.held(quiet or call.take_over.on)
        call.recorder.gate("hold", self.on)
        if call.session is not None:
            call.session.pause(quiet and not self.consulting)
        if not (quiet or call.take_over.on):
            self.back_at = asyncio.get_running_loop().time()
        self._changed.set()
        self._changed = Flag()
        self._observer.call_changed(call)

    def _count(self) -> None:
        """Count the seconds of holds."""
        if self.on and self._on_since is None:
            self._on_since = asyncio.get_running_loop().time()
        elif not self.on and self._on_since is not None:
            self._held_s, self._on_since = self.held_s, None

    def caller_holds(self, held: bool) -> None:
        """The caller's side put us on hold, or took us back."""
        self.by_caller = held
        self._call.journal.write("caller.held" if held else "caller.resumed")
        self.apply()

    @property
    def deaf(self) -> bool:
        """True while what the caller says is for nobody, because we keep the caller waiting."""
        return self.by_us or self.in_queue

    def queue(self, on: bool) -> None:
        """Let the caller wait with music between our words, or not any more."""
        self.in_queue = on
        self._call.recorder.gate("queue", on)
        self._call.leg.play_music(on)

    def reset(self) -> None:
        """Another party is on the line: nobody holds anybody."""
        self.by_caller = self.by_us = self.caller_gone = False
        self.apply()

    async def hold(self) -> bool:
        """Put the caller on hold: the voice stops, music plays. False when the caller's side objects to it.

        It hears the music then all the same, and is not listened to.
        """
        async with self._turn:
            if self.by_us:
                return True
            self.by_us = True
            self.apply()  # first, lest something begins while the voice is being stopped
            await self._call.stop_voice()
            self._call.stop_leg()  # also a line of our own, of which the session knows nothing
            agreed = await self._call.leg.hold(True)
            self._call.journal.write("call.held", agreed=agreed)
            return agreed

    async def resume(self) -> bool:
        """Take the caller back. False when the caller's side objects, or the caller has gone."""
        async with self._turn:
            if not self.by_us:
                return True
            agreed = await self._call.leg.hold(False)
            self.by_us = False
            self._call.journal.write("call.resumed", agreed=agreed)
            self.apply()
            return agreed

    async def until_back(self) -> None:
        """Wait until nobody holds anybody."""
        while self.on:
            await self._changed.wait()
