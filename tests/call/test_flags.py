"""A flag is an ``asyncio.Event`` without its queue."""

from __future__ import annotations

import asyncio

import pytest

from voiceagent.flags import Flag


async def test_setting_wakes_all_who_wait_in_their_order() -> None:
    flag, woken = Flag(), list[int]()

    async def waits(number: int) -> None:
        await flag.wait()
        woken.append(number)

    tasks = [asyncio.create_task(waits(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert not woken
    flag.set()
    await asyncio.gather(*tasks)
    assert woken == [0, 1, 2]


async def test_a_set_flag_is_not_waited_for_until_it_is_cleared() -> None:
    flag = Flag()
    flag.set()
    await flag.wait()
    flag.clear()
    assert not flag.is_set()
    waiting = asyncio.create_task(flag.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    flag.set()
    flag.set()
    await waiting


async def test_who_no_longer_waits_is_forgotten() -> None:
    flag = Flag()
    given_up = asyncio.create_task(flag.wait())
    waiting = asyncio.create_task(flag.wait())
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    flag.set()
    await waiting
