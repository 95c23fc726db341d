"""``voiceagent engine``: the embedded provider on its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

from voiceagent.cli.run import USAGE, fail, fail_with
from voiceagent.errors import ConfigError, VoiceAgentError
from voiceagent.loops import run_loop

if TYPE_CHECKING:
    from voiceagent.engine.config import HostedConfig


SECRET_VARIABLE = "VOICEAGENT_WEBHOOK_SECRET"


def run_engine(
    host: str,
    port: int,
    *,
    voice: str,
    recogniser: str,
    faults: str,
    as_json: bool,
    webhook: str | None = None,
    sip_port: int = 0,
) -> None:
    """Serve until SIGTERM or Ctrl-C. ``webhook``: take calls, too, and offer them at this URL."""
    from voiceagent.engine.config import EngineConfig
    from voiceagent.engine.run import start_engine

    secret = os.environ.get(SECRET_VARIABLE, "")

    async def work(config: EngineConfig) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with await start_engine(config) as running:
            if as_json:
                told = {"event": "listening", "url": running.url, "sip": running.sip or None}
                print(json.dumps(told), flush=True)
            else:
                print(f"The embedded realtime provider listens on {running.url}", flush=True)
                if webhook:
                    print(f"It takes calls on sip:{running.sip} and offers them at {webhook}", flush=True)
                print("Warming up voice and recogniser …", end=" ", flush=True)
            await running.ready()
            if not as_json:
                print("ready.", flush=True)
            await stop.wait()

    try:
        config = EngineConfig(
            host=host,
            port=port,
            voice=voice,
            recogniser=recogniser,
            faults=faults,
            hosted=_hosted(host, sip_port, webhook, secret) if webhook else None,
        )
        run_loop(lambda: work(config))
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    except OSError as error:
        fail(
            f"engine.port: cannot listen on {host}:{port}: {error.strerror}",
            USAGE,
            as_json=as_json,
            code="config",
        )


def _hosted(host: str, sip_port: int, webhook: str, secret: str) -> HostedConfig:
    from voiceagent.engine.config import HostedConfig

    if not secret:
        raise ConfigError(SECRET_VARIABLE, "must hold the secret (whsec_…) that webhooks are signed with")
    try:
        return HostedConfig(secret, webhook, sip_host=host, sip_port=sip_port)
    except ValueError as error:
        raise ConfigError(SECRET_VARIABLE, str(error)) from None
