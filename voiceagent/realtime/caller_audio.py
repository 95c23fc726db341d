"""PURE. The caller's last words as audio, kept until they have become text: a new session must hear them."""

from __future__ import annotations

KEPT_SILENCE_MS = 200
"""Audio that reached the provider just before it ended a turn may belong to the next one."""


class CallerAudio:
    """The caller's newest audio, ``limit_ms`` at most. ``per_ms`` is bytes per millisecond.

    One piece of memory: as frames, each 20 ms of G.711 would take a quarter more.
    """

    __slots__ = ("_audio", "_begin", "_limit", "_marks", "_per_ms")

    def __init__(self, per_ms: int, limit_ms: int) -> None:
        self._per_ms = per_ms
        self._limit = limit_ms * per_ms
        self._audio = bytearray()
        self._begin = 0
        """Where it begins in the caller's whole audio, in bytes."""
        self._marks: dict[str, int] = {}

    @property
    def ms(self) -> int:
        """How much is kept."""
        return len(self._audio) // self._per_ms

    def add(self, audio: bytes) -> None:
        """Keep ``audio``; the oldest goes past the limit."""
        kept = self._audio
        kept += audio
        over = len(kept) - self._limit
        if over > 0:
            del kept[:over]
            self._begin += over

    def committed(self, item_id: str) -> None:
        """The provider made a turn of what it has got so far."""
        self._marks[item_id] = self._begin + len(self._audio) - KEPT_SILENCE_MS * self._per_ms

    def understood(self, item_id: str) -> None:
        """The turn is known as text (or as unintelligible): its audio is not needed any more."""
        mark = self._marks.pop(item_id, None)
        if mark is not None:
            over = mark - self._begin
            if over > 0:
                # A new piece, for what is deleted from the front of the old one is not given back at once.
                self._audio = self._audio[over:]
                self._begin = mark

    def answered(self) -> None:
        """All committed turns were answered (where nobody transcribes)."""
        for item_id in list(self._marks):
            self.understood(item_id)

    def forget_turns(self) -> None:
        """The provider that knew these turns is gone."""
        self._marks.clear()

    def last(self, ms: int) -> bytes:
        """Return the newest ``ms`` at most."""
        wanted = ms * self._per_ms
        return bytes(self._audio[-wanted:]) if wanted else b""
