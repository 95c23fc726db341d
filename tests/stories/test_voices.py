"""Two voices never overlap: fillers, comfort, files, music and the model's voice make way for one another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.kit.voices import Act, after_ms, play_call
from tests.stories.test_playing import wav
from voiceagent.ivr import Call, Digits, flow
from voiceagent.simulate.scenario import Operator, Provider, Scenario, Transfer
from voiceagent.simulate.sim_call import SimCall

SLOW = Scenario(provider=Provider(first_audio_ms=4_000))
MOMENTS = range(0, 6_000, 250)


def away(ms: int) -> Act:
    async def lost(sim: SimCall) -> None:
        sim.provider.settings = sim.provider.settings.model_copy(update={"away_ms": ms})
        sim.provider.lose()

    return lost


async def stock() -> int:
    await asyncio.sleep(7)
    return 3


@flow("waits")
async def waits(call: Call) -> None:
    await call.respond('Say "Hello."')
    await call.fetch(stock)
    await call.respond('Say "There are three."')


@flow("asks")
async def asks(call: Call) -> None:
    await call.choose('Ask "Hours or order?"', hours="1", order="2", no_input_s=2, attempts=1)


def test_a_voice_that_begins_during_a_hold_is_not_late_for_the_rest_of_a_filler() -> None:
    async def holds(sim: SimCall) -> None:
        await sim.hold(6_000)

    for at_ms in MOMENTS:
        assert play_call(asks, after_ms(at_ms, holds), scenario=SLOW).faults == [], at_ms


def test_a_caller_whom_we_hold_hears_music_and_no_filler() -> None:
    async def held(sim: SimCall) -> None:
        await sim.call.operating.hold("operator")
        await asyncio.sleep(3)
        await sim.call.operating.resume("operator")

    for at_ms in range(3_000, 5_000, 100):
        assert play_call(waits, after_ms(at_ms, held)).faults == [], at_ms


def test_a_caller_in_a_queue_hears_no_filler_while_the_position_is_on_its_way() -> None:
    @flow("queues")
    async def queues(call: Call) -> None:
        await call.queue("sales", timeout_s=20)

    async def nothing(sim: SimCall) -> None: ...

    slow = Scenario(provider=Provider(first_audio_ms=4_000), transfer=Transfer(status=486))
    assert play_call(queues, nothing, scenario=slow).faults == []


def test_comfort_and_filler_do_not_wait_behind_each_other() -> None:
    for at_ms in MOMENTS:
        played = play_call(asks, after_ms(at_ms, away(1_500)), scenario=SLOW)
        assert played.faults == [], at_ms


def test_no_comfort_is_left_behind_a_file(tmp_path: Path) -> None:
    path = wav(tmp_path)

    @flow("plays")
    async def plays(call: Call) -> None:
        await call.respond("Greet.")
        await asyncio.sleep(2)
        await call.play(path)

    for at_ms in MOMENTS:
        assert play_call(plays, after_ms(at_ms, away(6_000))).faults == [], at_ms


@pytest.mark.parametrize("when", ["idle", "now"])
def test_the_apology_of_a_failed_flow_is_the_last_word(when: Any) -> None:
    """The session that did not say the sentence in time has nothing to say after it, either."""

    @flow("fails")
    async def fails(call: Call) -> None:
        raise LookupError("nothing there")

    async def wishes(sim: SimCall) -> None:
        sim.operator(Operator(instructions='Say "A word."', when=when))

    slow = Scenario(provider=Provider(first_audio_ms=5_200))
    for at_ms in MOMENTS:
        played = play_call(fails, after_ms(at_ms, wishes), scenario=slow)
        assert played.faults == [], at_ms
        assert played.outcome == "flow_failed"


def test_a_sound_before_the_keys_does_not_cost_them() -> None:
    """Its words, or that it had none, are known while the caller already types."""
    for words, until_ms in (("mhm", 1_500), ("", 1_500), ("let me see", 900)):
        for gap_ms in range(0, until_ms, 100):
            had: list[Any] = []

            @flow("types")
            async def types(call: Call) -> None:
                had.append(await call.collect("Ask for the number.", digits=Digits(4), attempts=1))  # noqa: B023

            async def sound_and_keys(sim: SimCall) -> None:
                sound = asyncio.create_task(sim.say(words, 300))  # noqa: B023
                await asyncio.sleep(gap_ms / 1000)  # noqa: B023
                await sim.press("1234", 150)
                await sound

            played = play_call(types, after_ms(500, sound_and_keys))
            assert played.faults == []
            assert had == ["1234"], (words, gap_ms)
