"""PURE. Whose RTP we believe: the defence against media injected from elsewhere ("RTP bleed").

The address of the SDP wins with its first packet. Only while nothing came from there, and within 2 s of the
first foreign packet, may another source prove itself (a phone behind NAT): four packets in sequence, of one
SSRC, with the payload type of the SDP. After the lock no other source is believed, until the lock has been
silent for 2 s and a new source of the *same IP address* brings the same proof. With ``learn`` off only the
SDP's address counts. Packets that serve as proof are not played.
"""

from __future__ import annotations

Address = tuple[str, int]

WINDOW_S = 2.0
SILENCE_S = 2.0
PROOF = 4
"""Packets in sequence that make a proof."""
_CANDIDATES = 8


class _Candidate:
    __slots__ = ("count", "next_sequence", "ssrc")

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.next_sequence = -1
        self.count = 0


class SourceLock:
    """The lock of one media stream. ``now`` is in seconds on any monotonic clock."""

    __slots__ = (
        "_candidates",
        "_expected",
        "_last",
        "_learn",
        "_locked",
        "_payload_types",
        "_window_end",
        "foreign",
    )

    def __init__(
        self, expected: Address | None, payload_types: frozenset[int], *, learn: bool = True
    ) -> None:
        self.foreign = 0
        """Packets that were not believed."""
        self._learn = learn
        self._payload_types = payload_types
        self._candidates: dict[Address, _Candidate] = {}
        self._expected = expected
        self._locked: Address | None = None
        self._last = 0.0
        self._window_end = -1.0

    @property
    def locked(self) -> Address | None:
        """The one source that is believed, or None."""
        return self._locked

    @property
    def expected(self) -> Address | None:
        """The address that the SDP told last."""
        return self._expected

    @property
    def send_to(self) -> Address | None:
        """Where our packets go: to the lock, before that to the SDP's address."""
        return self._locked or self._expected

    @property
    def learning(self) -> bool:
        """True when a source other than the SDP's address may prove itself at all."""
        return self._learn

    def expect(self, address: Address | None, payload_types: frozenset[int]) -> bool:
        """A new SDP was agreed on. Return True when the address changed: the lock is then open again.

        None names no address: nothing changes.
        """
        self._payload_types = payload_types
        if address is None or address == self._expected:
            return False
        self._expected = address
        self._locked = None
        self._window_end = -1.0
        self._candidates.clear()
        return True

    def silent(self, now: float) -> bool:
        """True when the lock has said nothing for 2 s, so that re-learning is open."""
        return self._locked is not None and now - self._last >= SILENCE_S

    def touch(self, now: float) -> None:
        """A packet of the lock came (known from a connected socket, without its address)."""
        self._last = now

    def accept(self, source: Address, payload_type: int, sequence: int, ssrc: int, now: float) -> bool:
        """Return True when this packet may be played."""
        locked = self._locked
        if source == locked:
            self._last = now
            return True
        if locked is None:
            if source == self._expected:
                self._lock(source, now)
                return True
            if self._learn:
                if self._window_end < 0:
                    self._window_end = now + WINDOW_S
                in_window = now <= self._window_end
                expected = self._expected
                # After the window a NAT may still have moved the port, but not the host.
                allowed = in_window or (expected is not None and source[0] == expected[0])
                if allowed and self._proof(source, payload_type, sequence, ssrc):
                    self._lock(source, now)
        elif (
            self._learn
            and source[0] == locked[0]
            and now - self._last >= SILENCE_S
            and self._proof(source, payload_type, sequence, ssrc)
        ):
            self._lock(source, now)
        self.foreign += 1
        return False

    def _lock(self, source: Address, now: float) -> None:
        self._locked = source
        self._last = now
        self._candidates.clear()

    def _proof(self, source: Address, payload_type: int, sequence: int, ssrc: int) -> bool:
        if payload_type not in self._payload_types:
            self._candidates.pop(source, None)
            return False
        candidate = self._candidates.get(source)
        if candidate is None or candidate.ssrc != ssrc or candidate.next_sequence != sequence:
            if candidate is None and len(self._candidates) >= _CANDIDATES:
                self._candidates.pop(next(iter(self._candidates)))
            candidate = _Candidate(ssrc)
            self._candidates[source] = candidate
        candidate.next_sequence = (sequence + 1) & 0xFFFF
        candidate.count += 1
        return candidate.count >= PROOF
