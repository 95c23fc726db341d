"""PURE. Agent audio waiting to be heard, and the exact account of what was heard of each item.

Audio is G.711, 8000 bytes a second; a frame is 160 bytes (20 ms). Samples count as heard when
:meth:`Playout.take` hands them out; an item counts as *ended* one frame later, when its last frame has had
its time, or when the next one starts within that frame. Consecutive items flow into each other without a
gap. Silence padded onto a last short frame is never counted.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME = 160
"""Bytes (= samples) of a 20 ms G.711 frame."""
SAMPLES_PER_MS = 8
_REMEMBERED = 16
"""So many cut responses are remembered, so that their late deltas stay silent."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of one item was played. ``heard_ms`` is rounded down; ``samples`` is exact."""

    response_id: str
    item_id: str
    heard_ms: int
    cut: bool
    samples: int


@dataclass(frozen=True, slots=True)
class Started:
    """The first samples of an item were handed out."""

    response_id: str
    item_id: str


Fact = Started | Heard
"""``Heard`` among the facts always has ``cut`` False: cut items are returned by :meth:`Playout.flush`."""


class _Item:
    __slots__ = ("closed", "heard", "item_id", "queued", "response_id", "started")

    def __init__(self, response_id: str, item_id: str) -> None:
        self.response_id = response_id
        self.item_id = item_id
        self.queued = 0
        self.heard = 0
        self.started = False
        self.closed = False

    def account(self, cut: bool) -> Heard:
        return Heard(self.response_id, self.item_id, self.heard // SAMPLES_PER_MS, cut, self.heard)


class Playout:
    """The audio of one call's agent.

    After each :meth:`take` look at ``facts`` and clear it. ``silence`` is the padding byte: 0xFF for µ-law,
    0xD5 for A-law.
    """

    __slots__ = ("_chunks", "_current", "_cut", "_items", "_offset", "_owner", "_waiting", "facts", "silence")

    def __init__(self, silence: int = 0xFF) -> None:
        self.silence = silence
        self.facts: list[Fact] = []
        self._items: list[_Item] = []
        self._chunks: list[tuple[bytes, _Item]] = []
        self._current = b""
        self._offset = 0
        self._owner: _Item | None = None
        """The item that ``_current`` belongs to."""
        self._waiting = 0
        """Samples in ``_chunks``."""
        self._cut: list[str] = []

    @property
    def waiting(self) -> int:
        """Samples that have not been handed out."""
        return len(self._current) - self._offset + self._waiting

    @property
    def busy(self) -> bool:
        """True while an item is unfinished: audio is waiting, or may still come."""
        return bool(self._items)

    @property
    def ready(self) -> bool:
        """True when :meth:`take` would return audio."""
        left = len(self._current) - self._offset + self._waiting
        return left >= FRAME or (left > 0 and self._items[-1].closed)

    def write(self, audio: bytes, response_id: str, item_id: str) -> bool:
        """Queue ``audio`` (any length). Return False for the late audio of a response that was cut."""
        if not audio:
            return True
        if self._cut and response_id in self._cut:
            return False
        items = self._items
        item = items[-1] if items else None
        if item is None or item.item_id != item_id or item.response_id != response_id:
            if item is not None:
                item.closed = True
            item = _Item(response_id, item_id)
            items.append(item)
        item.queued += len(audio)
        self._chunks.append((bytes(audio), item))
        self._waiting += len(audio)
        return True

    def end(self, response_id: str) -> None:
        """No more audio of this response will come: its last short frame may go out."""
        for item in self._items:
            if item.response_id == response_id:
                item.closed = True

    def take(self) -> bytes | None:
        """Return the next 20 ms, or None when nothing may be played now."""
        offset = self._offset
        end = offset + FRAME
        current = self._current
        if end <= len(current):
            owner = self._owner
            if owner is not None and owner.started and self._items[0] is owner:
                self._offset = end
                owner.heard += FRAME
                return current[offset:end]
        return self._gather()

    def _gather(self) -> bytes | None:
        items = self._items
        if not items:
            return None
        self.retire()
        if not items:
            return None
        left = len(self._current) - self._offset + self._waiting
        if left < FRAME and not (left and items[-1].closed):
            return None
        parts: list[bytes] = []
        missing = FRAME
        while missing:
            have = len(self._current) - self._offset
            if have == 0:
                if not self._chunks:
                    break
                self._current, self._owner = self._chunks.pop(0)
                self._waiting -= len(self._current)
                self._offset = 0
                have = len(self._current)
            owner = self._owner
            assert owner is not None
            if not owner.started:
                self.retire()  # an item that ends within this frame has ended before the next one starts
                owner.started = True
                self.facts.append(Started(owner.response_id, owner.item_id))
            size = have if have < missing else missing
            parts.append(self._current[self._offset : self._offset + size])
            self._offset += size
            owner.heard += size
            missing -= size
        if missing:
            parts.append(bytes((self.silence,)) * missing)
        return b"".join(parts)

    def retire(self) -> None:
        """Report the items whose last sample was handed out at an earlier frame.

        For frames in which nothing is taken.
        """
        items = self._items
        while items and items[0].closed and items[0].heard == items[0].queued:
            self.facts.append(items.pop(0).account(False))

    def flush(self) -> list[Heard]:
        """Drop all that waits; return the account of every unfinished item, oldest first.

        An item that was played whole and closed, but whose last frame is still sounding, is not cut.
        """
        accounts: list[Heard] = []
        for item in self._items:
            done = item.closed and item.heard == item.queued
            accounts.append(item.account(not done))
            if not done and item.response_id not in self._cut:
                self._cut.append(item.response_id)
                del self._cut[:-_REMEMBERED]
        self._items.clear()
        self._chunks.clear()
        self._current = b""
        self._offset = 0
        self._owner = None
        self._waiting = 0
        return accounts
