"""Redis only: a node that vanishes is mourned once; one that was only taken for dead comes back."""

from __future__ import annotations

import pytest

from tests.cluster.fleet import Fleet, Watched, crash, until
from voiceagent.cluster.ports import Command, NodeGone
from voiceagent.cluster.scripts import KEPT_S

pytestmark = pytest.mark.fleet
LEASE_S = 1.0


async def test_a_dead_node_is_mourned_once_among_three_survivors(fleet: Fleet) -> None:
    dying = await fleet.join("d", lease_s=LEASE_S)
    survivors = [await fleet.join(name, lease_s=LEASE_S) for name in "abc"]
    told = [Watched(node) for node in survivors]
    dying.call_changed("c1", {"step": "menu"})
    dying.call_changed("c2", {})
    await fleet.eventually(lambda: survivors[0].calls(), lambda calls: len(calls) == 2)
    # All have beaten for a lease without a break, and so may bury.
    await until(lambda: all(len(watched.stood) > 5 for watched in told))
    await crash(dying)
    await until(lambda: any(watched.lost for watched in told))
    beats = [len(watched.stood) for watched in told]
    await until(lambda: all(len(w.stood) > n + 2 for w, n in zip(told, beats, strict=True)))
    assert [loss for watched in told for loss in watched.lost] == [("d", ["c1", "c2"])]
    assert await survivors[1].owner("c1") is None
    assert await survivors[1].calls() == ()
    assert [node.name for node in await survivors[1].nodes()] == ["b", "a", "c"]
    with pytest.raises(NodeGone):
        await survivors[2].command("d", Command(id="k1", op="say", within_s=60))
    assert not any(watched.outlived for watched in told)


async def test_a_node_that_was_only_cut_off_is_taken_back_with_its_calls(fleet: Fleet) -> None:
    cut_off, other = [await fleet.join(name, lease_s=LEASE_S) for name in "ab"]
    here, there = Watched(cut_off), Watched(other)
    cut_off.call_changed("c1", {"step": "menu"})
    cut_off.call_changed("c2", {})
    await fleet.eventually(lambda: other.calls(), lambda calls: len(calls) == 2)
    cut_off._line.cut = True
    cut_off.publish("step", "c1", {"n": 1})
    await until(lambda: bool(there.lost))
    assert there.lost == [("a", ["c1", "c2"])]
    assert cut_off.stale == "cluster_down: Redis cannot be reached: cut"
    cut_off.call_ended("c2")
    cut_off.call_changed("c3", {})
    events = other.events()
    cut_off._line.cut = False
    await until(lambda: bool(here.outlived))
    assert here.outlived == [["c1", "c2"]], "not what has begun since, of which nobody was told"
    assert (await anext(events)).data == {"n": 1}
    found = await fleet.eventually(lambda: other.calls(), lambda calls: len(calls) == 2)
    assert {entry.call_id: entry.data for entry in found} == {"c1": {"step": "menu"}, "c3": {}}
    assert cut_off.stale == ""
    assert here.lost == []
    assert len(there.lost) == 1


async def test_calls_of_a_fleet_that_died_as_a_whole_are_mourned_by_who_comes_first(fleet: Fleet) -> None:
    first = await fleet.join("a", lease_s=LEASE_S)
    first.call_changed("c1", {})
    await until(lambda: not first._place.outbox)
    await fleet.eventually(lambda: first._registry.owner("c1"), lambda entry: entry is not None)
    await crash(first)
    again = await fleet.join("a", lease_s=LEASE_S)
    told = Watched(again)
    await until(lambda: bool(told.lost))
    assert told.lost == [("a", ["c1"])]


async def test_the_loss_is_told_by_another_when_its_teller_dies_before_he_could(fleet: Fleet) -> None:
    dying, teller, heir = [await fleet.join(name, lease_s=LEASE_S) for name in "dab"]
    told = Watched(heir)
    dying.call_changed("c1", {})
    await fleet.eventually(lambda: heir.calls(), lambda calls: len(calls) == 1)
    await crash(dying)
    heir._place._beats.may_bury = lambda now: False
    teller._line.deaf = True  # its beats arrive and bury; the graves never reach it
    teller._place._beats.may_bury = lambda now: True
    await fleet.eventually(lambda: heir._registry.owner("c1"), lambda entry: entry is None)
    await crash(teller)
    del heir._place._beats.may_bury
    await until(lambda: len(told.lost) == 2)
    assert sorted(told.lost) == [("a", []), ("d", ["c1"])]


async def test_words_stay_in_redis_no_longer_than_a_reader_may_be_away(fleet: Fleet) -> None:
    node = await fleet.join("a", lease_s=LEASE_S)
    seconds, _ = await node._line.ask("TIME")
    stream = f"{fleet.prefix}:ev"
    kept = [f"{(int(seconds) - age) * 1000}-1" for age in (KEPT_S + 60, KEPT_S - 60)]
    for cursor in kept:
        await node._line.ask("XADD", stream, cursor, "n", "b", "t", "transcript.line", "c", "c1", "d", "{}")

    async def ids() -> list[str]:
        return [entry[0].decode() for entry in await node._line.ask("XRANGE", stream, "-", "+")]

    await fleet.eventually(ids, lambda found: found == kept[1:])
