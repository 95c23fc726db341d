"""Turns of a loop are counted while what an input woke still runs, and a loop at rest is left at rest."""

import asyncio

import pytest

from voiceagent.call.loop_turns import FOLLOWED, REST, LoopTurns, turns_of
from voiceagent.loops import loop_factory
from voiceagent.simulate.virtual_loop import VirtualTimeLoop

LOOPS = [VirtualTimeLoop, *([] if (fast := loop_factory()) is None else [fast])]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"][: len(LOOPS)])
def on_loop(request: pytest.FixtureRequest):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


async def _rest() -> None:
    """Wait until the loop has been at rest: only then does a timer fire."""
    rested: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.002, rested.set_result, None)
    await rested


async def _hops(turns: LoopTurns, count: int) -> list[int]:
    """Run callbacks of which each makes the next one ready; return the turns in which they ran."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []
    over: asyncio.Future[None] = loop.create_future()

    def hop() -> None:
        seen.append(turns.turn)
        if len(seen) < count:
            loop.call_soon(hop)
        else:
            loop.call_later(0.002, over.set_result, None)

    turns.enter()
    loop.call_soon(hop)
    await over
    return seen


def test_an_input_that_wakes_nobody_is_counted_for_one_turn(on_loop):
    async def run() -> int:
        turns = turns_of(asyncio.get_running_loop())
        await _rest()
        first = turns.enter()
        await _rest()
        assert turns.turn == 0
        return turns.enter() - first

    assert on_loop(run()) == REST + 1, "the turns after it, in which nothing ran, kept no loop from resting"


@pytest.mark.parametrize("count", [1, 5, FOLLOWED - 2])
def test_each_turn_of_what_it_woke_has_its_number(on_loop, count):
    async def run() -> tuple[list[int], int]:
        turns = turns_of(asyncio.get_running_loop())
        await _rest()
        seen = await _hops(turns, count)
        return seen, turns.enter()

    seen, after = on_loop(run())
    assert seen == list(range(seen[0], seen[0] + count))
    assert after == seen[-1] + REST + 1


def test_who_never_rests_is_not_counted_for_ever(on_loop):
    async def run() -> list[int]:
        turns = turns_of(asyncio.get_running_loop())
        return await _hops(turns, 2 * FOLLOWED)

    seen = on_loop(run())
    assert 0 < seen.index(0) <= FOLLOWED
    assert not any(seen[seen.index(0) :])


def test_a_timer_that_a_loop_takes_for_a_callback_goes_on_counting(on_loop):
    async def run() -> bool:
        loop = asyncio.get_running_loop()
        turns = turns_of(loop)
        await _rest()
        first, ran = turns.enter(), loop.create_future()
        loop.call_later(0.0, lambda: ran.set_result(turns.turn or turns.enter()))
        return await ran - first in (1, REST + 1)  # asyncio's own loops fire it as a timer, which is an input

    assert on_loop(run())
