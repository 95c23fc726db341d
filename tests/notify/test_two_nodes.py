"""Two nodes on one database deliver each event once, and one takes up what the other left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.notify.kit import Clock, Receiver, a_courier, put
from voiceagent.store import Database, outbox


@pytest.fixture(params=["sqlite", "postgresql"])
async def both(request: Any, tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    url = f"sqlite:///{tmp_path}/v.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_url()
    databases = Database(url), Database(url)
    for one in databases:
        await one.open()
    yield databases
    for one in databases:
        await one.close()


async def test_each_event_is_delivered_once(both: tuple[Database, Database]) -> None:
    clock, receivers = Clock(), (Receiver(), Receiver())
    names = [f"msg_{n:02}" for n in range(40)]
    await put(both[0], *names)
    couriers = [
        a_courier(database, receiver, clock, node)
        for database, receiver, node in zip(both, receivers, "ab", strict=True)
    ]

    async def until_nothing_is_due(courier: Any) -> None:
        await courier.open()
        while await courier.round() == 0:
            pass

    await asyncio.gather(*(until_nothing_is_due(one) for one in couriers))
    assert sorted(receivers[0].ids + receivers[1].ids) == names
    assert await both[0].run(outbox.counts) == {"delivered": 40}


async def test_what_a_dead_node_had_taken_is_tried_after_its_lease(both: tuple[Database, Database]) -> None:
    clock, receiver = Clock(), Receiver()
    await put(both[0], "msg_1")
    dying = Receiver(before=lambda: (_ for _ in ()).throw(asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await a_courier(both[0], dying, clock, "a").round()
    other = a_courier(both[1], receiver, clock, "b")
    await other.open()
    wait = await other.round()
    assert receiver.ids == []
    assert 30.0 <= wait <= 60.0, "it looks again when the lease is over"
    clock.now += wait
    assert await other.round() == 0
    assert receiver.ids == ["msg_1"]


async def test_the_same_event_is_put_by_both(both: tuple[Database, Database]) -> None:
    await asyncio.gather(*(put(one, "msg_1", "msg_2") for one in both))
    assert await both[0].run(outbox.counts) == {"waiting": 2}
