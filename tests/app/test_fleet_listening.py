"""A call is heard at any node: one socket between the nodes, however many listen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.console.kit import BEARER
from tests.console.socket_kit import Socket, socket
from tests.kit.fleet import FakeFleet
from tests.kit.fleet_nodes import Member
from voiceagent.cluster.tickets import HEADER, Ticket, issue
from voiceagent.console.server import ConsoleServer
from voiceagent.errors import RequestRefused

PATH = "/v1/calls/c1/listen"
SECRET = "a secret of the fleet"
FRAME = b"\x00" + bytes(4) + b"\x7f" * 160


class Pair:
    """Node ``a``, which is asked, and node ``b``, which has call ``c1`` and a console on a socket."""

    def __init__(self, fleet: FakeFleet, a: Member, b: Member) -> None:
        self.fleet, self.a, self.b = fleet, a, b
        self.server = ConsoleServer(b.app, "127.0.0.1", 0)
        self._stirred = asyncio.Event()
        b.local.listeners.append(lambda event: self._stirred.set())

    def heard_by(self) -> list[str]:
        return [str(one["name"]) for one in self.b.local.call("c1").listeners]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it is so with the call; each who comes or goes is an event of its node."""
        async with asyncio.timeout(45):
            while not condition():
                self._stirred.clear()
                await self._stirred.wait()


async def started(secret_a: str | None = SECRET, secret_b: str | None = SECRET) -> Pair:
    fleet = FakeFleet()
    a, b = Member(fleet, "a", secret=secret_a), Member(fleet, "b", secret=secret_b)
    for one in (a, b):
        await one.join()
    pair = Pair(fleet, a, b)
    b.console = await pair.server.start()
    b.call("c1")
    return pair


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = await started()
    yield made
    await made.a.directory.close()
    await made.server.close()


async def gone(tasks: Callable[[], set[asyncio.Task[Any]]]) -> None:
    async with asyncio.timeout(45):
        while left := tasks():
            await asyncio.wait(left)


async def test_all_who_listen_elsewhere_hear_it_through_one_socket_and_are_shown(pair: Pair) -> None:
    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        assert one.status == 101
        async with socket(pair.a.app, PATH, headers=BEARER) as two:
            assert two.status == 101
            assert pair.heard_by() == ["console.token via api"] * 2
            first, second = pair.b.local.listened
            first.put({"muted": False, "you": "1"})
            second.put({"muted": False, "you": "2"})
            assert (await one.next())["you"] == "1"
            assert (await two.next())["you"] == "2"
            second.put(FRAME)  # sent with the first one's already
            first.put(FRAME[:-1] + b"\x00")
            assert await one.next() == await two.next() == FRAME[:-1] + b"\x00"
            assert len(pair.server.app.state.parts.listeners) == 2
        await pair.until(lambda: pair.heard_by() == ["console.token via api"])
        await pair.until(lambda: first.ended == "left" or second.ended == "left")
        left = first if second.ended else second
        left.put(FRAME)
        assert await one.next() == FRAME
    await pair.until(lambda: pair.heard_by() == [])
    assert len(pair.server.app.state.parts.listeners) == 0


async def test_the_microphone_goes_up_to_the_owner(pair: Pair) -> None:
    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        (listener,) = pair.b.local.listened
        one.say(b"\x55" * 160)
        await asyncio.wait_for(listener.spoken.wait(), 45)
        assert listener.voiced == [b"\x55" * 160]


async def test_the_end_of_the_call_is_told(pair: Pair) -> None:
    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        pair.b.local.listened[0].end("call_ended")
        assert await one.closed() == (1000, "call_ended")
    async with socket(pair.a.app, PATH, headers=BEARER) as again:
        assert again.status == 101, "the next one gets a socket of its own"


async def test_nothing_of_it_stays_when_nobody_listens_any_more(pair: Pair) -> None:
    def tasks() -> set[asyncio.Task[Any]]:
        return {task for task in asyncio.all_tasks() if task.get_name().startswith("fleet/ear")}

    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        assert one.status == 101
        assert {task.get_name() for task in tasks()} >= {"fleet/ear/hear", "fleet/ear/speak"}
    await gone(tasks)
    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        pair.b.local.listened[-1].end("call_ended")
        assert await one.closed() == (1000, "call_ended")
    await gone(tasks)


async def test_two_who_begin_at_the_same_moment_share_the_socket(pair: Pair) -> None:
    listen, nodes = pair.a.directory.listen, pair.a.cluster.nodes

    async def asked_over_a_network() -> Any:
        await asyncio.sleep(0)
        return await nodes()

    pair.a.cluster.nodes = asked_over_a_network  # type: ignore[method-assign]
    both = await asyncio.gather(listen("c1", operator="ann"), listen("c1", operator="bob"))
    assert sorted(pair.heard_by()) == ["ann", "bob"]
    hearing = [task for task in asyncio.all_tasks() if task.get_name() == "fleet/ear/hear"]
    assert len(hearing) == 1
    for one in both:
        one.leave()
    await pair.until(lambda: pair.heard_by() == [])


async def test_an_owner_that_goes_is_told(pair: Pair) -> None:
    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        await pair.server.close()
        code, reason = await one.closed()
        assert (code, reason) in {(1000, "closing"), (1000, "connection_lost")}
    async with socket(pair.a.app, PATH, headers=BEARER) as again:
        assert (again.status, again.problem["code"]) == (503, "node_gone")


async def test_refusals_are_the_owners(pair: Pair) -> None:
    pair.b.local.refuse = RequestRefused("call", "is not answered yet", code="not_answered")
    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        assert (one.status, one.problem["code"]) == (409, "not_answered")
    pair.b.local.refuse = None
    pair.b.local.end_call("c1", "caller_hung_up")
    async with socket(pair.a.app, PATH, headers=BEARER) as one:
        assert (one.status, one.problem["code"]) == (409, "call_ended")


@pytest.mark.parametrize(
    ("secret_a", "secret_b", "why"),
    [
        (None, SECRET, "no cluster.secret"),
        (SECRET, None, "no cluster.secret"),
        (SECRET, "another secret here", "not signed"),
    ],
)
async def test_nodes_without_one_secret_do_not_hear_each_other_and_the_refusal_names_the_node(
    secret_a: str | None, secret_b: str | None, why: str
) -> None:
    pair = await started(secret_a, secret_b)
    try:
        async with socket(pair.a.app, PATH, headers=BEARER) as one:
            assert (one.status, one.problem["code"]) == (409, "not_here")
            assert why in one.problem["detail"]
            assert f"b ({pair.b.console})" in one.problem["detail"]
        assert pair.b.local.listened == []
    finally:
        await pair.a.directory.close()
        await pair.server.close()


async def test_nobody_comes_in_by_the_nodes_door_without_a_ticket(pair: Pair) -> None:
    door = "/v1/cluster/calls/c1/listen"

    async def tried(**headers: str) -> Socket:
        async with socket(pair.b.app, door, headers=headers) as one:
            return one

    good = issue(SECRET, "c1", "b", Ticket(time.time(), "n1", "a"))
    refused = [
        await tried(),
        await tried(**BEARER),
        await tried(**{HEADER: issue(SECRET, "c2", "b", Ticket(time.time(), "n2", "a"))}),
        await tried(**{HEADER: issue(SECRET, "c1", "a", Ticket(time.time(), "n3", "a"))}),
    ]
    assert [one.problem["code"] for one in refused] == ["bad_ticket"] * 4
    assert (await tried(**{HEADER: good})).status == 101
    assert (await tried(**{HEADER: good})).problem["code"] == "bad_ticket", "once"


@pytest.mark.parametrize("odd", ["x", "[]", '{"join": -1}', '{"join": "1", "name": "x"}', b"\x00" * 160])
async def test_a_node_that_breaks_the_protocol_is_shown_out(pair: Pair, odd: str | bytes) -> None:
    ticket = issue(SECRET, "c1", "b", Ticket(time.time(), "n1", "a"))
    async with socket(pair.b.app, "/v1/cluster/calls/c1/listen", headers={HEADER: ticket}) as one:
        one.say('{"join": 1, "name": "ann"}')
        assert await one.next() == {"joined": 1, "listener": "1"}
        one.say(odd)
        assert (await one.closed())[0] == 1003
    await pair.until(lambda: pair.heard_by() == [])
