"""Start and stop an embedded provider: the helpers that tests, the demo and the command line share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType

from .config import EngineConfig
from .parts_pool import Parts, load_parts
from .server import PATH, EngineServer


@dataclass(slots=True)
class RunningEngine:
    """An engine that listens. Also an asynchronous context manager that closes it."""

    url: str
    """``ws://host:port/v1/realtime``"""
    server: EngineServer

    @property
    def sip(self) -> str:
        """``host:port`` where hosted calls are taken; empty without them."""
        desk = self.server.hosted
        if desk is None:
            return ""
        host, port = desk.address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def offer_calls_to(self, webhook_url: str) -> None:
        """Name the webhook endpoint of hosted calls, when it was not known before."""
        assert self.server.hosted is not None
        self.server.hosted.webhooks.url = webhook_url

    async def ready(self) -> None:
        """Wait until voice and recogniser are warm; raises why they are not."""
        await self.server.ready()

    async def close(self) -> None:
        """Close all sessions, the port and the workers."""
        await self.server.close()

    async def __aenter__(self) -> RunningEngine:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def start_engine(config: EngineConfig | None = None, parts: Parts | None = None) -> RunningEngine:
    """Find the parts (built-in ones unless given), open the port and return; they warm up in the background.

    Raises ConfigError for a bad fault script, or a part that is unknown or not installed, before the port is
    opened; OSError when the port is taken.
    """
    config = config or EngineConfig()
    server = EngineServer(config, parts or await asyncio.to_thread(load_parts, config))
    await server.start()
    host = f"[{config.host}]" if ":" in config.host else config.host
    return RunningEngine(f"ws://{host}:{server.port}{PATH}", server)


async def serve_forever(config: EngineConfig, stop: asyncio.Event) -> None:
    """Run an engine until ``stop`` is set: the body of ``voiceagent engine``."""
    async with await start_engine(config):
        await stop.wait()
