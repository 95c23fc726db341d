"""PURE. A stream of bytes cut into SIP messages and keep-alives (RFC 3261 §18.3, RFC 5626 §3.5.1).

The time is linear in the bytes, however they are sliced. After a :class:`Broken` nothing more is read:
whoever has lost the frame cannot find it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from voiceagent.sip.limits import DEFAULT, Limits

_lengths = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.IGNORECASE
).findall
_TOKEN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Whole:
    """One message, from its start line to the end of its body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """A double CRLF between messages: the peer wants a single one back."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The single CRLF that we waited for."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream cannot be cut any further; close it.

    ``why`` is a stable code for the counter, ``head`` the message's head where it came whole, to be answered
    with ``status``.
    """

    why: str
    status: int = 400
    head: bytes = b""


Frame = Whole | Ping | Pong | Broken


class StreamFramer:
    """Bytes in, frames out. ``expects_pong`` is set by the owner after a ping, and cleared by the pong."""

    __slots__ = ("_broken", "_buffer", "_limits", "_need", "_newlines", "_seen", "expects_pong")

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._seen = 0
        """How far the buffer was searched for the end of the head."""
        self._need = 0
        """Size of the message whose head was read; 0 while it was not."""
        self._newlines = 0
        self._broken = False
        self.expects_pong = False

    @property
    def within(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer) and not self._broken

    def feed(self, data: bytes) -> list[Frame]:
        """Take what came; return what is complete with it, in order."""
        frames: list[Frame] = []
        if self._broken:
            return frames
        self._buffer += data
        while self._buffer:
            frame = self._next()
            if frame is None:
                break
            frames.append(frame)
            if isinstance(frame, Broken):
                self._broken = True
                self._buffer = bytearray()
                break
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if not self._need:
            if not self._seen:
                frame = self._between()
                if frame is not None or not buffer or buffer[0] == 13:
                    return frame
                self._newlines = 0
            frame = self._head()
            if frame is not None or not self._need:
                return frame
        if len(buffer) < self._need:
            return None
        message = bytes(buffer[: self._need])
        del buffer[: self._need]
        self._need = self._seen = 0
        return Whole(message)

    def _between(self) -> Frame | None:
        """Take the CRLFs between messages; None where a message begins or more bytes are needed."""
        buffer = self._buffer
        while len(buffer) > 1 and buffer[0] == 13 and buffer[1] == 10:
            del buffer[:2]
            if self.expects_pong:
                self.expects_pong = False
                return Pong()
            self._newlines += 1
            if self._newlines == 2:
                self._newlines = 0
                return Ping()
        if buffer and buffer[0] not in _TOKEN and not (buffer[0] == 13 and len(buffer) == 1):
            return Broken("not_sip")
        return None

    def _head(self) -> Broken | None:
        """Look for the end of the head, and read the length of the body off it."""
        buffer = self._buffer
        most = self._limits.stream_message
        end = buffer.find(_END, self._seen, most)
        if end < 0:
            if len(buffer) >= most:
                return Broken("head_too_large", 513)
            self._seen = max(1, len(buffer) - 3)
            return None
        head = bytes(buffer[: end + 2])
        found = _lengths(head[:-2])
        if len(found) != 1:
            return Broken("many_content_length" if found else "no_content_length", 400, head)
        digits = b"".join(found[0].split(b"\r\n")).strip(b" \t")
        if not digits.isdigit() or len(digits) > self._limits.int_digits:
            return Broken("content_length", 400, head)
        size = end + 4 + int(digits)
        if size > most:
            return Broken("too_large", 513, head)
        self._need = size
        return None
