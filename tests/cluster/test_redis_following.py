"""Redis only: a node follows the fleet's events while somebody there wants them, and else not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cluster.fleet import Fleet, until
from voiceagent.cluster.ports import GAP

pytestmark = pytest.mark.fleet


class Asked:
    """The commands by which a node reads events."""

    def __init__(self, node: Any) -> None:
        self.words: list[str] = []
        ask = node._line._ask

        async def noted(*words: str | int) -> Any:
            self.words.append(str(words[0]))
            return await ask(*words)

        node._line._ask = noted

    def read(self) -> int:
        return sum(word in ("XREAD", "XRANGE", "XREVRANGE") for word in self.words)

    async def pings(self, count: int) -> None:
        """Wait until the node has looked so often whether Redis is there: it reads nothing meanwhile."""
        wanted = self.words.count("PING") + count
        await until(lambda: self.words.count("PING") >= wanted)


async def restless(fleet: Fleet, **how: Any) -> Any:
    """A node that looks often, and still waits as long as any other for an answer."""
    return await fleet.join("b", before=lambda node: setattr(node._stream, "_half_s", 0.05), **how)


async def numbers(reader: Any, count: int) -> list[Any]:
    async with asyncio.timeout(45):
        return [(await anext(reader)).data.get("n", GAP) for _ in range(count)]


async def test_a_node_without_readers_reads_nothing(fleet: Fleet) -> None:
    there = await restless(fleet)
    asked = Asked(there)
    here = await fleet.join("a")
    own = here.events()
    for number in range(5):
        here.publish("step", "c1", {"n": number})
    assert await numbers(own, 5) == list(range(5))
    await asked.pings(3)
    assert asked.read() == 0


async def test_it_begins_with_the_first_reader_and_stops_after_the_last(fleet: Fleet) -> None:
    here = await fleet.join("a")
    there = await restless(fleet, linger_s=0.0)
    asked = Asked(there)
    own = here.events()
    for number in range(3):
        here.publish("step", "c1", {"n": number})
    await numbers(own, 2)
    before = (await anext(own)).cursor
    fresh: Any = None
    for _ in range(2):  # and again after a rest
        await until(lambda before=before: there._now_ms() > int(before.partition("-")[0]))
        fresh, resumed = there.events(), there.events(after=before)
        here.publish("step", "c1", {"n": 3})
        both = [asyncio.ensure_future(numbers(one, 1)) for one in (fresh, resumed)]
        assert await asyncio.gather(*both) == [[3], [3]], "from now on, and from the cursor on"
        assert asked.read() > 0
        before = (await anext(own)).cursor
        await asked.pings(1)
        read = asked.read()
        await asked.pings(2)
        assert asked.read() == read, "the last reader has left"
    # A reader of long ago goes on where it was.
    here.publish("step", "c1", {"n": 4})
    assert await numbers(fresh, 1) == [4]
    assert (await anext(there.events(after="1-1"))).type == GAP


async def test_readers_that_come_and_go_while_events_flow_miss_none_and_get_none_twice(
    fleet: Fleet,
) -> None:
    here = await fleet.join("a")
    there = await restless(fleet, linger_s=0.0)
    asked = Asked(there)
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            here.publish("step", "c1", {"n": sent})
            sent += 1

    reader = there.events()
    send(150)
    got = await numbers(reader, 20)
    after = ""
    for _ in range(3):
        await asked.pings(1)  # it has stopped
        send(70)
        event = await anext(reader)
        got.append(event.data["n"])
        after = event.cursor
        reader = there.events(after=after)  # another one, from there on
        got += await numbers(reader, 40)
    got += await numbers(reader, sent - len(got))
    assert got == list(range(sent))


async def test_events_of_a_call_are_forgotten_however_many_there_are(fleet: Fleet) -> None:
    here = await fleet.join("a")
    own = here.events()
    for number in range(1200):
        here.publish("step", "c1" if number % 3 else "c2", {"n": number})
    first = (await anext(own)).cursor
    await numbers(own, 1199)
    assert await here.forget(["c1"]) == 800
    there = await fleet.join("b")
    left = there.events(after=first)
    assert await numbers(left, 399) == list(range(3, 1200, 3))
