"""PURE. Does a trunk's server live? OPTIONS at intervals: one answer says yes, three silences say no."""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.sip.address import Address
from voiceagent.sip.attempts import Attempts, send_outside
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.syntax.message import Response
from voiceagent.sip.timers import Timer
from voiceagent.sip.trunk.trunks import Trunk

FAILURES_TO_DOWN = 3
ANSWER_LIMIT_S = 5.0
"""How long one answer may take; less where they are asked for more often."""
_JITTER = 10  # per cent of the interval, so that all servers of all trunks are not asked at once
_DEAD = frozenset({408, 503})
"""Statuses by which a proxy in between says that nobody is there. Every other answer is a sign of life."""


class Pinger:
    """Asks one server. ``up`` is None until the first verdict; ``changed`` is called at each."""

    def __init__(self, core: Core, trunk: Trunk, server: Address, changed: Callable[[Pinger], None]) -> None:
        self._core = core
        self._trunk = trunk
        self.trunk = trunk.name
        self.server = server
        self.up: bool | None = None
        self.detail = ""
        self._changed = changed
        self._failures = 0
        self._number = 0
        self._call_id = core.tokens()
        self._tag = core.tokens()
        self._attempts: Attempts | None = None
        self._timer: Timer | None = None

    def open_once(self) -> None:
        """:meth:`open` where it was not opened yet."""
        if self._number == 0:
            self.open()

    def open(self) -> None:
        """Ask now, and then again and again."""
        self._number += 1
        core, trunk = self._core, self._trunk
        self._attempts = send_outside(
            core,
            "OPTIONS",
            trunk.uri(),
            [self.server],
            from_=f"<{trunk.from_uri()}>;tag={self._tag}",
            to=f"<{trunk.uri()}>",
            call_id=self._call_id,
            number=self._number,
            contact=core.contact,
            headers=(("Accept", "application/sdp"),),
            on_response=lambda response, _: self._answered(response),
            on_failure=lambda _, why: self._heard(alive=False, detail=why),
        )
        core.counts["keepalives_sent"] += 1
        limit = min(ANSWER_LIMIT_S, trunk.keepalive_s)
        self._timer = core.wire.timers.at(
            core.wire.now + limit, lambda: self._heard(alive=False, detail="no answer")
        )

    def close(self) -> None:
        """Ask no more."""
        self._core.wire.timers.cancel(self._timer)
        attempts, self._attempts = self._attempts, None
        if attempts is not None:
            attempts.stopped = True
            attempts.client.terminate()

    def _answered(self, response: Response) -> None:
        if response.status >= 200 and self._attempts is not None:
            self._attempts = None  # its transaction absorbs repetitions a while longer
            detail = f"{response.status} {response.reason}"
            self._heard(alive=response.status not in _DEAD, detail=detail)

    def _heard(self, *, alive: bool, detail: str) -> None:
        self.close()
        self._failures = 0 if alive else self._failures + 1
        before = self.up
        if alive:
            self.up = True
        elif self._failures >= FAILURES_TO_DOWN:
            self.up = False
        self.detail = detail
        timers, now = self._core.wire.timers, self._core.wire.now
        spread = (100 - self._core.dice(_JITTER + 1)) / 100
        self._timer = timers.at(now + self._trunk.keepalive_s * spread, self.open)
        if self.up != before:
            self._changed(self)
