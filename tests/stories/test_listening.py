"""``listen`` in whole calls: nothing is said, and a key, a silence or the time ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import eventually, virtual, virtual_run
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, Digits, Listened, flow


def listening(prompt: str = "", **options: Any) -> tuple[Story, list[Listened]]:
    """Return a call whose flow listens once, and keeps what came of it."""
    had: list[Listened] = []

    @flow("listener")
    async def listener(call: Call) -> None:
        if prompt:
            await call.say(prompt)
        had.append(await call.listen(**options))

    story = Story(listener)
    story.start()
    return story, had


async def at_listen(story: Story) -> None:
    await eventually(lambda: story.call.step == "listen")


@virtual
async def test_a_key_ends_it_and_nothing_was_said() -> None:
    story, had = listening()
    await at_listen(story)
    await story.caller_says("my parcel has not come")
    await asyncio.sleep(1)
    story.leg.press("5")
    await asyncio.sleep(1)
    assert had == [], "another key does nothing"
    story.leg.press("#")
    await story.ends()
    assert had == [Listened("key", "#", spoke=True)]
    assert story.provider.creates() == []


@virtual
async def test_a_silence_ends_it_but_not_in_mid_speech() -> None:
    story, had = listening(silence_s=4)
    await at_listen(story)
    await story.caller_says("a long story", seconds=30)
    await asyncio.sleep(3)
    await story.caller_says("and its end")
    await asyncio.sleep(3)
    assert had == []
    await story.ends()
    assert had == [Listened("silence", spoke=True)]


@virtual
async def test_who_says_nothing_at_all_is_told_apart() -> None:
    story, had = listening(silence_s=4)
    await story.ends()
    assert had == [Listened("silence")]


@virtual
async def test_its_time_is_bounded_whoever_speaks() -> None:
    story, had = listening(seconds=20)
    await at_listen(story)
    await story.caller_begins()
    await story.ends()
    assert had == [Listened("time", spoke=True)]


@virtual
async def test_an_operators_words_are_no_silence() -> None:
    story, had = listening(silence_s=4)
    await at_listen(story)
    await asyncio.sleep(3)
    story.provider.plans.append(Reply(text="A word.", audio_ms=3000))
    story.call.trigger("A word.", {}, request_id="op")
    await story.agent_speaks()
    await story.agent_silent()
    await asyncio.sleep(3)
    assert had == []
    await story.ends()
    assert had[0].reason == "silence"


@virtual
async def test_who_begins_over_the_line_before_is_listened_to() -> None:
    story, had = listening("Please leave your message after this long line.", silence_s=4)
    story.provider.plans.append(Reply(audio_ms=8000))
    await story.agent_speaks()
    await story.caller_says("I call about my parcel")
    await story.ends()
    assert had == [Listened("silence", spoke=True)]


@virtual
async def test_a_key_from_before_does_not_end_it() -> None:
    story, had = listening("Please leave your message.", silence_s=4)
    story.provider.plans.append(Reply(audio_ms=8000))
    await story.agent_speaks()
    story.leg.press("#")
    await story.ends()
    assert had[0].reason == "silence"


@virtual
async def test_what_was_said_answers_no_question_after_it() -> None:
    answers: list[str | None] = []

    @flow("listener")
    async def listener(call: Call) -> None:
        await call.listen(silence_s=2)
        answers.append(await call.collect("Ask.", digits=Digits(1), attempts=1))

    story = Story(listener)
    story.start()
    await at_listen(story)
    await story.caller_says("five")
    await story.ends()
    assert answers == [None]


@pytest.mark.parametrize(
    ("options", "field"),
    [({"seconds": 0}, "seconds"), ({"silence_s": 0}, "silence_s"), ({"keys": "x"}, "keys")],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], field: str) -> None:
    async def story() -> list[ConfigError]:
        refused: list[ConfigError] = []

        @flow("listener")
        async def listener(call: Call) -> None:
            try:
                await call.listen(**options)
            except ConfigError as error:
                refused.append(error)

        call = Story(listener)
        call.start()
        await call.ends()
        return refused

    assert [one.setting for one in virtual_run(story())] == [f"listen {field}"]
