"""PURE. The caller's last words as audio, kept until they have become text: a new session must hear them.

Most of the time a caller listens. Of such silence only the length is kept: a new session hears as much of
it, but not its noise.
"""

from __future__ import annotations

from voiceagent.realtime.appends import QUIET_CODES
from voiceagent.realtime.config import BYTES_PER_MS, SILENCE

KEPT_SILENCE_MS = 200
"""Audio that reached the provider just before it ended a turn may belong to the next one."""
PIECE_MS = 120
"""What is older than this is looked at in pieces of this length, each sound or silence."""


class CallerAudio:
    """The caller's newest audio, ``limit_ms`` at most, in a format of :data:`~.config.BYTES_PER_MS`.

    Positions are bytes since the call began. A piece without a sound (see :data:`~.appends.QUIET_CODES`) is
    kept as its length.
    """

    __slots__ = (
        "_begin",
        "_due",
        "_end",
        "_first",
        "_frames",
        "_limit",
        "_marks",
        "_per_ms",
        "_pieces",
        "_quiet",
        "_sealed",
        "_silence",
    )

    def __init__(self, audio_format: str, limit_ms: int) -> None:
        self._per_ms = BYTES_PER_MS[audio_format]
        self._quiet = QUIET_CODES.get(audio_format)
        self._silence = SILENCE[audio_format]
        self._limit = limit_ms * self._per_ms
        self._pieces: list[bytes | int] = []
        self._first = 0
        """Where the first piece begins."""
        self._sealed = 0
        """Where the last one ends …"""
        self._frames: list[bytes] = []
        """… and what has come since."""
        self._due = PIECE_MS * self._per_ms
        """Where these are to become a piece."""
        self._begin = 0
        """What came before is not needed."""
        self._end = 0
        self._marks: dict[str, int] = {}

    @property
    def ms(self) -> int:
        """How much is kept."""
        return self._kept() // self._per_ms

    def add(self, audio: bytes) -> None:
        """Keep ``audio``; the oldest goes past the limit."""
        self._frames.append(audio)
        self._end += len(audio)
        if self._end >= self._due:
            self._seal()

    def committed(self, item_id: str) -> None:
        """The provider made a turn of what it has got so far."""
        self._marks[item_id] = self._end - KEPT_SILENCE_MS * self._per_ms

    def understood(self, item_id: str) -> None:
        """The turn is known as text (or as unintelligible): its audio is not needed any more."""
        mark = self._marks.pop(item_id, None)
        if mark is not None:
            self._forget(mark)

    def answered(self) -> None:
        """All committed turns were answered (where nobody transcribes)."""
        for item_id in list(self._marks):
            self.understood(item_id)

    def forget_turns(self) -> None:
        """The provider that knew these turns is gone."""
        self._marks.clear()

    def last(self, ms: int) -> bytes:
        """Return the newest ``ms`` at most."""
        wanted = min(ms * self._per_ms, self._kept())
        pieces = [self._silence * piece if isinstance(piece, int) else piece for piece in self._pieces]
        return b"".join(pieces + self._frames)[-wanted:] if wanted else b""

    def _kept(self) -> int:
        return min(self._end - self._begin, self._limit)

    def _seal(self) -> None:
        """Make a piece of the frames that have come."""
        piece = b"".join(self._frames)
        self._frames.clear()
        self._sealed = self._end
        self._due = self._end + PIECE_MS * self._per_ms
        pieces = self._pieces
        if self._quiet is None or piece.translate(None, self._quiet):
            pieces.append(piece)
        elif pieces and isinstance(pieces[-1], int):
            pieces[-1] += len(piece)
        else:
            pieces.append(len(piece))
        self._forget(self._end - self._limit)

    def _forget(self, before: int) -> None:
        """Let go of all pieces that end before this position, and of the beginning of a silence."""
        self._begin = before = max(before, self._begin)
        pieces = self._pieces
        while pieces:
            piece = pieces[0]
            size = piece if isinstance(piece, int) else len(piece)
            over = before - self._first
            if over >= size:
                del pieces[0]
                self._first += size
            else:
                if isinstance(piece, int) and over > 0:
                    pieces[0] = piece - over
                    self._first = before
                return
        self._first = self._sealed
