"""Redis only: it hangs, it is killed, it comes back empty. Nothing waits for it, and everything heals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cluster.fleet import Fleet, Owner, Watched, until
from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer
from voiceagent.cluster.ports import GAP, ClusterDown, Command, NodeGone
from voiceagent.ids import random_token

pytestmark = pytest.mark.fleet
HOW = {"lease_s": 3.0, "timeout_s": 1.5}


@pytest.fixture
async def pair(fleet: Fleet, own_redis: RedisServer) -> tuple[Any, Any]:
    """Two nodes that share a Redis of their own."""
    how = HOW | {"url": own_redis.url}
    return await fleet.join("a", handle=Owner(answer={"here": True}), **how), await fleet.join("b", **how)


async def taken(asker: Any, node: str) -> Any:
    """Return the answer to a command, None while its node does not listen again yet."""
    try:
        return await asker.command(node, Command(id=random_token(), op="say"))
    except NodeGone:
        return None


async def test_a_redis_that_hangs_counts_as_away_and_nobody_is_buried_for_it(
    fleet: Fleet, own_redis: RedisServer, pair: tuple[Any, Any]
) -> None:
    here, there = pair
    told = Watched(here), Watched(there)
    here.call_changed("c1", {"step": 1})
    here.publish("step", "c1", {"n": 1})
    reader = there.events()
    assert (await anext(reader)).data == {"n": 1}
    # So long without a break that both may bury.
    await until(lambda: all(len(watched.stood) > 5 for watched in told))
    own_redis.stop_answering()
    with pytest.raises(ClusterDown, match=r"does not answer within 1\.5 s"):
        await here.claim("k", 60)
    await until(lambda: bool(here.stale and there.stale))
    assert here.stale.startswith("cluster_down: Redis at 127.0.0.1:")
    # From now on nothing even waits for the limit.
    for question in (here.calls(), here.owner("c9"), here.claim("k", 1)):
        with pytest.raises(ClusterDown):
            await asyncio.wait_for(question, 0.2)
    with pytest.raises(ClusterDown):
        await asyncio.wait_for(there.command("a", Command(id="k1", op="say")), 0.2)
    assert [node.name for node in await asyncio.wait_for(here.nodes(), 0.2)] == ["a"]
    assert await here.command("a", Command(id="k2", op="say")) == {"here": True}
    assert (await here.owner("c1")).data == {"step": 1}
    here.call_changed("c1", {"step": 2})
    for number in range(2, 50):
        here.publish("step", "c1", {"n": number})
    assert told[0].stood[-1] == (False, 1)
    await until(lambda: all(sum(not up for up, _ in watched.stood) > 3 for watched in told))
    own_redis.answer_again()
    assert [(await anext(reader)).data["n"] for _ in range(48)] == list(range(2, 50))
    await until(lambda: not here.stale and not there.stale)
    found = await fleet.eventually(lambda: there.owner("c1"), lambda entry: entry.data["step"] == 2)
    assert found.epoch == here.epoch
    # The leases ran out for everybody; everybody came back before anybody was buried.
    beats = [len(watched.stood) for watched in told]
    await until(lambda: all(len(w.stood) > n + 5 for w, n in zip(told, beats, strict=True)))
    assert [watched.lost for watched in told] == [watched.outlived for watched in told] == [[], []]
    assert len(await here.nodes()) == 2


async def test_a_redis_that_comes_back_empty_is_told_everything_again(
    fleet: Fleet, own_redis: RedisServer, pair: tuple[Any, Any]
) -> None:
    here, there = pair
    told = Watched(here), Watched(there)
    for number in range(3):
        here.publish("step", "c1", {"n": number})
    here.call_changed("c1", {"step": 1})
    reader = there.events()
    cursors = [(await anext(reader)).cursor for _ in range(3)]
    own_redis.kill()
    # The request that was under way may tell of a closed connection first.
    await until(lambda: "Connection refused" in here.stale and bool(there.stale))
    with pytest.raises(ClusterDown):
        await asyncio.wait_for(there.calls(), 0.2)
    here.publish("step", "c1", {"n": 3})
    own_redis.start()
    await until(lambda: not here.stale and not there.stale)
    entry = await fleet.eventually(lambda: there.owner("c1"), lambda entry: entry is not None)
    assert entry.data == {"step": 1}
    assert (await anext(reader)).type == GAP
    # What waited was written before the reader looked, or comes now; what follows comes in any case.
    there.publish("step", "c2", {})
    while (event := await anext(reader)).call_id != "c2":
        assert event.data == {"n": 3}
    fresh = await fleet.join("c", **HOW, url=own_redis.url)
    assert (await anext(fresh.events(after=cursors[0]))).type == GAP
    answer = await fleet.eventually(lambda: taken(there, "a"), lambda answer: answer is not None)
    assert answer == {"here": True}
    assert [watched.lost for watched in told] == [watched.outlived for watched in told] == [[], []]


async def test_memory_that_was_flushed_under_the_nodes_is_noticed_by_a_beat(
    fleet: Fleet, own_redis: RedisServer, pair: tuple[Any, Any]
) -> None:
    here, there = pair
    here.call_changed("c1", {"step": 1})
    here.publish("step", "c1", {"n": 0})
    reader = there.events()
    await anext(reader)
    own_redis.tell("FLUSHALL")
    assert (await anext(reader)).type == GAP
    await fleet.eventually(lambda: there.owner("c1"), lambda entry: entry is not None)
    nodes = await fleet.eventually(lambda: here.nodes(), lambda nodes: len(nodes) == 2)
    assert [node.name for node in nodes] == ["a", "b"]


async def test_a_server_that_became_a_replica_is_left_and_found_again_when_it_leads(
    fleet: Fleet, own_redis: RedisServer, pair: tuple[Any, Any]
) -> None:
    here, there = pair
    here.call_changed("c1", {"step": 1})
    await fleet.eventually(lambda: there.owner("c1"), lambda entry: entry is not None)
    own_redis.tell("REPLICAOF", "127.0.0.1", str(free_port()))
    await until(lambda: here.stale.endswith("is a read-only replica") and bool(there.stale))
    here.call_changed("c1", {"step": 2})
    own_redis.tell("REPLICAOF", "NO", "ONE")
    await fleet.eventually(lambda: asyncio.sleep(0, here.stale + there.stale), lambda stale: not stale)
    await fleet.eventually(lambda: there.owner("c1"), lambda entry: entry.data == {"step": 2})
    answer = await fleet.eventually(lambda: taken(there, "a"), lambda answer: answer is not None)
    assert answer == {"here": True}


async def test_a_burst_is_read_in_order_without_gap_or_double_while_redis_hangs_in_between(
    fleet: Fleet, own_redis: RedisServer, pair: tuple[Any, Any]
) -> None:
    here, there = pair
    readers = here.events(), there.events()
    for number in range(600):
        here.publish("step", "c1", {"n": number})
    assert [(await anext(readers[1])).data["n"] for _ in range(10)] == list(range(10))
    own_redis.stop_answering()
    for number in range(600, 1200):
        here.publish("step", "c1", {"n": number})
    await until(lambda: bool(here.stale))
    own_redis.answer_again()
    assert [(await anext(readers[1])).data["n"] for _ in range(1190)] == list(range(10, 1200))
    assert [(await anext(readers[0])).data["n"] for _ in range(1200)] == list(range(1200))


async def test_that_it_hangs_is_seen_between_two_beats(fleet: Fleet, own_redis: RedisServer) -> None:
    node = await fleet.join("a", url=own_redis.url, timeout_s=1.0, lease_s=60.0)  # beats every 20 s
    told = Watched(node)
    own_redis.stop_answering()
    await until(lambda: bool(node.stale))
    own_redis.answer_again()
    await until(lambda: not node.stale)
    assert [up for up, _ in told.stood][:1] + [up for up, _ in told.stood][-1:] == [False, True]
