"""The port to a realtime model, whatever carries it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_events import RealtimeModelListener
from voiceagent.realtime.model_inputs import RealtimeModelSendAudio, RealtimeModelSendEvent


class RealtimeModel(ABC):
    """One conversation with a realtime model.

    :meth:`send` never blocks and never waits: it queues in order, control ahead of audio. Everything
    the model has to say comes through listeners, synchronously, on the event loop's thread.
    """

    config_layout: Literal["ga", "flat"] = "ga"
    """How the provider wants its session object laid out (see :class:`RealtimeSessionConfig`)."""

    @abstractmethod
    async def connect(self, config: RealtimeSessionConfig) -> None:
        """Connect and configure. Raises :class:`~voiceagent.errors.ProviderError` when that fails."""

    @abstractmethod
    async def close(self, reason: str = "closed") -> None:
        """End the conversation; every open request ends ``lost``. Harmless when already closed."""

    @abstractmethod
    def add_listener(self, listener: RealtimeModelListener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; the result takes it away again."""

    @abstractmethod
    def send(self, event: RealtimeModelSendEvent) -> None:
        """Send without waiting. Raises ``RequestRefused`` when a limit is broken; then nothing is queued."""

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        """:meth:`send`, for callers that prefer to await."""
        self.send(event)

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send caller audio in the session's input format, as it comes; the short road of :meth:`send`."""
        self.send(RealtimeModelSendAudio(audio, commit))

    @property
    def audio_ms(self) -> float:
        """How much audio the present link has taken for the provider; 0 where that is not counted."""
        return 0.0

    @abstractmethod
    def playback_started(self, response_id: str, item_id: str) -> None:
        """Our playout sends the first sample of this item to the caller."""

    @abstractmethod
    def playback_ended(self, response_id: str, item_id: str, heard_ms: int, *, cut: bool) -> None:
        """Our playout will play no more of this item; ``heard_ms`` of it were heard."""

    @abstractmethod
    def snapshot(self) -> Mapping[str, Any]:
        """Return the state for people: plain, JSON-serialisable values."""
