"""From settings to a connected realtime session for one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from voiceagent.call.call import OpenSession
from voiceagent.call.leg import G711
from voiceagent.call.session_opening import opened, watched
from voiceagent.call.session_setup import SessionDefaults, session_config
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel, client_of
from voiceagent.records.journal import Journal
from voiceagent.settings import Settings


class SessionFactory:
    """Opens sessions as the settings say. ``engine_url`` is the embedded provider's address, if it runs."""

    def __init__(
        self,
        settings: Settings,
        engine_url: str | None,
        connected: Callable[[str, float], None] = lambda outcome, seconds: None,
    ) -> None:
        """``connected`` is told how each attempt went (done, failed, late) and how long it took."""
        self._settings = settings
        self._connected = connected
        self._engine_url = engine_url
        self.name = settings.provider
        client_of(settings.realtime.transport)

    @property
    def transcription(self) -> Mapping[str, Any] | None:
        """The transcriber of the caller's words, or None."""
        model = self._settings.realtime.transcription_model
        if not model:
            return None
        return {"model": model, "language": "en"}

    @property
    def defaults(self) -> SessionDefaults:
        """What every session is set up with unless its flow says otherwise."""
        realtime = self._settings.realtime
        return SessionDefaults(realtime.voice, realtime.silence_ms, self.transcription)

    def config(self, flow: Flow, audio_format: G711, *, playout: bool = True) -> RealtimeSessionConfig:
        """Return how a call of this flow is set up; ``playout`` says that we play the audio."""
        return session_config(flow, audio_format, self.defaults, playout=playout)

    async def open(self, flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        """Connect and configure a session. Raises :class:`~voiceagent.errors.ProviderError`."""
        realtime = self._settings.realtime
        model = OpenAIRealtimeWebSocketModel(
            provider=self.name,
            url=realtime.url or self._engine_url,
            model=flow.options.model or realtime.model,
            api_key=realtime.api_key.get_secret_value() if realtime.api_key else None,
            transport=realtime.transport,
            **watched(journal, self.defaults, place="first", provider=self.name, model=realtime.model),
        )
        return await self._opened(model, self.config(flow, audio_format), journal)

    @property
    def second(self) -> OpenSession | None:
        """Opens sessions with the provider that stands in for the first; None when there is none."""
        return self._open_second if self._settings.survival.second.provider != "none" else None

    async def _open_second(self, flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        realtime, second = self._settings.realtime, self._settings.survival.second
        key = second.api_key or realtime.api_key
        model = OpenAIRealtimeWebSocketModel(
            provider=second.provider,
            url=second.url,
            model=second.model,
            api_key=key.get_secret_value() if key else None,
            transport=realtime.transport,
            **watched(
                journal,
                self.defaults,
                place="second",
                provider=second.provider,
                model=second.model,
                voice=second.voice,
            ),
        )
        # Voices are the provider's own: the first one's name means nothing to the second.
        config = replace(self.config(flow, audio_format), voice=second.voice)
        return await self._opened(model, config, journal)

    async def _opened(
        self, model: OpenAIRealtimeWebSocketModel, config: RealtimeSessionConfig, journal: Journal
    ) -> RealtimeSession:
        began, outcome = time.monotonic(), "late"
        try:
            session = await opened(model, config, journal)
            outcome = "done"
            return session
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._connected(outcome, time.monotonic() - began)
