"""One Idempotency-Key, asked for at several nodes in the same moment: the number is called once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.kit.fleet import FakeFleet
from tests.kit.fleet_nodes import Member, members
from tests.kit.virtual_loop import virtual
from voiceagent.cluster.ports import AnswerLost, ClusterDown, NodeView
from voiceagent.console.ports import CallView, DialWish
from voiceagent.errors import RequestRefused

WISH = DialWish(to="sip:200@example.com", flow="front-desk")


def placing(member: Member) -> asyncio.Task[CallView]:
    return asyncio.create_task(member.directory.dial(WISH, idempotency_key="k", operator="ann"))


def dialled(*asked: Member) -> list[int]:
    return [len(one.local.dialled) for one in asked]


class Gate:
    """Holds a node up where it asks who else is there: it has the claim, and has not placed the call."""

    def __init__(self, member: Member) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self._nodes = member.cluster.nodes
        member.cluster.nodes = self._held  # type: ignore[method-assign]

    async def _held(self) -> Sequence[NodeView]:
        self.reached.set()
        await self.open.wait()
        return await self._nodes()


async def held(fleet: FakeFleet) -> tuple[Member, Member, Gate, Any]:
    """Return two nodes, of which ``a`` is about to place the call."""
    a, b = await members(fleet, "a", "b")
    gate = Gate(a)
    first = placing(a)
    await gate.reached.wait()
    return a, b, gate, first


@virtual
async def test_all_who_ask_in_the_same_moment_get_the_one_call() -> None:
    nodes = await members(FakeFleet(), "a", "b", "c")
    views = await asyncio.gather(*(placing(one) for one in (*nodes, *nodes)))
    assert len({view.id for view in views}) == 1
    assert sum(dialled(*nodes)) == 1


@virtual
async def test_who_comes_second_waits_for_the_first_one() -> None:
    a, b, gate, first = await held(FakeFleet())
    second = placing(b)
    await asyncio.sleep(1)
    assert not second.done()
    gate.open.set()
    assert (await second).id == (await first).id
    assert dialled(a, b) == [1, 0]
    assert (await second).node == "a"


@virtual
async def test_a_call_that_the_first_one_may_not_place_is_placed_by_the_second() -> None:
    a, b, gate, first = await held(FakeFleet())
    second = placing(b)
    await asyncio.sleep(1)
    a.local.refuse = RequestRefused("to", "its trunk is down", code="trunk_down")
    gate.open.set()
    with pytest.raises(RequestRefused):
        await first
    await second
    assert dialled(a, b) == [0, 1]


@virtual
async def test_an_asker_who_goes_takes_the_claim_with_it_only_when_it_is_acted_on() -> None:
    a, b, gate, first = await held(FakeFleet())
    first.cancel()
    gate.open.set()
    assert (await placing(b)).node == "a"
    assert dialled(a, b) == [1, 0]


def _dies(fleet: FakeFleet, a: Member) -> None:
    del fleet.members["a"]


def _is_mute(fleet: FakeFleet, a: Member) -> None:
    fleet.mute.add("a")


def _is_another_run(fleet: FakeFleet, a: Member) -> None:
    fleet.members["a"] = Member(fleet, "a").cluster
    fleet.members["a"].epoch = "another-run-of-a"
    fleet.members["a"]._handle = Member(fleet, "a").directory.obey


@pytest.mark.parametrize("what", [_dies, _is_mute, _is_another_run])
def test_where_nobody_knows_whether_it_was_placed_that_is_said(
    what: Callable[[FakeFleet, Member], None],
) -> None:
    @virtual
    async def story() -> None:
        fleet = FakeFleet()
        a, b, gate, first = await held(fleet)
        what(fleet, a)
        gate.open.set()
        await first
        with pytest.raises(AnswerLost, match="may have done so"):
            await placing(b)
        assert dialled(b) == [0]

    story()


@virtual
async def test_a_first_one_that_takes_too_long_is_not_waited_for() -> None:
    a, b, gate, first = await held(FakeFleet())
    before = asyncio.get_running_loop().time()
    with pytest.raises(AnswerLost, match="within 5 s"):
        await placing(b)
    assert asyncio.get_running_loop().time() - before == pytest.approx(5.0)
    gate.open.set()
    await first
    assert dialled(a, b) == [1, 0]


@virtual
async def test_while_the_registry_is_away_a_node_decides_by_itself_but_not_what_another_one_is_at() -> None:
    fleet = FakeFleet()
    a, b, gate, first = await held(fleet)
    second = placing(b)
    await asyncio.sleep(1)
    a.local.refuse = RequestRefused("to", "its trunk is down", code="trunk_down")
    fleet.down = True
    gate.open.set()
    with pytest.raises(RequestRefused):
        await first
    with pytest.raises(ClusterDown):
        await second
    assert dialled(a, b) == [0, 0]
    await placing(b)
    assert dialled(a, b) == [0, 1]
