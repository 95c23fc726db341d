"""One live stream as an answer over HTTP."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, cast

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voiceagent.console.live import Stream


class EventStreamResponse(Response):
    """Sends one :class:`Stream` until its end, the reader's departure, or the server's closing."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._stream = stream
        self.background: BackgroundTask | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._stream

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            raise _Gone

        async def write() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(cast("Any", stream.chunks())) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _Gone

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watch(), name="console/live-watch")
                group.create_task(write(), name="console/live-write")
        except* (_Gone, OSError):
            pass


class _Gone(Exception):
    """The stream is over; ends the group."""
