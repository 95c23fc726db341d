"""Reads a socket for a parser whose own buffer doubles whenever it is found full, and never shrinks.

What comes in a burst (a loop that was late, a provider far ahead of the voice) would otherwise make that
buffer as large as the burst, for each socket and for the rest of its life. Here it comes into memory that all
sockets of a thread share, and goes on in portions: the parser's buffer holds its largest frame, no more.
"""

from __future__ import annotations

import asyncio
import threading

READ_BYTES = 65_536
"""The shared memory: so much is read at once."""
MOST_FULL = 90
"""picows doubles a buffer that is fuller than this, in percent …"""
LEAST_FREE_BYTES = 257
"""… or has less room than this."""


class _Shared(threading.local):
    def __init__(self) -> None:
        self.memory = memoryview(bytearray(READ_BYTES))


_shared = _Shared()


class ReadPortions(asyncio.BufferedProtocol):
    """Stands between a transport and ``parser``, which takes whole frames out of its buffer at each update.

    A transport fills the buffer that it has got and says so before it does anything else, and reads nothing
    while it is told so (also not when it is closed then, as the TLS of plain asyncio would): there is never
    anything in the shared memory between two calls.
    """

    __slots__ = ("_memory", "_parser", "_size")

    def __init__(self, parser: asyncio.BufferedProtocol) -> None:
        self._parser = parser
        self._memory = _shared.memory
        self._size = 0
        """That of the parser's buffer, as far as it has been seen."""

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the shared memory."""
        del sizehint
        return self._memory

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what has come."""
        parser, memory = self._parser, self._memory
        at = 0
        while at < nbytes:
            room: memoryview = parser.get_buffer(-1)  # pyright: ignore[reportAssignmentType]
            free = len(room)
            size = self._size = max(self._size, free)
            portion = min(nbytes - at, free - max(LEAST_FREE_BYTES, size * (100 - MOST_FULL) // 100))
            if portion <= 0:  # one frame fills it
                portion = min(nbytes - at, free)
            room[:portion] = memory[at : at + portion]
            at += portion
            free -= portion
            if free < LEAST_FREE_BYTES or 100 * (size - free) // size > MOST_FULL:
                self._size = 2 * size
            parser.buffer_updated(portion)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand it on."""
        self._parser.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Hand it on."""
        return self._parser.eof_received()

    def pause_writing(self) -> None:
        """Hand it on."""
        self._parser.pause_writing()

    def resume_writing(self) -> None:
        """Hand it on."""
        self._parser.resume_writing()
