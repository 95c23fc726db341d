"""What the console needs of a call to let somebody hear it, and speak in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Listener(Protocol):
    """One who listens to one call."""

    id: str
    """Names this listener within the call."""
    dropped: int
    """Frames that were not taken in time."""
    ended: str
    """Why there is nothing more to hear: ``call_ended``, ``left``; empty before."""

    async def next(self) -> bytes | Mapping[str, Any] | None:
        """Return the next frame (:mod:`voiceagent.media.live_track`), or the state when it has changed.

        None at the end. What is not taken in time is dropped, the oldest first.
        """
        ...

    def voice(self, frame: bytes) -> None:
        """20 ms (160 bytes) of µ-law from this one's microphone; heard while this one has the call."""
        ...

    def leave(self) -> None:
        """Listen no more; harmless when repeated."""
        ...
