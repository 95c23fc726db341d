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


def told(*ms: int) -> list[FleetEvent]:
    return [FleetEvent(f"{one}-0", "a", "step", "c1", {"n": one}) for one in ms]


def test_the_first_event_since_a_time_is_found_unless_it_had_to_make_room() -> None:
    ring = EventRing(3, begin="0-0")
    assert ring.since(5) == 0, "whatever comes"
    for one in told(10, 20, 30):
        ring.add(one)
    assert [ring.since(ms) for ms in (5, 10, 11, 30, 31)] == [0, 0, 1, 2, 3]
    ring.add(told(40)[0])
    assert [ring.since(ms) for ms in (10, 11, 20, 41)] == [None, 1, 1, 4]


async def test_a_feed_that_slept_goes_on_for_each_reader_where_it_was() -> None:
    now = [15]
    feed = EventFeed(begin="0-0", now_ms=lambda: now[0])
    fresh = feed.subscribe()
    assert (feed.live, feed.wanted.is_set()) == (False, True)
    waiting = asyncio.ensure_future(anext(fresh))
    await asyncio.sleep(0)
    for one in told(10, 20, 30):  # what is kept, of which the first was before that reader
        feed.add(one)
    await asyncio.sleep(0)
    assert not waiting.done(), "more of what is kept may be to come"
    feed.awake()
    assert (await waiting).data == {"n": 20}
    late, resumed, lost = feed.subscribe(), feed.subscribe("10-0"), feed.subscribe("9-0")
    assert (await anext(resumed)).data == {"n": 20}
    feed.sleep()
    assert feed.ring.at(feed.ring.start) is None
    for one in told(20, 30, 40):
        feed.add(one)
    feed.awake()
    assert [(await anext(fresh)).data for _ in range(2)] == [{"n": 30}, {"n": 40}]
    assert [(await anext(resumed)).data for _ in range(2)] == [{"n": 30}, {"n": 40}]
    assert (await anext(late)).data == {"n": 40}
    assert (await anext(lost)).type == GAP


async def test_a_reader_whose_place_is_gone_when_the_feed_wakes_is_told() -> None:
    feed = EventFeed(begin="0-0", now_ms=lambda: 0)
    reader = feed.subscribe()
    feed.add(told(10)[0])
    feed.awake()
    await anext(reader)
    feed.sleep()
    for one in told(30, 40):
        feed.add(one)
    feed.awake()
    gap = await anext(reader)
    assert (gap.type, gap.cursor) == (GAP, "40-0")


async def test_who_comes_back_with_the_begin_of_an_empty_feed_is_told_that_more_may_have_gone() -> None:
    feed = EventFeed(begin="0-0", now_ms=lambda: 0)
    gap = anext(feed.subscribe("1-1"))
    feed.awake()
    cursor = (await gap).cursor
    assert cursor == "0-0"
    feed.sleep()
    for one in told(30, 40):  # those before were kept no longer than a quarter of an hour
        feed.add(one)
    feed.awake()
    assert (await anext(feed.subscribe(cursor))).type == GAP
