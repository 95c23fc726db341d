"""PURE. Telephone events (RFC 4733): the caller's key presses in, ours out.

The receiver tells a press with the first packet that shows it, so that lost end packets cost nothing, and
exactly once whatever is lost, doubled or reordered. The sender gives one packet for every 20 ms slot.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from voiceagent.media.rtp import seq_delta, ts_delta

DIGITS = "0123456789*#ABCD"
"""Event codes 0 to 15 (RFC 4733 §3.2)."""
LOST_END_S = 0.160
"""An event without news for three packet times and 100 ms is over (its end packets were lost)."""
SLOTS_PER_S = 50
MAX_DURATION = 0xFFFF
MAX_MS = 8000
"""Longest tone we send; a duration field holds 8191 ms at 8000 Hz."""
_PAYLOAD = struct.Struct("!BBH")


class EventPayload(NamedTuple):
    """The four bytes of RFC 4733 §2.3. ``duration`` is in samples since the timestamp."""

    event: int
    end: bool
    volume: int
    duration: int


def parse_event(payload: bytes) -> EventPayload | None:
    """Take the first event block apart; None when the payload is too short."""
    if len(payload) < 4:
        return None
    event, flags, duration = _PAYLOAD.unpack_from(payload)
    return EventPayload(event, flags > 0x7F, flags & 0x3F, duration)


def build_event(event: EventPayload) -> bytes:
    """Serialise ``event``."""
    return _PAYLOAD.pack(event.event, (0x80 if event.end else 0) | event.volume & 0x3F, event.duration)


class DigitReceiver:
    """Tells each press once. ``now`` is in seconds on any monotonic clock."""

    __slots__ = (
        "_duration",
        "_ended",
        "_event",
        "_last_at",
        "_newest",
        "_ssrc",
        "_timestamp",
        "ignored",
    )

    def __init__(self) -> None:
        self.ignored = 0
        """Packets of known or unknown events that told nothing new."""
        self._ssrc = -1
        self._forget()

    def _forget(self) -> None:
        self._event = -1
        self._timestamp = 0
        self._newest = 0
        self._duration = 0
        self._ended = True
        self._last_at = 0.0

    def pressed(self, now: float) -> str | None:
        """The key that is down now, or None."""
        if self._ended or now - self._last_at > LOST_END_S:
            return None
        return DIGITS[self._event]

    def feed(
        self, payload: bytes, *, sequence: int, timestamp: int, ssrc: int, marker: bool, now: float
    ) -> str | None:
        """Take a telephone-event packet in; return the digit when it shows a new press."""
        event = parse_event(payload)
        if event is None or event.event >= len(DIGITS):
            self.ignored += 1
            return None
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._forget()
        if self._event < 0:
            return self._press(event, sequence, timestamp, now)
        advance = ts_delta(timestamp, self._timestamp)
        if advance == 0:
            return self._same_timestamp(event, sequence, timestamp, marker, now)
        if seq_delta(sequence, self._newest) <= 0:
            # Older than what we know: a press that was told, or one so late that its turn is over.
            self.ignored += 1
            return None
        if self._continues(event, advance, marker):
            self._timestamp = timestamp
            self._note(event, sequence, now)
            self.ignored += 1
            return None
        return self._press(event, sequence, timestamp, now)

    def _continues(self, event: EventPayload, advance: int, marker: bool) -> bool:
        """A tone beyond 8.19 s goes on in a new segment that follows, without marker (RFC 4733 §2.5.1.3)."""
        return (
            not marker
            and not self._ended
            and event.event == self._event
            and 0xF000 <= self._duration <= advance <= 0x10000
        )

    def _same_timestamp(
        self, event: EventPayload, sequence: int, timestamp: int, marker: bool, now: float
    ) -> str | None:
        newer = seq_delta(sequence, self._newest) > 0
        if newer and event.event != self._event:
            return self._press(event, sequence, timestamp, now)
        if newer and not event.end and event.duration < self._duration and (self._ended or marker):
            # A sender that stamps two presses alike: the count of samples started over.
            return self._press(event, sequence, timestamp, now)
        if newer:
            self._note(event, sequence, now)
        elif event.end and event.event == self._event:
            self._ended = True
        self.ignored += 1
        return None

    def _press(self, event: EventPayload, sequence: int, timestamp: int, now: float) -> str:
        self._event = event.event
        self._timestamp = timestamp
        self._ended = False
        self._note(event, sequence, now)
        return DIGITS[event.event]

    def _note(self, event: EventPayload, sequence: int, now: float) -> None:
        self._newest = sequence
        self._duration = event.duration
        self._last_at = now
        self._ended = self._ended or event.end


class EventPacket(NamedTuple):
    """What to send in this slot instead of audio."""

    payload: bytes
    timestamp: int
    marker: bool


class DigitSender:
    """Gives the packets of queued digits, one per 20 ms slot: updates, three end packets, then a pause."""

    __slots__ = (
        "_digit",
        "_end_count",
        "_gap_slots",
        "_pause",
        "_queue",
        "_slot",
        "_slots",
        "_start",
        "_volume",
        "rate",
    )

    def __init__(self, *, tone_ms: int = 100, gap_ms: int = 80, volume: int = 10) -> None:
        """``tone_ms`` is 40 to 8000, ``gap_ms`` (at least 40) counts from the tone's end to the next digit.

        ``volume`` is in −dBm0 (RFC 4733 §2.3.3).
        """
        if not 40 <= tone_ms <= MAX_MS:
            raise ValueError(f"a tone lasts 40 to {MAX_MS} ms, not {tone_ms}")
        if gap_ms < 40:
            raise ValueError(f"the pause between digits is at least 40 ms, not {gap_ms}")
        self._slots = (tone_ms + 19) // 20
        self._gap_slots = (gap_ms + 19) // 20
        self._volume = volume
        self._queue: list[int] = []
        self._digit = -1
        self._slot = 0
        self._end_count = 0
        self._pause = 0
        self._start = 0
        self.rate = 8000
        """Clock of the durations; a longer tone than 65,535 of them says so and no more."""

    @property
    def busy(self) -> bool:
        """True while digits are queued or being sent."""
        return self._digit >= 0 or bool(self._queue) or self._pause > 0

    @property
    def pausing(self) -> bool:
        """True between two digits, and after the last one."""
        return self._pause > 0

    def queue(self, digits: str) -> None:
        """Queue ``digits`` (0-9, *, #, A-D). Raises :class:`ValueError` at the first other character."""
        codes = [DIGITS.find(digit) for digit in digits.upper()]
        if -1 in codes:
            raise ValueError(f"{digits[codes.index(-1)]!r} is no DTMF digit")
        self._queue.extend(codes)

    def next(self, timestamp: int) -> EventPacket | None:
        """Return this slot's packet, or None when audio goes here. ``timestamp`` is that of the slot."""
        if self._pause:
            self._pause -= 1
            return None
        if self._digit < 0:
            if not self._queue:
                return None
            self._digit = self._queue.pop(0)
            self._slot = 0
            self._end_count = 0
            self._start = timestamp
        # An update may say how long the tone will have lasted when this slot is over.
        self._slot = min(self._slot + 1, self._slots)
        end = self._slot == self._slots
        duration = min(self._slot * self.rate // SLOTS_PER_S, MAX_DURATION)
        payload = build_event(EventPayload(self._digit, end, self._volume, duration))
        marker = self._slot == 1 and self._end_count == 0
        if end:
            self._end_count += 1
            if self._end_count == 3:
                self._digit = -1
                self._pause = max(0, self._gap_slots - 2)
        return EventPacket(payload, self._start, marker)

    def clear(self) -> None:
        """Drop the digits that have not begun."""
        self._queue.clear()
