"""A seeded network in virtual time: loses, duplicates, delays and so reorders SIP datagrams."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from voiceagent.sip.effects import Address, SendDatagram, SipEffect, SipEvent
from voiceagent.sip.endpoint import SipEndpoint

Listener = Callable[[SipEvent], None]


class LossyLink:
    """Joins endpoints by address. ``loss`` and ``duplicate`` are probabilities, ``delay`` a range in seconds.

    The same seed gives the same run. Datagrams to an address that nobody has are lost.
    """

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.1,
        duplicate: float = 0.02,
        delay: tuple[float, float] = (0.005, 0.2),
    ) -> None:
        self.random = random.Random(seed)
        self.loss = loss
        self.duplicate = duplicate
        self.delay = delay
        self.now = 0.0
        self.sent = 0
        self.lost = 0
        self.wiretap: Callable[[float, Address, Address, bytes], None] | None = None
        """Called for every datagram that is sent, lost or not: time, from, to, bytes."""
        self._ends: dict[Address, tuple[SipEndpoint, Listener]] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0

    def join(self, address: Address, endpoint: SipEndpoint, listener: Listener) -> None:
        """Attach an endpoint; ``listener`` gets its events and may :meth:`perform` commands at once."""
        self._ends[address] = (endpoint, listener)

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after ``delay`` s: an application that takes its time."""
        self._sequence += 1
        heapq.heappush(self._queue, (self.now + delay, self._sequence, action))

    def perform(self, address: Address, effects: list[SipEffect]) -> None:
        """Perform effects of the endpoint at ``address``."""
        listener = self._ends[address][1]
        for effect in effects:
            if isinstance(effect, SendDatagram):
                self._send(address, effect)
            else:
                listener(effect)

    def _send(self, source: Address, order: SendDatagram) -> None:
        self.sent += 1
        if self.wiretap is not None:
            self.wiretap(self.now, source, order.destination, order.data)
        copies = 2 if self.random.random() < self.duplicate else 1
        for _ in range(copies):
            if self.random.random() < self.loss:
                self.lost += 1
                continue
            self.later(
                self.random.uniform(*self.delay), lambda: self._deliver(order.destination, order.data, source)
            )

    def _deliver(self, destination: Address, data: bytes, source: Address) -> None:
        end = self._ends.get(destination)
        if end is not None:
            self.perform(destination, end[0].receive(data, source, self.now))

    def run(self, until: float) -> None:
        """Let virtual time pass up to ``until``."""
        while True:
            due = self._queue[0][0] if self._queue else None
            waking: Address | None = None
            for address, (endpoint, _) in self._ends.items():
                wake = endpoint.wake_at()
                if wake is not None and (due is None or wake < due):
                    due, waking = wake, address
            if due is None or due > until:
                self.now = until
                return
            self.now = max(self.now, due)
            if waking is None:
                heapq.heappop(self._queue)[2]()
            else:
                self.perform(waking, self._ends[waking][0].wake(self.now))
