"""Every verb, everything that may happen, at every moment: the promises of flows hold.

``VERB_GRID_STEP_MS=100`` looks at every 100 ms, ``VERB_GRID_CALLS=5000`` plays so many calls composed at
random; without them both are a sample that is quickly played.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.random_flows import TEXT, play_random
from tests.kit.voices import Act, Played, after_ms, play_call
from tests.stories.test_playing import wav
from voiceagent.ivr import Call, Digits, Flow, flow
from voiceagent.simulate.scenario import Operator
from voiceagent.simulate.sim_call import SimCall

STEP_MS = int(os.environ.get("VERB_GRID_STEP_MS", "900"))
CALLS = int(os.environ.get("VERB_GRID_CALLS", "120"))
UNTIL_MS = 9_000


def says(words: str, ms: int) -> Act:
    async def act(sim: SimCall) -> None:
        await sim.say(words, ms)

    return act


def presses(keys: str, pace_ms: int = 250) -> Act:
    async def act(sim: SimCall) -> None:
        await sim.press(keys, pace_ms)

    return act


async def twice(sim: SimCall) -> None:
    await sim.say("mhm", 300)
    await sim.say("", 200)


async def holds(sim: SimCall) -> None:
    await sim.hold(8_000)


async def wants(sim: SimCall) -> None:
    sim.operator(Operator(instructions='Say "A word."'))


async def lost(sim: SimCall) -> None:
    sim.provider.settings = sim.provider.settings.model_copy(update={"away_ms": 2_000})
    sim.provider.lose()


FALSE_ALARMS = {"mhm": says("mhm", 300), "cough": says("", 200), "twice": twice}
OTHERS = {"hold": holds, "operator": wants}


def line_of(verb: str, path: Path) -> tuple[Flow, list[Any]]:
    had: list[Any] = []

    @flow("line")
    async def line(call: Call) -> None:
        match verb:
            case "say":
                had.append(await call.say(TEXT))
            case "respond":
                had.append(await call.respond(f'Say "{TEXT}"'))
            case _:
                had.append(await call.play(path, text=TEXT))
        had.append(await call.collect('Ask "Number please?"', digits=Digits(2), no_input_s=2, attempts=1))

    return line, had


@pytest.mark.parametrize("verb", ["say", "respond", "play"])
@pytest.mark.parametrize("what", [*FALSE_ALARMS, *OTHERS])
def test_a_line_is_heard_whole_whatever_comes_over_it_for_nothing(
    verb: str, what: str, tmp_path: Path
) -> None:
    path = wav(tmp_path)
    for at_ms in range(0, UNTIL_MS, STEP_MS):
        flow_, had = line_of(verb, path)
        played = play_call(flow_, after_ms(at_ms, {**FALSE_ALARMS, **OTHERS}[what]))
        assert played.faults == [], at_ms
        assert had[0].completed, (at_ms, had[0])
        assert had[0].heard_text == TEXT, at_ms
        assert had[1] is None, at_ms


@pytest.mark.parametrize("verb", ["say", "respond", "play"])
@pytest.mark.parametrize("what", ["words", "key", "lost"])
def test_of_a_line_that_is_cut_the_beginning_was_heard(verb: str, what: str, tmp_path: Path) -> None:
    path = wav(tmp_path)
    act = {"words": says("stop that please", 1_000), "key": presses("12", 100), "lost": lost}[what]
    for at_ms in range(0, UNTIL_MS, STEP_MS):
        flow_, had = line_of(verb, path)
        played = play_call(flow_, after_ms(at_ms, act))
        assert played.faults == [], at_ms
        assert TEXT.startswith(had[0].heard_text), (at_ms, had[0].heard_text)
        if what == "key" and at_ms < 5_000:  # later the question may be over
            assert had[1] == "12", at_ms


async def asked_for_digits(call: Call) -> Any:
    return await call.collect(f'Ask "{TEXT}"', digits=Digits(4), no_input_s=2)


async def asked_in_secret(call: Call) -> Any:
    pin = await call.collect(f'Ask "{TEXT}"', digits=Digits(4), no_input_s=2, secret=True)
    return pin and pin.get_secret_value()


async def asked_to_choose(call: Call) -> Any:
    return await call.choose(f'Ask "{TEXT}"', hours="1", order="2", no_input_s=2)


QUESTIONS: dict[str, tuple[Callable[[Call], Any], str, str]] = {
    "collect": (asked_for_digits, "1234", "1234"),
    "with its end": (asked_for_digits, "1234#", "1234"),
    "secret": (asked_in_secret, "1234", "1234"),
    "choose": (asked_to_choose, "2", "order"),
}


def typed(question: Callable[[Call], Any], act: Act) -> tuple[Played, list[Any]]:
    had: list[Any] = []

    @flow("typed")
    async def typing(call: Call) -> None:
        had.append(await question(call))
        had.append(await call.collect('Ask "And again?"', digits=Digits(2), no_input_s=2, attempts=1))

    return play_call(typing, act), had


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("before", ["", "mhm"])
def test_a_key_counts_once(name: str, before: str) -> None:
    """At every moment of a prompt, of a prompt that is spoken on, and after it."""
    question, keys, meant = QUESTIONS[name]

    async def act(sim: SimCall) -> None:
        if before:
            await sim.say(before, 300)
        await sim.press(keys, 250)

    for at_ms in range(100, UNTIL_MS, STEP_MS):  # what is typed before a secret question does not count
        played, had = typed(question, after_ms(at_ms, act))
        assert played.faults == [], at_ms
        assert had == [meant, None], at_ms


@pytest.mark.parametrize("fails", [False, True])
def test_calls_that_are_composed_at_random_keep_every_promise(tmp_path: Path, fails: bool) -> None:
    path = wav(tmp_path)
    for seed in range(CALLS):
        _, faults = play_random(seed, path, fails=fails)
        assert faults == [], seed
