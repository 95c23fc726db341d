"""Redis only: who may join, and what a wrong setting is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.cluster.fleet import Fleet, Owner, crash
from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer, redis_server
from voiceagent.cluster.making import make_cluster
from voiceagent.cluster.ports import NodeFacts
from voiceagent.errors import ConfigError

pytestmark = pytest.mark.fleet


async def refused(url: str) -> str:
    """Return the one line that joining ends in."""
    with pytest.raises(ConfigError) as caught:
        await make_cluster(node="a", url=url, lease_s=4.0).join(NodeFacts, Owner())
    line = str(caught.value)
    assert line.startswith("cluster.url: ")
    assert "\n" not in line
    assert "s3cret" not in line
    return line


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (lambda: f"redis://:s3cret@127.0.0.1:{free_port()}/0", "Connection refused"),
        (lambda: "redis://:s3cret@no-such-host.invalid:6379/0", "unknown host"),
        (lambda: "redis://:s3cret@127.0.0.1:port/0", "not a URL"),
        (lambda: "unix:///nowhere/redis.sock", "No such file"),
    ],
)
async def test_a_url_that_leads_nowhere_is_named(url: Callable[[], str], words: str) -> None:
    assert words in await refused(url())


async def test_a_wrong_password_and_a_read_only_replica_are_named(shared_redis: RedisServer) -> None:
    with redis_server("--requirepass", "right") as closed:
        here = f"@127.0.0.1:{closed.port}/0"
        assert "refuses user or password" in await refused(f"redis://:s3cret{here}")
        assert "refuses user or password" in await refused(closed.url)
        right = make_cluster(node="a", url=f"redis://:right{here}")
        await right.join(NodeFacts, Owner())
        await right.leave()
    with redis_server("--replicaof", "127.0.0.1", str(shared_redis.port)) as replica:
        assert "read-only replica" in await refused(replica.url)


async def test_a_redis_that_hangs_is_given_up_in_time(own_redis: RedisServer) -> None:
    own_redis.stop_answering()
    async with asyncio.timeout(20):
        assert "does not answer within 2 s" in await refused(own_redis.url)


async def test_two_nodes_of_one_name_are_one_too_many(fleet: Fleet) -> None:
    first = await fleet.join("a", lease_s=1.0)
    with pytest.raises(ConfigError, match=r"^cluster.node: a living node is called 'a', last heard of \d"):
        await fleet.join("a", lease_s=1.0)
    assert [node.epoch for node in await first.nodes()] == [first.epoch]


async def test_after_a_kill_the_name_is_free_when_its_lease_is_over(fleet: Fleet) -> None:
    first = await fleet.join("a", lease_s=1.0)
    await crash(first)
    again = await fleet.join("a", lease_s=1.0)
    assert [node.epoch for node in await again.nodes()] == [again.epoch]
    assert again.epoch != first.epoch


async def test_who_left_properly_frees_the_name_at_once_and_leaves_only_that_it_was_here(
    fleet: Fleet, shared_redis: RedisServer
) -> None:
    first = await fleet.join("a", lease_s=60.0)
    first.call_changed("c1", {})
    await first.leave()
    again = await fleet.join("a", lease_s=60.0)
    assert await again.owner("c1") is None
    await again.leave()
    name = f"{fleet.prefix}:names"
    assert shared_redis.tell("KEYS", f"{fleet.prefix}:*") == f"*1\r\n${len(name)}\r\n{name}\r\n".encode()
    assert int(shared_redis.tell("TTL", name)[1:]) > 86_000


async def test_fleets_with_different_prefixes_never_meet(fleet: Fleet) -> None:
    here = await fleet.join("a")
    fleet.prefix += "2"
    there = await fleet.join("a")
    assert len(await here.nodes()) == len(await there.nodes()) == 1
