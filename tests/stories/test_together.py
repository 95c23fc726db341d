"""Verbs that run at the same time, in tasks of the flow's own: one voice, one listener."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.voices import Act, Played, play_call
from tests.stories.test_playing import wav
from voiceagent.errors import RequestRefused
from voiceagent.ivr import Call, Conversation, Digits, flow, tool
from voiceagent.simulate.sim_call import SimCall

Verb = Callable[[Call], Awaitable[Any]]

LISTENING: dict[str, Verb] = {
    "choose": lambda call: call.choose("Hours or order?", hours="1", order="2"),
    "collect": lambda call: call.collect("Which number?", digits=Digits(2)),
    "converse": lambda call: call.converse("Greet."),
    "queue": lambda call: call.queue("sales", timeout_s=5),
}


async def types(sim: SimCall) -> None:
    await asyncio.sleep(3)
    await sim.press("12", 300)


def together(first: Verb, second: Verb, act: Act = types) -> tuple[Played, list[Any]]:
    had: list[Any] = []

    @flow("both")
    async def both(call: Call) -> None:
        had.extend(await asyncio.gather(first(call), second(call), return_exceptions=True))
        had.append(await call.say("Now on."))

    return play_call(both, act), had


@pytest.mark.parametrize("first", ["choose", "collect", "converse"])
@pytest.mark.parametrize("second", LISTENING)
def test_only_one_verb_listens(first: str, second: str) -> None:
    """Two would each get half of what the caller types."""
    played, had = together(LISTENING[first], LISTENING[second])
    assert played.faults == []
    answer, refused, _ = had
    assert isinstance(refused, RequestRefused)
    assert refused.code == "busy"
    if isinstance(answer, Conversation):
        assert answer.digit == "1"
    else:
        assert answer == {"choose": "hours", "collect": "12"}[first]


def test_the_next_verb_may_listen_when_one_was_cancelled() -> None:
    had: list[Any] = []

    @flow("late")
    async def late(call: Call) -> None:
        for verb in LISTENING.values():
            try:
                async with asyncio.timeout(0.5):
                    await verb(call)
            except TimeoutError:
                had.append("late")
        had.append(await call.collect("Which number?", digits=Digits(2)))

    played = play_call(late, types)
    assert played.faults == []
    assert had == ["late"] * 4 + ["12"]


def test_a_question_within_a_predicate_of_the_conversation_is_its_own() -> None:
    had: list[Any] = []

    @flow("nested")
    async def nested(call: Call) -> None:
        async def sure(text: str) -> bool:
            return bool(await call.confirm("Are you sure?"))

        had.append(await call.converse("Greet.", until=sure))

    async def talks(sim: SimCall) -> None:
        for words in ("I am done", "yes"):
            await sim.until_done()
            await sim.say(words)

    played = play_call(nested, talks)
    assert played.faults == []
    assert had[0].reason == "until"


def test_a_tool_cannot_ask_while_the_conversation_listens() -> None:
    had: list[Any] = []

    @tool
    async def book(call: Call) -> str:
        """Book it."""
        try:
            await call.confirm("Are you sure?")
        except RequestRefused as error:
            had.append(error.code)
            raise
        return "booked"

    @flow("booking")
    async def booking(call: Call) -> None:
        await call.converse("Greet.", tools=[book], turns=1)

    async def talks(sim: SimCall) -> None:
        await sim.until_done()
        await sim.say("book it please")

    played = play_call(booking, talks)
    assert played.faults == []
    assert had == ["busy"]
    assert [one["code"] for one in played.entries("tool.failed")] == ["failed"]


def test_voices_that_are_asked_for_at_once_come_one_after_the_other(tmp_path: Path) -> None:
    path = wav(tmp_path)
    verbs: dict[str, Verb] = {
        "say": lambda call: call.say("One two three four five six."),
        "respond": lambda call: call.respond('Say "Seven eight nine ten."'),
        "play": lambda call: call.play(path),
        "ask": lambda call: call.choose('Ask "Hours or order?"', hours="1", order="2", attempts=1),
    }

    async def silent(sim: SimCall) -> None: ...

    for first in verbs:
        for second in verbs:
            if (first, second) != ("ask", "ask"):
                played, had = together(verbs[first], verbs[second], silent)
                assert played.faults == [], (first, second)
                assert all(one is None or one.completed for one in had), (first, second, had)
