"""``voiceagent engine``: the embedded provider on its own."""

from __future__ import annotations

import asyncio
import json
import signal

from voiceagent.cli.run import USAGE, fail, fail_with, run_loop
from voiceagent.errors import VoiceAgentError


def run_engine(host: str, port: int, *, voice: str, recogniser: str, faults: str, as_json: bool) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    from voiceagent.engine.config import EngineConfig
    from voiceagent.engine.run import start_engine

    async def work() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        config = EngineConfig(host=host, port=port, voice=voice, recogniser=recogniser, faults=faults)
        async with await start_engine(config) as running:
            if as_json:
                print(json.dumps({"event": "listening", "url": running.url}), flush=True)
            else:
                print(f"The embedded realtime provider listens on {running.url}", flush=True)
                print("Warming up voice and recogniser …", end=" ", flush=True)
            await running.ready()
            if not as_json:
                print("ready.", flush=True)
            await stop.wait()

    try:
        run_loop(work)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    except OSError as error:
        fail(
            f"engine.port: cannot listen on {host}:{port}: {error.strerror}",
            USAGE,
            as_json=as_json,
            code="config",
        )
