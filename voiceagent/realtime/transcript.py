"""PURE. What the agent says, and which part of it was heard when the audio stopped early.

Transcripts carry no times. Each piece is remembered with the amount of audio that had arrived before it.
Servers that send text and audio side by side so give usable positions; where the text runs far ahead of the
audio (most do), the text is spread evenly over the audio instead.
"""

from __future__ import annotations

from array import array

FASTEST_SPEECH = 40
"""Characters per second. Text that would have to be spoken faster than this ran ahead of its audio."""


class Transcript:
    """The text of one spoken content part, piece by piece. Positions are milliseconds of audio."""

    __slots__ = ("_final", "_marks", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._marks = array("I")
        """Of each piece the milliseconds of audio before it, and the characters to its end, in turns.
        Kept of all that a call says: numbers, not objects."""
        self._final: str | None = None

    def add(self, piece: str, audio_ms: int) -> None:
        """Add a piece that arrived when ``audio_ms`` of audio were here."""
        if not piece:
            return
        before = self._marks[-1] if self._marks else 0
        if self._final is None:
            self._pieces.append(piece)
        self._marks.append(audio_ms)
        self._marks.append(before + len(piece))

    def finish(self, text: str) -> None:
        """Replace the pieces by the server's final text."""
        if text:
            self._final = text
            self._pieces.clear()

    @property
    def text(self) -> str:
        """All of the text so far."""
        if self._final is not None:
            return self._final
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def heard(self, heard_ms: int, total_ms: int) -> str:
        """Return whole words of the text that fit into the first ``heard_ms`` of ``total_ms``."""
        text = self.text
        if heard_ms <= 0 or not text:
            return ""
        if heard_ms >= total_ms:
            return text
        return whole_words(text, self._position(heard_ms, total_ms, len(text)))

    def _position(self, heard_ms: int, total_ms: int, chars: int) -> int:
        segments = self._segments(total_ms)
        if segments is not None and segments[-1][3] == chars:
            for start_ms, end_ms, start_char, end_char in segments:
                if heard_ms < end_ms:
                    share = (heard_ms - start_ms) / max(1, end_ms - start_ms)
                    return start_char + round(share * (end_char - start_char))
        return round(chars * heard_ms / total_ms)

    def _segments(self, total_ms: int) -> list[tuple[int, int, int, int]] | None:
        """Return ``(from_ms, to_ms, from_char, to_char)`` of every stretch, or None when not believable."""
        segments: list[tuple[int, int, int, int]] = []
        first = 0
        starts, ends = self._marks[::2], self._marks[1::2]
        for index, (at_ms, chars) in enumerate(zip(starts, ends, strict=True)):
            following = starts[index + 1] if index + 1 < len(starts) else total_ms
            if following <= at_ms:
                continue  # pieces without audio in between belong to one stretch
            if (chars - first) * 1000 > FASTEST_SPEECH * (following - at_ms):
                return None
            segments.append((segments[-1][1] if segments else 0, following, first, chars))
            first = chars
        return segments or None


def whole_words(text: str, chars: int) -> str:
    """Return the longest start of ``text`` of at most ``chars`` characters that ends with a whole word."""
    if chars >= len(text):
        return text
    if chars <= 0:
        return ""
    end = chars
    if not text[end].isspace():
        while end > 0 and not text[end - 1].isspace():
            end -= 1
    return text[:end].rstrip()
