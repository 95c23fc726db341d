"""The newest events, and readers that are only a place among them."""

from __future__ import annotations

import asyncio

import pytest

from voiceagent.cluster.events import EventFeed, EventRing
from voiceagent.cluster.ports import GAP, FleetEvent


def event(number: int) -> FleetEvent:
    return FleetEvent(f"1-{number}", "a", "step", "c1", {"n": number})


def test_only_the_newest_are_kept_and_their_cursors_known() -> None:
    ring = EventRing(3, begin="0-0")
    assert ring.after("0-0") == 0
    for number in range(5):
        ring.add(event(number))
    assert (ring.start, ring.end, ring.tail) == (2, 5, "1-4")
    assert [ring.at(place) for place in range(1, 6)] == [None, event(2), event(3), event(4), None]
    assert [ring.after(f"1-{number}") for number in range(5)] == [None, None, 3, 4, 5]


async def test_a_reader_who_is_too_slow_is_told_of_the_gap_and_goes_on_from_the_newest() -> None:
    feed = EventFeed(3, begin="0-0")
    slow, never = feed.subscribe(), feed.subscribe("0-0")
    for number in range(5):
        feed.add(event(number))
    for reader in (slow, never):
        gap = await anext(reader)
        assert (gap.type, gap.cursor) == (GAP, "1-4")
    feed.add(event(5))
    assert await anext(slow) == await anext(feed.subscribe(gap.cursor)) == event(5)


async def test_readers_are_woken_by_what_comes_and_end_with_the_feed_after_the_rest() -> None:
    feed = EventFeed(begin="0-0")
    waiting = [asyncio.ensure_future(anext(feed.subscribe())) for _ in range(3)]
    await asyncio.sleep(0)
    reader = feed.subscribe()
    feed.add(event(1))
    feed.close()
    assert await asyncio.gather(*waiting) == [event(1)] * 3
    assert await anext(reader) == event(1)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
