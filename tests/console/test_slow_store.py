"""A store that does not answer keeps who listens waiting, and nobody else."""

from __future__ import annotations

import asyncio
import threading

from voiceagent.console.files import FileAnswer
from voiceagent.console.history_audio import open_audio
from voiceagent.records.objects import Head
from voiceagent.records.states import RecordingRecord

from .kit import PATIENCE_S

STORED = RecordingRecord(
    file="call_1-a.wav",
    call_id="call_1",
    name="a",
    started_at=1.0,
    state="stored",
    location="s3://bucket/call_1-a.opus",
)


class Hanging:
    """Answers when it is told to."""

    url = "s3://bucket"

    def __init__(self) -> None:
        self.go = threading.Event()

    def head(self, name: str) -> Head:
        self.go.wait(60)
        return Head(4, "")

    def read(self, name: str, start: int, end: int) -> bytes:
        self.go.wait(60)
        return b"opus"[start:end]


async def test_threads_that_calls_need_are_free() -> None:
    store = Hanging()

    async def listen() -> bytes:
        audio = await open_audio("", STORED.file, STORED, store)  # type: ignore[arg-type]
        answer = FileAnswer(audio.bytes, media_type=audio.media_type, shown="", asked={})
        return b"".join([bytes(piece) async for piece in answer.body_iterator])  # type: ignore[arg-type]

    listeners = [asyncio.create_task(listen()) for _ in range(80)]
    await asyncio.sleep(0)  # all have asked
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(int) == 0  # as looking a provider's name up
    finally:
        store.go.set()
    assert set(await asyncio.gather(*listeners)) == {b"opus"}
