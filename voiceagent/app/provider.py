"""From settings to a connected realtime session for one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from voiceagent.call.call import OpenSession
from voiceagent.call.inputs import inputs_of
from voiceagent.call.leg import G711
from voiceagent.call.recorded_call import write_session
from voiceagent.call.session_setup import SessionDefaults, session_config
from voiceagent.ids import random_token
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal
from voiceagent.settings import Settings


class SessionFactory:
    """Opens sessions as the settings say. ``engine_url`` is the embedded provider's address, if it runs."""

    def __init__(self, settings: Settings, engine_url: str | None) -> None:
        self._settings = settings
        self._engine_url = engine_url
        self.name = settings.provider

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
            **self.watched(journal, "first", self.name, realtime.model),
        )
        return await opened(model, self.config(flow, audio_format), journal)

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
            **self.watched(journal, "second", second.provider, second.model, voice=second.voice),
        )
        # Voices are the provider's own: the first one's name means nothing to the second.
        return await opened(model, replace(self.config(flow, audio_format), voice=second.voice), journal)

    def watched(
        self, journal: Journal, place: str, provider: str, model: str | None, **facts: Any
    ) -> dict[str, Any]:
        """Return the arguments by which a model's steps, and its inputs where wanted, reach the journal."""
        inputs = inputs_of(journal)
        if inputs is None:
            return {"trace": tracer(journal)}
        write_session(inputs, provider=provider, defaults=self.defaults, place=place, model=model, **facts)
        return {"trace": tracer(journal), "tap": inputs, "tokens": inputs.tokens("model")}


async def opened(
    model: OpenAIRealtimeWebSocketModel, config: RealtimeSessionConfig, journal: Journal
) -> RealtimeSession:
    """Open a session whose ids a replay can draw again."""
    inputs = inputs_of(journal)
    tokens = random_token if inputs is None else inputs.tokens("session")
    session = RealtimeSession(model=model, config=config, tokens=tokens)
    await session.open()
    return session


_sessions = count(1)


def tracer(journal: Journal) -> Callable[[object, float], None]:
    """Return the hook that writes every event and effect of a sequencer into the call's journal.

    Each hook has a number of its own in its entries, so that the sessions of one call can be told apart.
    """
    session = next(_sessions)

    def trace(event_or_effect: object, now: float) -> None:
        journal.write("sequencer", event_or_effect, loop_t=round(now, 6), session=session)

    return trace
