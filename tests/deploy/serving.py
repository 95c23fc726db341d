"""``voiceagent serve`` as a process of its own, that speaks with a tone and answers every number."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("anyone", numbers=["*"])
async def anyone(call: Call) -> None:
    await asyncio.Event().wait()
"""
QUIET = {
    "realtime.provider": "embedded",
    "engine.voice": "tone",
    "engine.recogniser": "canned",
    "engine.vad": "energy",
    "call.overload_lag_ms": 0,
    "call.connect_timeout_s": 20,
    "call.filler_s": 0,
    "call.patience_s": 0,
    "call.give_up_s": 0,
    "media.silence_limit_s": 0,
    "media.first_packet_limit_s": 0,
    "sip.port": 0,
    "console.port": 0,
    "console.token": "a-token-for-tests-only",
}
TOKEN = str(QUIET["console.token"])


class Serving:
    """The process, and what it has said line by line."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log
        self.said: list[dict[str, Any]] = []

    async def says(self, event: str, count: int = 1, within_s: float = 60.0) -> list[dict[str, Any]]:
        """Wait until it has said so ``count`` times; return those."""
        assert self.process.stdout is not None
        async with asyncio.timeout(within_s):
            while len(found := [one for one in self.said if one["event"] == event]) < count:
                line = await self.process.stdout.readline()
                assert line, self._log.read_text("utf-8", "replace")[-3000:]
                self.said.append(json.loads(line))
        return found

    async def status(self, within_s: float = 40.0) -> int:
        """Wait for its end."""
        async with asyncio.timeout(within_s):
            return await self.process.wait()


@asynccontextmanager
async def serving(
    folder: Path, settings: Mapping[str, Any], *options: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Serving]:
    """Start it in ``folder``; whatever is left of it at the end is killed."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a local folder, once
    (folder / "flow.py").write_text(FLOW, encoding="utf-8")
    own = {"journal_dir": str(folder / "journals"), "recordings_dir": str(folder / "recordings")}
    pairs = [
        part
        for name, value in {**QUIET, **own, **settings}.items()
        for part in ("--set", f"{name}={json.dumps(value)}")
    ]
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VOICEAGENT_") and name != "OPENAI_API_KEY"
    }
    with (folder / "stderr.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voiceagent", "serve", "--json", "--flow", str(folder / "flow.py")),
            *options,
            *pairs,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**clean, **(environment or {})},
        )
    try:
        yield Serving(process, folder / "stderr.log")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.communicate()
