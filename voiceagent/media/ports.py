"""PURE. A range of UDP ports for RTP: even ports, each left alone for 30 s after use.

A port that was just given up may still be sent to by the old call's phone; whoever got it next would hear
that. When more than 80 % of the range is in use, the longest-rested port is taken before its time.
"""

from __future__ import annotations

from collections import deque

from voiceagent.errors import MediaError

QUARANTINE_S = 30.0
PRESSED = 0.8


class PortRange:
    """The even ports of ``low`` to ``high`` (both included). ``now`` is in seconds on a monotonic clock.

    ``start`` (any integer, random in production) picks where in the range the first port is taken.
    """

    def __init__(
        self, low: int = 30000, high: int = 31999, *, quarantine_s: float = QUARANTINE_S, start: int = 0
    ) -> None:
        if not 1024 <= low <= high <= 65535:
            raise MediaError(f"RTP ports {low}-{high} are no range within 1024-65535", code="port_range")
        ports = list(range(low + low % 2, high + 1, 2))
        if not ports:
            raise MediaError(f"RTP ports {low}-{high} hold no even port", code="port_range")
        turn = start % len(ports)
        self.low = low
        self.high = high
        self.quarantine_s = quarantine_s
        self._fresh: deque[int] = deque(ports[turn:] + ports[:turn])
        self._used: set[int] = set()
        self._resting: deque[tuple[float, int]] = deque()
        self._size = len(ports)

    @property
    def size(self) -> int:
        """Even ports of the range."""
        return self._size

    @property
    def in_use(self) -> int:
        """Ports handed out now."""
        return len(self._used)

    def take(self, now: float) -> int:
        """Hand out a port. Raises :class:`MediaError` with code ``no_port`` when none is free."""
        resting = self._resting
        while resting and resting[0][0] <= now:
            self._fresh.append(resting.popleft()[1])
        if self._fresh:
            port = self._fresh.popleft()
        elif resting and len(self._used) > PRESSED * self._size:
            port = resting.popleft()[1]
        else:
            raise MediaError(
                f"no RTP port free: {len(self._used)} of {self._size} in use, {len(resting)} resting",
                code="no_port",
            )
        self._used.add(port)
        return port

    def give_back(self, port: int, now: float) -> None:
        """End the use of ``port``; giving back a port that is not in use does nothing."""
        if port in self._used:
            self._used.remove(port)
            self._resting.append((now + self.quarantine_s, port))
