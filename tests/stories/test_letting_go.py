"""An ended call that is looked at no longer is taken apart, unless something of it is still at work."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from tests.kit.story import Story
from tests.kit.virtual_loop import settle, virtual
from voiceagent.call.letting_go import let_go
from voiceagent.errors import CallEnded
from voiceagent.ivr import Call, flow


@virtual
async def test_a_flow_that_ends_late_is_told_that_the_call_has_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    release = asyncio.Event()
    ends: list[str] = []

    @flow("stubborn")
    async def stubborn(call: Call) -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        try:
            await call.listen(seconds=1.0)
        except CallEnded:
            ends.append("ended")
            raise

    story = Story(stubborn)
    story.start()
    await asyncio.sleep(1)
    story.call.end("over")
    await story.ends()
    assert any(entry["type"] == "task.stuck" for entry in story.entries)
    let_go(story.call)
    release.set()
    await settle()
    assert ends == ["ended"]
    assert [record.getMessage() for record in caplog.records] == []
    let_go(story.call)
    assert not hasattr(story.call, "ledger")
