"""Where a link's inputs can be watched: sockets that open, fail and close, frames in, control frames out.

A tap costs the audio lane nothing: frames of that lane pass untouched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from voiceagent.errors import VoiceAgentError
from voiceagent.realtime.frames import FrameListener, FrameTransport
from voiceagent.realtime.model_events import RealtimeModelAudioEvent, RealtimeModelTranscriptDeltaEvent


class LinkTap(Protocol):
    """Told everything, synchronously, before anybody acts on it. Sockets are counted from 1 per call."""

    def opening(self) -> int:
        """A socket is being opened; return its number."""
        ...

    def beyond(self) -> AbstractContextManager[None]:
        """What is done within is the transport's doing, not the session's."""
        ...

    def early(self) -> AbstractContextManager[None]:
        """Frames that come within had come before anybody listened."""
        ...

    def owned(self, work: Callable[..., Any], /, *args: Any) -> Any:
        """Do what the transport brings about on behalf of the session."""
        ...

    def opened(self, socket: int) -> None:
        """It stands."""
        ...

    def failed(self, socket: int, error: VoiceAgentError) -> None:
        """It could not be opened."""
        ...

    def frame(self, socket: int, data: bytes | str) -> None:
        """A frame of the provider, but for audio and pieces of its transcript."""
        ...

    def audio(self, socket: int, event: RealtimeModelAudioEvent, audio_format: str) -> None:
        """A frame of the provider with agent audio, decoded."""
        ...

    def words(self, socket: int, event: RealtimeModelTranscriptDeltaEvent, data: bytes | str) -> None:
        """A frame of the provider (``data``) with a piece of what the agent speaks, decoded."""
        ...

    def closed(self, socket: int, code: int | None, reason: str, *, ours: bool) -> None:
        """It is gone; ``ours``: we had begun to close it."""
        ...

    def turn(self) -> int:
        """Return where the event loop is: see :meth:`gone`."""
        ...

    def gone(self, socket: int, waited: int) -> None:
        """Somebody has waited for its end since the turn ``waited``."""
        ...

    def sent(self, socket: int, data: bytes) -> None:
        """A control frame of ours leaves."""
        ...


def _nobody(data: bytes | str) -> None:
    """Nobody listens yet."""


class TappedTransport:
    """A socket whose coming and going, and whose control frames, a tap is told. A ``FrameTransport``."""

    __slots__ = ("_closing", "_inner", "_listener", "_tap", "frame_received", "send_audio", "socket")

    def __init__(self, inner: FrameTransport, tap: LinkTap, socket: int) -> None:
        self.socket = socket
        self._inner = inner
        self._tap = tap
        self._closing = False
        self._listener: FrameListener | None = None
        self.frame_received: Callable[[bytes | str], None] = _nobody
        self.send_audio = inner.send_audio

    def listen(self, listener: FrameListener) -> None:
        self._listener = listener
        # Between a frame and who takes it stands no function of Python's but the tap's own.
        self.frame_received = partial(self._tap.owned, listener.frame_received)
        hears: Any = self  # a checker takes a function that stands in a slot for a method
        with self._tap.early():
            self._inner.listen(hears)

    def transport_closed(self, code: int | None, reason: str) -> None:
        self._tap.closed(self.socket, code, reason, ours=self._closing)
        listener, self._listener, self.frame_received = self._listener, None, _nobody
        if listener is not None:
            self._tap.owned(listener.transport_closed, code, reason)

    def send(self, data: bytes) -> None:
        self._tap.sent(self.socket, data)
        self._inner.send(data)

    async def wait_closed(self) -> None:
        waited = self._tap.turn()
        with self._tap.beyond():
            await self._inner.wait_closed()
        self._tap.gone(self.socket, waited)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._closing = True
        self._inner.close(code, reason)

    @property
    def buffered(self) -> int:
        return self._inner.buffered

    @property
    def dropped(self) -> int:
        return self._inner.dropped


async def open_tapped(
    open_transport: Callable[..., Awaitable[FrameTransport]],
    tap: LinkTap,
    url: str,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    max_bytes: int,
    audio_limit: int,
) -> FrameTransport:
    """Open a socket and tell ``tap`` about it."""
    socket = tap.opening()
    try:
        with tap.beyond():
            opened = await open_transport(
                url, headers, timeout_s=timeout_s, max_bytes=max_bytes, audio_limit=audio_limit
            )
    except VoiceAgentError as error:
        tap.failed(socket, error)
        raise
    tap.opened(socket)
    return TappedTransport(opened, tap, socket)
