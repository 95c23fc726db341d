"""openai-agents under our load: its realtime session with playback tracker, G.711 passed through.

It has no phone line: an asyncio socket, and a task per call that sends a packet each 20 ms while there is
something to say, as its telephony example leaves to whoever carries the audio.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from importlib import import_module
from importlib.metadata import version
from typing import Any

from voiceagent.bench.peers.line import FRAME, RtpLine
from voiceagent.bench.peers.work import main

os.environ.setdefault("OPENAI_AGENTS_DISABLE_TRACING", "1")
_realtime: Any = import_module("agents.realtime")

TURNS = {"type": "server_vad", "create_response": True, "interrupt_response": True}


class AgentsCall:
    """One session between line and provider."""

    def __init__(self, line: RtpLine, session: Any, tracker: Any) -> None:
        self.port = 0
        self._line = line
        self._session = session
        self._tracker = tracker
        self._up: asyncio.Queue[bytes] = asyncio.Queue()
        self._down: deque[tuple[bytes, str, int]] = deque()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Let audio flow both ways."""
        self.port = await self._line.open()
        await self._session.enter()
        self._line.heard = self._up.put_nowait
        self._tasks = [asyncio.create_task(work) for work in (self._listen(), self._speak(), self._hear())]

    async def _listen(self) -> None:
        while True:
            await self._session.send_audio(await self._up.get())

    async def _hear(self) -> None:
        async for event in self._session:
            if event.type == "audio":
                data = event.audio.data
                for at in range(0, len(data), FRAME):
                    self._down.append((data[at : at + FRAME], event.item_id, event.content_index))
                self._news.set()
            elif event.type == "audio_interrupted":
                self._down.clear()

    async def _speak(self) -> None:
        due = 0.0
        while True:
            if not self._down:
                self._news.clear()
                await self._news.wait()
            now = time.monotonic()
            due = due + 0.02 if due + 0.02 > now else now
            if due > now:
                await asyncio.sleep(due - now)
            if self._down:
                frame, item, index = self._down.popleft()
                self._line.send(frame)
                self._tracker.on_play_bytes(item, index, frame)


async def compose(url: str, number: int, phone: int) -> AgentsCall:
    """Open one call."""
    tracker = _realtime.RealtimePlaybackTracker()
    settings = {
        "model_name": f"call-{number}",
        "output_modalities": ["audio"],
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "turn_detection": TURNS,
    }
    agent = _realtime.RealtimeAgent(name="bench", instructions="Answer the caller.")
    session = await _realtime.RealtimeRunner(agent).run(
        model_config={
            "api_key": "bench",
            "url": url.replace("{model}", f"call-{number}"),
            "initial_model_settings": settings,
            "playback_tracker": tracker,
        }
    )
    call = AgentsCall(RtpLine(phone), session, tracker)
    await call.open()
    return call


if __name__ == "__main__":
    main(f"openai-agents {version('openai-agents')}", compose)
