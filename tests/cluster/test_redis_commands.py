"""Redis only: what may happen to a command on its way."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.cluster.fleet import Fleet, Owner, Watched, crash, until
from tests.kit.redis_server import RedisServer
from voiceagent.cluster.envelope import Envelope
from voiceagent.cluster.ports import AnswerLost, ClusterDown, Command, CommandLate, NodeGone
from voiceagent.cluster.redis_line import CROWD

pytestmark = pytest.mark.fleet


async def test_copies_of_a_command_are_done_once(fleet: Fleet) -> None:
    done = Owner()
    owner, asker = await fleet.pair(handle=done)
    deadline = asker._place.clock.earliest() + 30
    copy = Envelope(Command(id="k1", op="say"), deadline, "re:nobody").encode()
    channel = f"cmd:{owner.epoch}"
    assert [await asker._registry.publish(channel, copy) for _ in range(5)] == [1] * 5
    assert await asker.command(owner.name, Command(id="k2", op="say")) == {}
    assert [command.id for command in done.taken] == ["k1", "k2"]


async def test_what_cannot_be_read_hurts_nobody(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    owner, asker = await fleet.pair()
    for broken in ("", "[]", '{"id": "k"}', '{"id": "k", "op": "say", "deadline": "soon"}', "\x00"):
        await asker._registry.publish(f"cmd:{owner.epoch}", broken)
        await asker._registry.publish(f"re:{owner.epoch}", broken)
    assert await asker.command(owner.name, Command(id="k1", op="say")) == {}
    assert await owner.command(asker.name, Command(id="k2", op="say")) == {}
    assert caplog.text.count("cannot be read") == 10


async def test_a_node_that_died_takes_nothing_and_that_is_known_at_once(fleet: Fleet) -> None:
    owner, asker = await fleet.pair(lease_s=60.0)
    await crash(owner)
    async with asyncio.timeout(45):
        with pytest.raises(NodeGone):
            await asker.command("a", Command(id="k1", op="say", within_s=60))


async def test_a_new_run_of_a_node_is_found_by_who_knew_the_old_one(fleet: Fleet) -> None:
    owner, asker = await fleet.pair(lease_s=60.0)
    assert asker._place.epochs.get("a") == owner.epoch
    await owner.leave()
    await fleet.join("a", handle=Owner(answer={"run": 2}), lease_s=60.0)
    assert await asker.command("a", Command(id="k1", op="say")) == {"run": 2}


async def test_a_command_that_slept_in_redis_beyond_its_deadline_is_never_done(
    fleet: Fleet, own_redis: RedisServer
) -> None:
    done, how = Owner(), {"url": own_redis.url, "timeout_s": 1.0, "lease_s": 30.0}
    owner, asker = await fleet.join("a", handle=done, **how), await fleet.join("b", **how)
    own_redis.stop_answering()
    deadline = asker._place.clock.earliest() + 1.5
    # It is in the server's socket, and will be delivered: nobody can know whether in time.
    with pytest.raises(AnswerLost):
        await asker.command("a", Command(id="k1", op="say", within_s=1.5))
    with pytest.raises(ClusterDown):
        for _ in range(20):
            await fleet.eventually(lambda: asyncio.sleep(0, asker.stale), bool)
            await asker.command("a", Command(id="k2", op="say"))
    await until(lambda: asker._place.clock.earliest() > deadline)
    own_redis.answer_again()
    await fleet.eventually(lambda: asyncio.sleep(0, asker.stale + owner.stale), lambda stale: not stale)
    assert await asker.command("a", Command(id="k3", op="say")) == {}
    assert [command.id for command in done.taken] == ["k3"]


async def test_an_owner_whose_line_is_slow_says_late_and_leaves_it_undone(fleet: Fleet) -> None:
    done = Owner()
    owner, asker = await fleet.pair(handle=done)
    owner._place.clock.learned(owner._place.clock.latest() + 10, *[owner._place.clock._local()] * 2)
    with pytest.raises(CommandLate):
        await asker.command("a", Command(id="k1", op="say", within_s=1.0))
    assert done.taken == []


async def test_a_crowd_of_orders_waits_its_turn_and_does_not_look_like_a_redis_that_is_away(
    fleet: Fleet,
) -> None:
    done = Owner()
    _, asker = await fleet.pair(handle=done, timeout_s=2.0, lease_s=4.0)
    told = Watched(asker)
    async with AsyncExitStack() as crowd:
        for _ in range(CROWD):
            await crowd.enter_async_context(asker._line.queue())
        orders = [
            asyncio.ensure_future(asker.command("a", Command(id=f"k{n}", op="say", within_s=30)))
            for n in range(50)
        ]
        # Longer than Redis may take for an answer; beats go on meanwhile.
        await until(lambda: len(told.stood) > 3)
        assert not done.taken
    assert await asyncio.gather(*orders) == [{}] * 50
    assert len(done.taken) == 50
    assert all(up for up, _ in told.stood)


async def test_whoever_waits_for_a_place_is_told_when_redis_fails_the_one_before(fleet: Fleet) -> None:
    _, asker = await fleet.pair(lease_s=60.0)
    async with AsyncExitStack() as crowd:
        for _ in range(CROWD):
            await crowd.enter_async_context(asker._line.queue())
        waiting = asyncio.ensure_future(asker.claim("k", 60))
        await asyncio.sleep(0)
        asker._line._failures += 1
    with pytest.raises(ClusterDown, match="is away"):
        await waiting


async def test_an_answer_waits_for_who_has_just_lost_his_line(fleet: Fleet, own_redis: RedisServer) -> None:
    done = Owner(answer={"ok": True}, wait=True)
    owner, asker = [
        await fleet.join(name, handle=done, url=own_redis.url, lease_s=60.0) for name in ("a", "b")
    ]
    order = asyncio.ensure_future(asker.command(owner.name, Command(id="k1", op="say", within_s=30)))
    await done.begun.wait()
    assert own_redis.tell("CLIENT", "KILL", "TYPE", "pubsub") == b":2\r\n"
    done.go_on.set()
    assert await asyncio.wait_for(order, 45) == {"ok": True}
    assert len(done.taken) == 1
