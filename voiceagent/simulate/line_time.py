"""PURE. Agent audio on a line without a clock of its own: when what is heard, reckoned instead of played.

The same account as :class:`voiceagent.media.playout.Playout`, but to the sample and without frames. Audio is
G.711, 8000 bytes a second. ``now`` is seconds of any monotonic clock. While the line is held, its time stands
still: nothing is played and nothing is lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from voiceagent.call.leg import Heard

SAMPLES_PER_S = 8000
SAMPLES_PER_MS = 8
_REMEMBERED = 16
"""So many cut responses are remembered, so that their late deltas stay silent."""
_CLOSE = 1e-9
"""Sums of floating-point seconds differ by less."""


@dataclass(frozen=True, slots=True)
class Started:
    """The first sample of an item is heard."""

    response_id: str
    item_id: str


@dataclass(slots=True)
class _Item:
    response_id: str
    item_id: str
    chunks: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """(begins, samples), in the line's time."""
    started: bool = False
    closed: bool = False

    @property
    def begins(self) -> float:
        return self.chunks[0][0]

    @property
    def ends(self) -> float:
        begins, samples = self.chunks[-1]
        return begins + samples / SAMPLES_PER_S

    def heard_ms(self, at: float) -> int:
        samples = 0
        for begins, size in self.chunks:
            samples += max(0, min(size, int((at - begins + _CLOSE) * SAMPLES_PER_S)))
        return samples // SAMPLES_PER_MS


class LineTime:
    """What waits to be heard on one line."""

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._free_at = 0.0
        self._lost = 0.0
        """Seconds that the line stood still so far."""
        self._held_at: float | None = None
        self._cut: deque[str] = deque(maxlen=_REMEMBERED)

    def _at(self, now: float) -> float:
        return (now if self._held_at is None else self._held_at) - self._lost

    def write(self, audio_bytes: int, response_id: str, item_id: str, now: float) -> None:
        """Queue so much audio, unless its response was cut."""
        if not audio_bytes or response_id in self._cut:
            return
        last = self._items[-1] if self._items else None
        if last is None or (last.response_id, last.item_id) != (response_id, item_id):
            if last is not None:
                last.closed = True
            last = _Item(response_id, item_id)
            self._items.append(last)
        begins = max(self._at(now), self._free_at)
        last.chunks.append((begins, audio_bytes))
        self._free_at = begins + audio_bytes / SAMPLES_PER_S

    def end(self, response_id: str) -> None:
        """No more audio of this response will come."""
        for item in self._items:
            if item.response_id == response_id:
                item.closed = True

    def flush(self, now: float) -> list[Heard]:
        """Drop all that waits; return the account of every unfinished item, oldest first."""
        at = self._at(now)
        accounts: list[Heard] = []
        for item in self._items:
            done = item.closed and item.ends <= at + _CLOSE
            accounts.append(Heard(item.response_id, item.item_id, item.heard_ms(at), not done))
            if not done and item.response_id not in self._cut:
                self._cut.append(item.response_id)
        self._items.clear()
        self._free_at = min(self._free_at, at)
        return accounts

    def hold(self, on: bool, now: float) -> None:
        """The line stands still, or goes on."""
        if on and self._held_at is None:
            self._held_at = now
        elif not on and self._held_at is not None:
            self._lost += now - self._held_at
            self._held_at = None

    def wake_at(self) -> float | None:
        """Return when the next item starts or ends, if nothing else happens before."""
        if not self._items or self._held_at is not None:
            return None
        item = self._items[0]
        if not item.started:
            return item.begins + self._lost
        return item.ends + self._lost if item.closed else None

    def wake(self, now: float) -> list[Started | Heard]:
        """Return what has started and ended until now, in order."""
        facts: list[Started | Heard] = []
        at = self._at(now) + _CLOSE
        while self._items:
            item = self._items[0]
            if not item.started and item.begins <= at:
                item.started = True
                facts.append(Started(item.response_id, item.item_id))
            if not (item.started and item.closed and item.ends <= at):
                break
            self._items.popleft()
            facts.append(Heard(item.response_id, item.item_id, item.heard_ms(at), False))
        return facts
