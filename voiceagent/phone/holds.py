"""Holds of the phone, each offered when the exchange before it is over (RFC 3264 §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voiceagent.errors import SipError

AGAIN_S = 0.05
"""Until it is tried again while the far end's own offer, or the ACK that ends it, is on its way."""


class Holds:
    """What is wanted last, hold or resume, is offered as soon as that is allowed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, offer: Callable[[bool], None]) -> None:
        """``offer`` sends the re-INVITE, or raises SipError: ``bad_state`` while another exchange is open."""
        self._loop = loop
        self._offer = offer
        self._wanted: bool | None = None
        self._open = False
        """An offer of ours waits for its answer."""
        self._again: asyncio.TimerHandle | None = None

    def wish(self, on: bool) -> None:
        """Hold, or resume."""
        self._wanted = on
        if not self._open and self._again is None:
            self._try()

    def settled(self) -> None:
        """Our offer is answered, or refused."""
        self._open = False
        if self._again is None:
            self._try()

    def close(self) -> None:
        """The call is over."""
        self._wanted = None
        if self._again is not None:
            self._again.cancel()

    def _try(self) -> None:
        self._again = None
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return
        try:
            self._offer(wanted)
        except SipError as error:
            if error.code != "bad_state":
                raise
            self._wanted = wanted
            self._again = self._loop.call_later(AGAIN_S, self._try)
        else:
            self._open = True
