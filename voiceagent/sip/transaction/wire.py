"""PURE. What the transaction machines need of the world: a clock reading, timers, and a way out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from voiceagent.sip.address import Address
from voiceagent.sip.effects import Retransmitted, SendDatagram, SipEffect
from voiceagent.sip.limits import DEFAULT
from voiceagent.sip.timers import TimerHeap, TimerValues

Key = Hashable


class Wire:
    """Shared by all transactions of one endpoint.

    ``now`` is set by the endpoint at every entry; ``out`` collects the effects of that entry in order.
    """

    __slots__ = ("live", "now", "out", "oversize", "retransmissions", "timers", "values")

    def __init__(self, values: TimerValues, live: Mapping[int, object] | None = None) -> None:
        self.live: Mapping[int, object] = {} if live is None else live
        """Stream connections that stand, by number."""
        self.now = 0.0
        self.out: list[SipEffect] = []
        self.timers = TimerHeap()
        self.values = values
        self.retransmissions = 0
        self.oversize = 0

    def send(self, data: bytes, destination: Address) -> None:
        """Order one datagram; one that UDP cannot carry is counted and not sent."""
        if len(data) > DEFAULT.sent_datagram and not destination.reliable:
            self.oversize += 1
            return
        self.out.append(SendDatagram(data, destination))

    def repeat(self, data: bytes, destination: Address, what: str) -> None:
        """Order a datagram again because the answer to it did not come."""
        self.retransmissions += 1
        self.out.append(SendDatagram(data, destination))
        self.out.append(Retransmitted(what))

    def take(self) -> list[SipEffect]:
        """Hand over the effects collected so far."""
        out = self.out
        self.out = []
        return out


class Doubling:
    """Repeats one message after T1, 2·T1, 4·T1 …, each gap at most ``ceiling``, until stopped or ``end``.

    Timers A and E (no ceiling / T2), G (T2), and the 2xx of a UAS (T2, RFC 3261 §13.3.1.4).
    """

    __slots__ = ("_action", "_ceiling", "_interval", "_timer", "_wire")

    def __init__(
        self, wire: Wire, action: Callable[[], None], *, ceiling: float | None, first: float | None = None
    ) -> None:
        self._wire = wire
        self._action = action
        self._ceiling = ceiling
        self._interval = wire.values.t1 if first is None else first
        self._timer = wire.timers.at(wire.now + self._interval, self._fire)

    def _fire(self) -> None:
        wire = self._wire
        interval = self._interval * 2
        if self._ceiling is not None and interval > self._ceiling:
            interval = self._ceiling
        self._interval = interval
        self._timer = wire.timers.at(wire.now + interval, self._fire)
        self._action()

    def slow_down(self) -> None:
        """From the next repetition on, keep the ceiling as the gap (timer E in Proceeding, §17.1.2.2)."""
        if self._ceiling is not None:
            self._interval = self._ceiling

    def stop(self) -> None:
        """Repeat no more."""
        self._wire.timers.cancel(self._timer)
