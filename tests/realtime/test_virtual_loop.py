"""The clock that other tests stand on."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.kit.virtual_loop import START, VirtualDeadlock, virtual, virtual_run


def test_an_hour_takes_no_wall_time() -> None:
    async def wait() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    before = time.process_time()
    assert virtual_run(wait()) == pytest.approx(START + 3600)
    assert time.process_time() - before < 60


@virtual
async def test_timers_fire_in_order_of_their_time() -> None:
    seen: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()

    async def note(name: str, after: float) -> None:
        await asyncio.sleep(after)
        seen.append((name, round(loop.time() - START, 6)))

    await asyncio.gather(note("c", 30), note("a", 0.001), note("b", 20))
    assert seen == [("a", 0.001), ("b", 20.0), ("c", 30.0)]


@virtual
async def test_timeouts_end_waits() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.Event().wait()


def test_a_hang_is_an_error_that_names_who_waits() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        asyncio.current_task().set_name("the-one-who-waits")  # type: ignore[union-attr]
        await hang()

    with pytest.raises(VirtualDeadlock, match="the-one-who-waits"):
        virtual_run(main())


@virtual
async def test_the_clock_stands_while_a_thread_works() -> None:
    loop = asyncio.get_running_loop()
    timer = loop.call_later(0.001, lambda: None)
    before = loop.time()
    assert await asyncio.to_thread(sum, [1, 2, 3]) == 6
    assert loop.time() - before <= 0.001
    timer.cancel()


@pytest.fixture
def answer() -> int:
    return 42


@virtual
async def test_fixtures_reach_a_decorated_test(answer: int) -> None:
    assert answer == 42
