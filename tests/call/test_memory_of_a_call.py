"""What a running call holds, by the allocations of its own code in virtual time: the same everywhere."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from pathlib import Path

import pytest

import voiceagent
from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual_run
from voiceagent.ivr import Call, flow

AT_ONCE = 5
ANSWER_S = 4
SILENCE = b"\xfb\x7c" * 80
"""20 ms of a line on which nobody speaks."""
SOUND = b"\x20\xa0" * 80


@flow("talk")
async def talk(call: Call) -> None:
    await call.converse("Talk.", turns=1000, seconds=3600)


async def conversed(story: Story, turns: int) -> None:
    """Hold a conversation of so many turns of the caller, 8 s each; the caller's line is always open."""
    speaking = False

    async def line() -> None:
        while True:
            await asyncio.sleep(0.02)
            story.leg.hears(bytes(bytearray(SOUND if speaking else SILENCE)))

    story.provider.default = Reply(text="word " * 20, audio_ms=ANSWER_S * 1000, gap_s=0.04)
    story.start()
    await asyncio.sleep(2)
    caller = asyncio.create_task(line())
    for turn in range(turns):
        await story.caller_begins()
        speaking = True
        await asyncio.sleep(1)
        speaking = False
        await story.caller_stops(f"This is what I say in turn {turn}.")
        await asyncio.sleep(6.5)
    caller.cancel()


def held(turns: int) -> float:
    """Return the bytes that a call holds after so many turns, of what code of the product allocated."""

    async def talked() -> float:
        warm = Story(talk, record_inputs=True)
        await conversed(warm, 2)  # what is made once is not counted
        warm.call.end("warm")
        await warm.ends()
        gc.collect()
        tracemalloc.start()
        try:
            stories = [Story(talk, record_inputs=True, call_id=f"call_{n}") for n in range(AT_ONCE)]
            await asyncio.gather(*[conversed(story, turns) for story in stories])
            for story in stories:
                assert len(story.call.transcript.lines) >= 2 * turns
                story.entries.clear()  # not the call's: a node's journal is on the disk
            gc.collect()
            taken = tracemalloc.take_snapshot()
        finally:
            tracemalloc.stop()
        for story in stories:
            story.call.end("measured")
            await story.ends()
        ours = tracemalloc.Filter(True, str(Path(voiceagent.__file__).parent / "*"))
        # Of the product's, but of this test: its clock, and the frames that its provider has received.
        of_tests = [tracemalloc.Filter(False, name) for name in ("*virtual_loop.py", "*wire_frames.py")]
        found = taken.filter_traces([ours]).filter_traces(of_tests)
        return sum(trace.size for trace in found.traces) / AT_ONCE

    return virtual_run(talked())


@pytest.fixture(scope="module")
def short() -> float:
    return held(2)


def test_a_call_between_two_turns_holds_little(short: float) -> None:
    assert short < 60 * 1024


def test_an_answer_that_is_over_leaves_little(short: float) -> None:
    assert (held(12) - short) / 10 < 3.4 * 1024
