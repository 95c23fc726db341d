"""The embedded provider as a part of this service: started with it, warmed up beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from voiceagent.errors import ConfigError
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.webhook_signature import PREFIX
from voiceagent.settings import Settings
from voiceagent.tasks import TaskNest

if TYPE_CHECKING:
    from voiceagent.engine.config import HostedConfig
    from voiceagent.engine.run import RunningEngine

_log = structlog.get_logger("voiceagent.service")


class Embedded:
    """Runs the embedded provider where the settings want it; else it is of no effect."""

    def __init__(self, settings: Settings, metrics: Metrics, nest: TaskNest) -> None:
        self._settings = settings
        self._metrics = metrics
        self._nest = nest
        self._engine: RunningEngine | None = None
        self.warmth = "ok"
        """Warming up, ok, or why it failed."""

    @property
    def wanted(self) -> bool:
        """Whether the settings want it."""
        return self._settings.provider == "embedded" and self._settings.realtime.url is None

    @property
    def sip(self) -> str | None:
        """host:port where it takes calls by itself."""
        return (self._engine.sip if self._engine is not None else "") or None

    async def start(self) -> str | None:
        """Start it; returns the URL of its wire, None where it is not wanted. Raises ConfigError."""
        if not self.wanted:
            return None
        from voiceagent.engine.config import EngineConfig
        from voiceagent.engine.run import start_engine

        settings = self._settings.engine
        config = EngineConfig(
            host=settings.host,
            port=settings.port,
            voice=settings.voice,
            recogniser=settings.recogniser,
            vad=settings.vad,
            chat_url=settings.chat_url,
            chat_model=settings.chat_model,
            hosted=self._takes_calls(),
        )
        try:
            self._engine = await start_engine(config)
        except OSError as error:
            raise ConfigError("engine.port", f"cannot listen: {error.strerror}") from None
        times = self._engine.server.times
        times.told = self._metrics.engine_step
        self._metrics.watch("engine_steps_active", lambda: times.active)
        self.warmth = "warming up"
        self._nest.start("warm-up", self._watch_warm_up(self._engine))
        return self._engine.url

    def offer_calls_to(self, url: str) -> None:
        """Have it offer its SIP calls to this webhook."""
        if self._engine is not None:
            self._engine.offer_calls_to(url)

    async def ready(self) -> None:
        """Wait until it is warm."""
        if self._engine is not None:
            await self._engine.ready()

    async def close(self) -> None:
        """Stop it."""
        if self._engine is not None:
            await self._engine.close()

    async def _watch_warm_up(self, engine: RunningEngine) -> None:
        try:
            await engine.ready()
        except Exception as error:
            # Calls are still taken (the caller hears an apology); readiness and the log say why.
            self.warmth = f"failed: {type(error).__name__}: {error}"
            _log.error("the embedded provider did not get ready", error=str(error))
        else:
            self.warmth = "ok"
            self._metrics.provider_up(self._settings.provider, True)

    def _takes_calls(self) -> HostedConfig | None:
        """Its own SIP side, where calls are to be offered to us."""
        secrets = self._settings.hosted.webhook_secrets
        if not secrets:
            return None
        from voiceagent.engine.config import HostedConfig

        sip = self._settings.sip
        return HostedConfig(
            webhook_secret=PREFIX + secrets[0].get_secret_value().strip().removeprefix(PREFIX),
            sip_host=sip.host,
            sip_port=self._settings.engine.sip_port,
            advertised_host=sip.advertised_host,
            allowed_sources=sip.allowed_sources,
            max_calls=self._settings.call.max_calls,
        )
