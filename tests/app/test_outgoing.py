"""Events of calls become messages; nothing is lost, whatever dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kit.postgres_server import PostgresServer
from tests.notify.kit import Clock, Receiver, an_endpoint
from tests.store.kit import record
from voiceagent.app import archive as module
from voiceagent.app.archive import Archive
from voiceagent.app.events import EventHub
from voiceagent.app.outgoing import Outgoing
from voiceagent.ids import counted_tokens
from voiceagent.notify.message import end_token, found_token
from voiceagent.notify.schedule import Answer
from voiceagent.observe.metrics import Metrics
from voiceagent.records.journal import Journal
from voiceagent.store import Database, DatabaseDown, outbox
from voiceagent.store.history import one as kept_call
from voiceagent.tasks import TaskNest

CALL = {
    "id": "c1",
    "caller": "+4930123456",
    "called": "+4930900100",
    "direction": "inbound",
    "last_words": "my pin is 4711",
    "links": {},
}
RESPONSE = {"id": "r1", "call_id": "c1", "origin": "operator", "metadata": {"key": "sk-0123456789abcdef"}}

CLOSED = Journal(None, None)
CLOSED.close()


@pytest.fixture(autouse=True)
def _plain_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "entry_of", lambda call, provider, node: (record(call.id), [], []))
    monkeypatch.setattr(module, "RETRY_S", (0.0,))


@dataclass
class Node:
    """What of a service tells of calls."""

    hub: EventHub
    archive: Archive
    outgoing: Outgoing
    metrics: Metrics

    def end(self, call_id: str) -> None:
        self.hub.publish("call.ended", call_id, {**CALL, "id": call_id})
        self.archive.keep(SimpleNamespace(journal=CLOSED, id=call_id))  # type: ignore[arg-type]

    def respond(self, outcome: dict[str, Any] | None, **changes: Any) -> None:
        self.hub.publish("response.state", "c1", {**RESPONSE, "outcome": outcome, **changes})


@asynccontextmanager
async def node(
    database: Database, receiver: Receiver, *, tokens: str = "t", deliver: bool = True, **changes: Any
) -> AsyncIterator[Node]:
    """A node over ``database``; leaving it is a death without warning: tasks end where they are."""
    metrics, hub = Metrics(), EventHub()
    archive = Archive(database, provider="embedded", node="a")
    outgoing = Outgoing(
        [an_endpoint(**changes)],
        database,
        archive,
        metrics,
        counted_tokens(tokens),
        masked=lambda call_id, text: text.replace("4711", "••••"),
        send=receiver.send,
        clock=Clock(),
    )
    hub.listen(outgoing.on_event, outgoing.kinds)
    archive.announce = lambda call: outgoing.ended(call.id, {**CALL, "id": call.id, "outcome": {"kind": "x"}})
    nest = TaskNest("test")
    nest.start("archive", archive.run())
    if deliver:
        outgoing.open(nest)
    try:
        yield Node(hub, archive, outgoing, metrics)
    finally:
        await nest.close()


@asynccontextmanager
async def a_database(url: str = "sqlite://") -> AsyncIterator[Database]:
    database = Database(url)
    await database.open()
    yield database
    await database.close()


async def test_what_is_told_and_what_is_not() -> None:
    receiver = Receiver()
    async with a_database() as database, node(database, receiver) as one:
        one.hub.publish("call.started", "c1", CALL)
        one.hub.publish("call.changed", "c1", CALL)
        one.hub.publish("transcript.line", "c1", {"text": "hello"})
        one.respond(None)
        one.respond({"kind": "completed", "reason": "4711"})
        one.end("c1")
        async with asyncio.timeout(45):
            await receiver.until(3)
    told = [json.loads(body) for body in receiver.bodies]
    assert [one["type"] for one in told] == ["call.started", "response.finished", "call.ended"]
    started, finished, ended = (one["data"] for one in told)
    assert started == {key: CALL[key] for key in ("id", "caller", "called", "direction")}
    assert finished["outcome"] == {"kind": "completed", "reason": "••••"}
    assert finished["metadata"] == {"key": "[hidden]"}
    assert ended["outcome"] == {"kind": "x"}
    assert len(set(receiver.ids)) == 3


async def test_a_call_that_was_told_as_lost_and_goes_on_is_told_once_and_its_end_anew() -> None:
    receiver = Receiver()
    async with a_database() as database, node(database, receiver) as one:
        lost = one.outgoing.ended_before(record("c1"))  # as the survivor tells it
        assert lost is not None
        one.archive.keep_event(lost)
        for _ in range(2):
            one.hub.publish("call.found_again", "c1", CALL)
        one.end("c1")
        one.end("c2")
        one.outgoing.ended_unheard("c3", {"id": "c3"})
        async with asyncio.timeout(45):
            await receiver.until(5)
    told = [json.loads(body) for body in receiver.bodies]
    assert [(one["type"], one["data"]["id"]) for one in told] == [
        ("call.ended", "c1"),
        ("call.found_again", "c1"),
        ("call.ended", "c1"),
        ("call.ended", "c2"),
        ("call.ended", "c3"),
    ]
    assert told[1]["data"] == {key: CALL[key] for key in ("id", "caller", "called", "direction")}
    assert len(set(receiver.ids)) == 5
    assert receiver.ids[3:] == [f"msg_{end_token('c2')}", f"msg_{end_token('c3', again=True)}"]
    assert receiver.ids[1] == f"msg_{found_token('c1')}", "the same also from another process"


@pytest.mark.parametrize("shared", [False, True])
async def test_an_end_that_came_before_any_loss_is_told_anew_only_where_that_cannot_be_known(
    request: pytest.FixtureRequest, shared: bool
) -> None:
    url = "sqlite://"
    if shared:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        url = postgres.new_url()
    async with a_database(url) as database, node(database, Receiver(), deliver=False) as one:
        lost = one.outgoing.ended_before(replace(record("c2"), outcome="ours", reason="node_lost"))
        assert lost is not None
        one.archive.keep_event(lost)
        for call_id in ("c1", "c2"):
            one.end(call_id)
            one.outgoing.ended_unheard(call_id, {**CALL, "id": call_id, "outcome": {"kind": "x"}})
        assert await one.archive.flush(45)
        told = sorted(row.id for row in await database.run(outbox.page))
    twice = [end_token("c1"), end_token("c2"), end_token("c2", again=True)]
    if not shared:  # another node may have told the loss of c1 from a database of its own
        twice.append(end_token("c1", again=True))
    assert told == sorted(f"msg_{one}" for one in twice)


async def test_the_true_end_is_told_also_where_only_ends_were_asked_for() -> None:
    receiver = Receiver()
    async with a_database() as database, node(database, receiver, events=("call.ended",)) as one:
        one.hub.publish("call.found_again", "c1", CALL)
        one.end("c1")
        async with asyncio.timeout(45):
            await receiver.until(1)
    assert receiver.ids == [f"msg_{end_token('c1', again=True)}"]


async def test_only_what_was_asked_for() -> None:
    receiver = Receiver()
    async with a_database() as database, node(database, receiver, events=("call.ended",)) as one:
        one.hub.publish("call.started", "c1", CALL)
        one.respond({"kind": "completed"})
        one.end("c1")
        async with asyncio.timeout(45):
            await receiver.until(1)
        assert await one.archive.flush(45)
        assert [row.type for row in await database.run(outbox.page)] == ["call.ended"]


async def test_the_end_of_a_call_is_written_with_its_record(tmp_path: Path) -> None:
    """Killed before anything could be sent; another process takes it up."""
    url, receiver = f"sqlite:///{tmp_path}/a.db", Receiver()
    async with a_database(url) as database, node(database, receiver, deliver=False) as one:
        one.end("c1")
        assert await one.archive.flush(45)
        assert await database.run(lambda c: kept_call(c, "c1")) is not None
        (row,) = await database.run(outbox.page)
        assert (row.type, row.state, row.attempts) == ("call.ended", "waiting", 0)
    assert receiver.ids == []
    async with a_database(url) as database, node(database, receiver, tokens="u"):
        async with asyncio.timeout(45):
            await receiver.until(1)
    assert receiver.ids == [row.id]


async def test_killed_while_sending(tmp_path: Path) -> None:
    url, receiver = f"sqlite:///{tmp_path}/a.db", Receiver()
    never = asyncio.Event()
    reached = asyncio.Event()

    async def hang(endpoint: Any, headers: dict[str, str], body: bytes) -> Answer:
        await Receiver.send(receiver, endpoint, headers, body)
        reached.set()
        await never.wait()
        return Answer(200)

    async with a_database(url) as database, node(database, receiver) as one:
        one.outgoing.couriers["crm"]._send = hang
        one.end("c1")
        await asyncio.wait_for(reached.wait(), 45)
    async with a_database(url) as database, node(database, receiver, tokens="u"):
        async with asyncio.timeout(45):
            await receiver.until(2)
    assert receiver.ids[0] == receiver.ids[1]
    assert receiver.bodies[0] == receiver.bodies[1]


async def test_a_database_that_is_away_loses_nothing_and_keeps_the_order() -> None:
    receiver = Receiver()
    async with a_database() as database:
        whole, away = database.run, 7

        async def run(work: Any) -> Any:
            nonlocal away
            if away:
                away -= 1
                raise DatabaseDown("locked")
            return await whole(work)

        database.run = run  # type: ignore[method-assign]
        async with node(database, receiver, deliver=False) as one:
            one.hub.publish("call.started", "c1", CALL)
            one.respond({"kind": "completed"})
            one.end("c1")
            assert await one.archive.flush(45)
            found = await database.run(outbox.page)
    assert away == 0
    assert [row.type for row in reversed(found)] == ["call.started", "response.finished", "call.ended"]


async def test_what_is_kept_in_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENTS_MOST", 3)
    monkeypatch.setattr(module, "WAITING_MOST", 2)
    async with a_database() as database:
        archive = Archive(database, provider="embedded", node="a")
        metrics = Metrics()
        outgoing = Outgoing([an_endpoint()], database, archive, metrics, counted_tokens())
        archive.events_dropped = outgoing.dropped
        archive.announce = lambda call: outgoing.ended(call.id, CALL)
        for n in range(5):
            outgoing.on_event(SimpleNamespace(type="call.started", call_id=f"c{n}", data=CALL))  # type: ignore[arg-type]
        for n in range(3):
            archive.keep(SimpleNamespace(journal=CLOSED, id=f"c{n}"))  # type: ignore[arg-type]
        work = asyncio.create_task(archive.run())
        assert await archive.flush(45)
        work.cancel()
        found = [(row.type, row.call_id) for row in reversed(await database.run(outbox.page))]
    started = [("call.started", f"c{n}") for n in range(3)]
    assert found == [*started, ("call.ended", "c1"), ("call.ended", "c2")]
    assert archive.dropped == 1
    assert 'webhook_deliveries_total{endpoint="crm",result="dropped"} 3.0' in metrics.render()


async def test_a_disabled_endpoint_is_told_nothing_new() -> None:
    receiver = Receiver(answer=Answer(410))
    async with a_database() as database, node(database, receiver) as one:
        one.end("c1")
        async with asyncio.timeout(45):
            await receiver.until(1)
        while one.outgoing.endpoints()[0]["state"] != "disabled":  # noqa: ASYNC110
            await asyncio.sleep(0)
        one.end("c2")
        assert await one.archive.flush(45)
        assert [row.call_id for row in await database.run(outbox.page)] == ["c1"]
    assert 'result="gone"} 1.0' in one.metrics.render()
