"""Hold in both directions, and keys that we send."""

from __future__ import annotations

from voiceagent.errors import RequestRefused
from voiceagent.ivr.verbs.base import Verbs


class WaitingVerbs(Verbs):
    """``hold``, ``resume``, ``until_back``, ``send_digits``."""

    @property
    def held(self) -> bool:
        """True while the caller's side has put us on hold: lines wait until it is back."""
        return self._port.held

    async def hold(self) -> bool:
        """Put the caller on hold with music; False where its side did not agree (and hears it anyway)."""
        self._step("hold")
        return await self._port.hold()

    async def resume(self) -> bool:
        """Take the caller back."""
        self._step("resume")
        return await self._port.resume()

    async def until_back(self) -> None:
        """Wait until neither side holds the other."""
        await self._port.until_back()

    async def send_digits(self, digits: str) -> None:
        """Send keys (0-9, ``*``, ``#``, A-D) to the other side, and return when they are sent."""
        if not digits or any(digit not in "0123456789*#ABCD" for digit in digits):
            raise RequestRefused("digits", "must be 0-9, *, #, A-D")
        self._step("send_digits")
        await self._port.send_digits(digits)
