"""Whose a log line is: tasks of a call bear its id whoever starts them, what serves all calls bears none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import structlog
from structlog.contextvars import get_contextvars

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.call.call_tasks import CallTasks
from voiceagent.ivr import Call, flow, tool
from voiceagent.log_context import about, nowhere
from voiceagent.media.wheel import MediaWheel
from voiceagent.tasks import TaskNest


@pytest.fixture(autouse=True)
def no_ids_of_others() -> Iterator[None]:
    with structlog.contextvars.bound_contextvars():
        yield


async def ids() -> Mapping[str, Any]:
    await asyncio.sleep(0)
    return get_contextvars()


async def test_a_task_of_a_call_bears_its_id_whoever_starts_it() -> None:
    with about(call_id="a", trace_id="t"):
        tasks = CallTasks("a", lambda name, error: None)
    with about(call_id="b"):
        assert await tasks.start("x", ids()) == {"call_id": "a", "trace_id": "t"}
    assert await tasks.start_last("y", ids()) == {"call_id": "a", "trace_id": "t"}
    assert get_contextvars() == {}


async def test_what_serves_all_calls_bears_no_ones_id() -> None:
    nest = TaskNest("shared", nowhere())
    with about(call_id="a"):
        task = nest.start("x", ids())
    assert await task == {}


async def test_the_wheel_turns_in_no_calls_context() -> None:
    loop = asyncio.get_running_loop()
    seen: list[Mapping[str, Any]] = []
    turned = asyncio.Event()

    class Port:
        due = 0
        turning = False

        def fileno(self) -> int:
            return pair[0].fileno()

        def readable(self, now: float) -> None: ...

        def frame(self, now: float, skipped: int) -> int:
            seen.append(get_contextvars())
            turned.set()
            return 0

    pair = socket.socketpair()
    wheel = MediaWheel(loop)
    with about(call_id="first"):
        wheel.attach(Port())
    try:
        await asyncio.wait_for(turned.wait(), 10)
    finally:
        wheel.close()
        for one in pair:
            one.close()
    assert seen[0] == {}


@virtual
async def test_a_tools_lines_bear_the_response_too() -> None:
    seen: list[Mapping[str, Any]] = []

    @tool
    async def look_up() -> str:
        """Look."""
        seen.append(await ids())
        return "42"

    @flow("teller")
    async def teller(call: Call) -> None:
        seen.append(await ids())
        await call.respond("Look it up.", tools=[look_up])
        seen.append(await ids())

    with about(call_id="call_1"):
        story = Story(teller)
    story.provider.plans.append(Reply(text="", audio_ms=0, calls=[("c1", "look_up", "{}")]))
    story.start()
    await story.ends()
    (entry, *_) = story.call.ledger
    assert seen == [
        {"call_id": "call_1"},
        {"call_id": "call_1", "response_id": entry.request.id},
        {"call_id": "call_1"},
    ]
