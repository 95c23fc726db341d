"""A courier delivers in order, again when it must, and never under another id."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.notify.kit import Clock, Receiver, a_courier, put
from voiceagent.notify.schedule import Answer
from voiceagent.store import Database, DatabaseDown, outbox
from voiceagent.store.outbox import Delivery


async def rows(database: Database) -> Sequence[Delivery]:
    return list(reversed(await database.run(outbox.page)))


async def test_events_are_first_tried_in_their_order_whatever_fails(database: Database) -> None:
    clock, receiver = Clock(), Receiver(answers=[Answer(500), Answer(None, "no answer"), Answer(200)])
    courier = a_courier(database, receiver, clock)
    await put(database, "msg_1", "msg_2", "msg_3")
    assert await courier.round() == 0
    assert receiver.ids == ["msg_1", "msg_2", "msg_3"]
    assert await courier.round() == pytest.approx(5.0)
    clock.now += 5.1
    await put(database, "msg_4")
    await courier.round()
    # New ones come before old ones that failed.
    assert receiver.ids[3:] == ["msg_4", "msg_1", "msg_2"]
    assert [(row.id, row.state, row.attempts) for row in await rows(database)] == [
        ("msg_1", "delivered", 2),
        ("msg_2", "delivered", 2),
        ("msg_3", "delivered", 1),
        ("msg_4", "delivered", 1),
    ]


async def test_every_attempt_has_the_same_id_and_body_and_its_own_time(database: Database) -> None:
    clock, receiver = Clock(), Receiver(answer=Answer(500))
    courier = a_courier(database, receiver, clock)
    await put(database, "msg_1")
    for _ in range(5):
        await courier.round()
        clock.now += 400
    assert receiver.ids == ["msg_1"] * 3
    assert receiver.bodies == [b'"msg_1"'] * 3
    assert len({headers["webhook-timestamp"] for headers in receiver.headers}) == 3
    (dead,) = await rows(database)
    assert (dead.state, dead.attempts, dead.status, dead.error) == (
        "dead",
        3,
        500,
        "answered with status 500",
    )
    # An operator has it tried again, from the start of the schedule.
    receiver.answer = Answer(200)
    await database.run(lambda c: outbox.retry(c, dead.n, at=clock.now))
    await courier.round()
    assert receiver.ids == ["msg_1"] * 4
    assert (await rows(database))[0].state == "delivered"


async def test_who_is_gone_is_left_alone_until_a_retry_is_taken(database: Database) -> None:
    clock, receiver = Clock(), Receiver(answer=Answer(410))
    courier = a_courier(database, receiver, clock)
    await put(database, "msg_1", at=clock.now)
    await put(database, "msg_2")
    await courier.round()
    assert receiver.ids == ["msg_1"]
    assert courier.state == "disabled"
    again = a_courier(database, receiver, clock)
    await again.open()  # another process: it knows
    assert again.state == "disabled"
    first = (await rows(database))[0]
    assert (first.state, first.status) == ("dead", 410)
    receiver.answer = Answer(204)
    await database.run(lambda c: outbox.retry(c, first.n, at=clock.now))
    await courier.round()
    assert courier.state == "on"
    assert not await database.run(lambda c: outbox.is_gone(c, "crm"))


async def test_what_waits_when_an_endpoint_goes_is_dead(database: Database) -> None:
    clock, receiver = Clock(), Receiver(answers=[Answer(500), Answer(410)])
    courier = a_courier(database, receiver, clock)
    await put(database, "msg_1", "msg_2")
    await courier.round()
    found = await rows(database)
    assert [(row.state, row.status) for row in found] == [("dead", 500), ("dead", 410)]
    assert "disabled" in found[0].error
    assert receiver.ids == ["msg_1", "msg_2"]


async def test_who_asks_for_time_is_left_alone_with_everything(database: Database) -> None:
    clock, receiver = Clock(), Receiver(answers=[Answer(429, retry_after_s=60.0)])
    courier = a_courier(database, receiver, clock)
    await put(database, "msg_1", "msg_2")
    await courier.round()
    assert receiver.ids == ["msg_1"]
    assert courier.state == "paused"
    assert await courier.round() == pytest.approx(60.0)
    clock.now += 60.1
    await courier.round()
    assert receiver.ids == ["msg_1", "msg_2", "msg_1"]
    assert courier.state == "on"


async def test_a_slow_endpoint_holds_no_other(database: Database) -> None:
    clock, quick, slow = Clock(), Receiver(), Receiver()
    never = asyncio.Event()

    async def hang(endpoint: Any, headers: dict[str, str], body: bytes) -> Answer:
        await slow.send(endpoint, headers, body)
        await never.wait()
        return Answer(200)

    slow_one = a_courier(database, slow, clock, name="slow")
    slow_one._send = hang
    other = a_courier(database, quick, clock, name="quick")
    await put(database, "msg_1", "msg_2", endpoints=("slow", "quick"))
    work = [asyncio.create_task(slow_one.run())]
    async with asyncio.timeout(10):
        await slow.until(1)
        work.append(asyncio.create_task(other.run()))
        await quick.until(2)
    assert (slow.ids, quick.ids) == (["msg_1"], ["msg_1", "msg_2"])
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


async def test_a_courier_that_died_after_sending_sends_the_same_id_again(database: Database) -> None:
    clock, receiver = Clock(), Receiver()
    await put(database, "msg_1")

    def die() -> None:
        raise asyncio.CancelledError

    receiver.before = die
    with pytest.raises(asyncio.CancelledError):
        await a_courier(database, receiver, clock).round()
    receiver.before = lambda: None
    await a_courier(database, receiver, clock, node="b").round()
    assert receiver.ids == [], "it is on its way, as far as another node can tell"
    again = a_courier(database, receiver, clock)
    await again.open()
    await again.round()
    assert receiver.ids == ["msg_1"]
    assert (await rows(database))[0].state == "delivered"


async def test_a_database_that_is_away_has_nothing_sent_twice(database: Database) -> None:
    clock, receiver = Clock(), Receiver()
    courier = a_courier(database, receiver, clock)
    await put(database, "msg_1")
    whole, down = database.run, 0

    async def run(work: Any) -> Any:
        nonlocal down
        if receiver.ids and down < 5:
            down += 1
            raise DatabaseDown("locked")
        return await whole(work)

    database.run = run  # type: ignore[method-assign]
    await courier.round()
    assert down == 5
    await courier.round()
    assert receiver.ids == ["msg_1"]


async def test_a_message_is_kept_once_however_often_it_is_written(database: Database) -> None:
    await put(database, "msg_1", endpoints=("crm",))
    await put(database, "msg_1", endpoints=("crm", "log"))
    assert [(row.id, row.endpoint) for row in await rows(database)] == [("msg_1", "crm"), ("msg_1", "log")]


async def test_what_waits_for_nobody_we_know_is_given_up(database: Database) -> None:
    await put(database, "msg_1", endpoints=("crm", "old"))
    await database.run(lambda c: outbox.give_up_strangers(c, ["crm"], error="not in the settings", at=2.0))
    assert [(row.endpoint, row.state) for row in await rows(database)] == [
        ("crm", "waiting"),
        ("old", "dead"),
    ]
