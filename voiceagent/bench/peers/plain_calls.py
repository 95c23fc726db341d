"""The straightforward bridge under our load: ``websockets``, ``json``, ``base64``, a task for each direction.

What a capable engineer writes in an afternoon. It is a yardstick that is always installed, and shows that
this bench can carry any peer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from importlib import import_module
from importlib.metadata import version
from typing import Any

from voiceagent.bench.peers.line import FRAME, RtpLine
from voiceagent.bench.peers.work import main

_client: Any = import_module("websockets.asyncio.client")

AUDIO = {"format": {"type": "audio/pcmu"}}
SESSION = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {**AUDIO, "turn_detection": {"type": "server_vad", "create_response": True}},
        "output": AUDIO,
    },
}


class PlainCall:
    """One bridge."""

    def __init__(self, line: RtpLine, socket: Any) -> None:
        self.port = 0
        self._line = line
        self._socket = socket
        self._up: asyncio.Queue[bytes] = asyncio.Queue()
        self._down: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._item = ""
        self._heard_ms = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Configure the session and let audio flow both ways."""
        self.port = await self._line.open()
        await self._send(type="session.update", session=SESSION)
        self._line.heard = self._up.put_nowait
        self._tasks = [asyncio.create_task(work) for work in (self._listen(), self._speak(), self._hear())]

    async def _send(self, **event: Any) -> None:
        await self._socket.send(json.dumps(event))

    async def _listen(self) -> None:
        while True:
            audio = base64.b64encode(await self._up.get()).decode()
            await self._send(type="input_audio_buffer.append", audio=audio)

    async def _hear(self) -> None:
        async for message in self._socket:
            event = json.loads(message)
            if event["type"] == "response.output_audio.delta":
                if event["item_id"] != self._item:
                    self._item, self._heard_ms = event["item_id"], 0
                audio = base64.b64decode(event["delta"])
                self._down.extend(audio[at : at + FRAME] for at in range(0, len(audio), FRAME))
                self._news.set()
            elif event["type"] == "input_audio_buffer.speech_started" and self._down:
                self._down.clear()
                await self._send(
                    type="conversation.item.truncate",
                    item_id=self._item,
                    content_index=0,
                    audio_end_ms=self._heard_ms,
                )

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
                self._line.send(self._down.popleft())
                self._heard_ms += 20


async def compose(url: str, number: int, phone: int) -> PlainCall:
    """Open one call."""
    socket = await _client.connect(url.replace("{model}", f"call-{number}"), compression=None, proxy=None)
    call = PlainCall(RtpLine(phone), socket)
    await call.open()
    return call


if __name__ == "__main__":
    main(f"plain with websockets {version('websockets')}", compose)
