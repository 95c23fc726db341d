"""The port between the link and its socket: whole text frames, sent without waiting.

Two lanes go out: control, which is never dropped, and audio, which is bounded and loses its oldest frames
when the socket cannot keep up. Control overtakes waiting audio, never the other way round.
"""

from __future__ import annotations

from typing import Protocol

AUDIO_LANE_BYTES = 24 * 1024
"""Two seconds of G.711 as append frames."""
WRITE_LIMIT_BYTES = 8 * 1024
"""How much may stand in the socket's own buffer before frames wait in our lanes."""


class FrameListener(Protocol):
    """Who receives; both are called on the event loop's thread."""

    def frame_received(self, data: bytes | str, /) -> None:
        """One whole text message has arrived."""
        ...

    def transport_closed(self, code: int | None, reason: str) -> None:
        """The socket is gone; told once. ``code`` is the WebSocket close code, if any (RFC 6455 §7.4)."""
        ...


class FrameTransport(Protocol):
    """An open socket."""

    def listen(self, listener: FrameListener) -> None:
        """Name the one listener; frames that came before are delivered first."""
        ...

    def send(self, data: bytes) -> None:
        """Send a control frame. Never blocks; after closing it does nothing."""
        ...

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        """Send a frame of the audio lane; ``keep`` protects one that must stay in order (a commit)."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start closing; :meth:`FrameListener.transport_closed` follows."""
        ...

    async def wait_closed(self) -> None:
        """Wait until the socket and its tasks are gone."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that wait to be written."""
        ...

    @property
    def dropped(self) -> int:
        """Audio frames lost because the socket could not keep up."""
        ...


class WriteLanes:
    """What waits to be written: control first, then audio, oldest audio dropped past the limit."""

    __slots__ = ("_audio", "_audio_bytes", "_control", "_limit", "dropped")

    def __init__(self, audio_limit: int = AUDIO_LANE_BYTES) -> None:
        self._control: list[bytes] = []
        self._audio: list[tuple[bytes, bool]] = []
        self._audio_bytes = 0
        self._limit = audio_limit
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._control or self._audio)

    def __len__(self) -> int:
        return len(self._control) + len(self._audio)

    @property
    def size(self) -> int:
        """Bytes waiting in both lanes."""
        return self._audio_bytes + sum(map(len, self._control))

    def put(self, data: bytes) -> None:
        """Add a control frame."""
        self._control.append(data)

    def put_audio(self, data: bytes, keep: bool = False) -> None:
        """Add an audio frame, making room by dropping the oldest ones that need not be kept."""
        self._audio.append((data, keep))
        self._audio_bytes += len(data)
        if self._audio_bytes > self._limit:
            self._shrink()

    def _shrink(self) -> None:
        kept: list[tuple[bytes, bool]] = []
        while self._audio_bytes > self._limit and self._audio:
            data, keep = self._audio.pop(0)
            if keep:
                kept.append((data, True))
                continue
            self._audio_bytes -= len(data)
            self.dropped += 1
        self._audio[:0] = kept

    def take(self) -> bytes | None:
        """Return the next frame to write, or None."""
        if self._control:
            return self._control.pop(0)
        if self._audio:
            data, _ = self._audio.pop(0)
            self._audio_bytes -= len(data)
            return data
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._control.clear()
        self._audio.clear()
        self._audio_bytes = 0
