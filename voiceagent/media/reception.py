"""PURE. What one incoming RTP stream suffered on its way: losses (RFC 3550 A.3) and jitter (A.8).

Fed with every packet of the locked source. It is apart from the jitter buffer, because the buffer counts
what the ear lost, and this counts what the network did: a packet that came too late to be heard came.
Packets are only noted as they come and reckoned up later, many at once: the audio's road stays short.
"""

from __future__ import annotations

_MOD = 1 << 16
_JUMP = 3000
"""A sequence number further ahead than this is a new numbering (A.1: MAX_DROPOUT)."""
_STRAY = 80_000
"""Timestamp units; a packet that moved further is no jitter: the timestamp wrapped or jumped."""

Note = tuple[int, int | None, int, float]
"""Sequence, timestamp (None where it is not of this packet: RFC 4733), SSRC, time of arrival in s."""


class Reception:
    """One stream. Jitter is kept in timestamp units."""

    __slots__ = (
        "_base",
        "_expected_before",
        "_highest",
        "_notes",
        "_rate",
        "_received_before",
        "_transit",
        "jitter",
        "lost_before",
        "note",
        "peak_jitter",
        "received",
        "ssrc",
    )

    def __init__(self, clock_rate: int = 8000) -> None:
        self._notes: list[Note] = []
        self.note = self._notes.append
        """Take a packet in: a method, called with a :data:`Note`."""
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
            self.settle()
            self._rate = clock_rate
            self._transit = None
            self.jitter = 0.0

    def settle(self) -> None:
        """Reckon up what was noted; call it every half second or so, and before reading any figure."""
        notes = self._notes
        if not notes:
            return
        rate = self._rate
        highest, transit, jitter, peak = self._highest, self._transit, self.jitter, self.peak_jitter
        known = self.ssrc
        for sequence, timestamp, ssrc, now in notes:
            ahead = (sequence - highest) & 0xFFFF
            if ahead == 1 and ssrc == known and highest >= 0:  # nearly always
                highest += 1
            elif ssrc != known or highest < 0 or _JUMP <= ahead < _MOD - _JUMP:
                self._highest = highest
                self._begin(sequence, ssrc)
                highest, transit, known = sequence, None, ssrc
            elif ahead < _JUMP:
                highest += ahead
            self.received += 1
            if timestamp is None:
                continue
            before, transit = transit, now * rate - timestamp
            if before is None:
                continue
            moved = transit - before if transit > before else before - transit
            if moved < _STRAY:
                jitter += (moved - jitter) / 16
                if jitter > peak:
                    peak = jitter
        notes.clear()
        self._highest, self._transit, self.jitter, self.peak_jitter = highest, transit, jitter, peak

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
    def clock_rate(self) -> int:
        """Timestamp units in a second."""
        return self._rate

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
