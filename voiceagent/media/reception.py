"""PURE. What one incoming RTP stream suffered on its way: losses (RFC 3550 A.3) and jitter (A.8).

Fed with every packet of the locked source. It is apart from the jitter buffer, because the buffer counts
what the ear lost, and this counts what the network did: a packet that came too late to be heard came.
"""

from __future__ import annotations

_MOD = 1 << 16
_JUMP = 3000
"""A sequence number further ahead than this is a new numbering (A.1: MAX_DROPOUT)."""


class Reception:
    """One stream. ``now`` is in seconds on any monotonic clock; jitter is kept in timestamp units."""

    __slots__ = (
        "_base",
        "_expected_before",
        "_highest",
        "_rate",
        "_received_before",
        "_transit",
        "jitter",
        "lost_before",
        "peak_jitter",
        "received",
        "ssrc",
    )

    def __init__(self, clock_rate: int = 8000) -> None:
        self.ssrc = -1
        self.received = 0
        """Of this numbering."""
        self.jitter = 0.0
        self.peak_jitter = 0.0
        self.lost_before = 0
        """Lost of earlier numberings (another SSRC, a restart)."""
        self._rate = clock_rate
        self._base = 0
        self._highest = -1
        self._transit: float | None = None
        self._expected_before = 0
        self._received_before = 0

    def set_clock_rate(self, clock_rate: int) -> None:
        """The codec's RTP clock has changed."""
        if clock_rate != self._rate:
            self._rate = clock_rate
            self._transit = None
            self.jitter = 0.0

    def packet(self, sequence: int, timestamp: int, ssrc: int, now: float, timed: bool = True) -> None:
        """Take a packet in. ``timed`` is False where the timestamp is not of this packet (RFC 4733)."""
        highest = self._highest
        if ssrc != self.ssrc or highest < 0:
            self._begin(sequence, ssrc)
        else:
            ahead = (sequence - highest) & 0xFFFF
            if ahead < _JUMP:
                self._highest = highest + ahead
            elif ahead < _MOD - _JUMP:
                self._begin(sequence, ssrc)
        self.received += 1
        if not timed:
            return
        transit = now * self._rate - timestamp
        before = self._transit
        self._transit = transit
        if before is None:
            return
        moved = transit - before
        if moved < 0:
            moved = -moved
        if moved < 80_000:  # beyond: the timestamp wrapped or the sender's time line jumped
            self.jitter += (moved - self.jitter) / 16
            if self.jitter > self.peak_jitter:
                self.peak_jitter = self.jitter

    def _begin(self, sequence: int, ssrc: int) -> None:
        if self._highest >= 0:
            self.lost_before += max(0, self.lost)
        self.ssrc = ssrc
        self.received = 0
        self._base = sequence
        self._highest = sequence
        self._transit = None
        self._expected_before = 0
        self._received_before = 0

    @property
    def highest_sequence(self) -> int:
        """Extended by the wraps."""
        return max(0, self._highest)

    @property
    def expected(self) -> int:
        """Packets that the sender has sent in this numbering, by its sequence numbers."""
        return self._highest - self._base + 1 if self._highest >= 0 else 0

    @property
    def lost(self) -> int:
        """Packets missing of this numbering; below zero when the network made copies."""
        return self.expected - self.received

    @property
    def jitter_ms(self) -> float:
        """The running mean of A.8."""
        return self.jitter * 1000 / self._rate

    @property
    def peak_jitter_ms(self) -> float:
        """The largest value that it had."""
        return self.peak_jitter * 1000 / self._rate

    def fraction_lost(self) -> int:
        """Lost of 256 since this was asked last (A.3)."""
        expected, received = self.expected, self.received
        gone = expected - self._expected_before - (received - self._received_before)
        interval = expected - self._expected_before
        self._expected_before, self._received_before = expected, received
        return 0 if interval <= 0 or gone <= 0 else min(255, gone * 256 // interval)
