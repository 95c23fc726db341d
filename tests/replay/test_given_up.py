"""What a call has waited for in vain is not answered in its replay either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.kit.recorded import RecordedStory, record_story
from voiceagent.call.hosted_leg import RecordedControl
from voiceagent.call.inputs import Inputs
from voiceagent.records.journal import Journal, read_journal
from voiceagent.replay.provider import ReplayControl
from voiceagent.replay.replay import in_words, replay_journal
from voiceagent.simulate.virtual_loop import virtual_run

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("talk")
async def talk(call: Call) -> None:
    await asyncio.sleep(5)
"""


class NobodyAnswers:
    """A script in which an answer would be a mistake."""

    def __init__(self) -> None:
        self.takers: dict[str, Callable[[Mapping[str, Any]], bool]] = {}

    def answer(self, key: object, given: object) -> bool:
        raise AssertionError((key, given))


async def never(*_: Any) -> Any:
    """Wait for ever."""
    await asyncio.get_running_loop().create_future()


def test_a_hang_up_that_never_ends_costs_the_call_as_long_again(tmp_path: Path) -> None:
    async def act(story: RecordedStory) -> None:
        story.leg.hang_up = never  # type: ignore[method-assign]
        await asyncio.sleep(1)
        story.call.end("enough")

    journal = record_story(tmp_path, FLOW, act)
    entries = list(read_journal(journal))
    assert [one["part"] for one in entries if one["type"] == "close.failed"] == ["leg"]
    report = replay_journal(journal)
    assert report.same, in_words(report)


def test_a_verb_of_the_provider_that_was_given_up_is_not_answered() -> None:
    class Control:
        hangup = never

    async def record() -> Mapping[str, Any]:
        entries: list[Mapping[str, Any]] = []
        journal = Journal(None, None, monotonic=asyncio.get_running_loop().time)
        journal.tap(entries.append)
        control = RecordedControl(cast("Any", Control()), Inputs(journal, "0123456789abcdef"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await control.hangup("rtc_1")
        return entries[-1]

    entry = virtual_run(record())
    assert (entry["type"], entry["verb"]) == ("in.rest", "hangup")

    script = NobodyAnswers()
    ReplayControl(cast("Any", script))
    assert script.takers["rest"](entry)
