"""The scripts and the membership on real Redis in virtual time: nodes that sleep, are cut off, go deaf, die.

Redis' own clock is replaced in the scripts by a key; nothing waits, and every seed tells one story.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.kit.redis_server import RedisServer
from voiceagent.cluster.membership import Membership
from voiceagent.cluster.ports import CallEntry, NodeView
from voiceagent.cluster.redis_line import LineDown, RedisLine, pairs, rows, text
from voiceagent.cluster.registry import Registry
from voiceagent.ids import random_token

pytestmark = pytest.mark.fleet

LEASE_S = 4.0
SEEDS = 40
STEPS = 40
TIME = "redis.call('TIME')"
KEY = "{math.floor(redis.call('GET', key('now')) / 1000), (redis.call('GET', key('now')) % 1000) * 1000}"


class World:
    """One fleet and its time."""

    def __init__(self, line: RedisLine, chance: random.Random) -> None:
        self.line = line
        self.chance = chance
        self.prefix = f"t{random_token()}"
        self.now = 1_000_000_000
        self.nodes: list[Node] = []
        self.heard: defaultdict[str, list[str]] = defaultdict(list)
        """Epoch → lost and outlived, in their order."""

    async def passes(self, ms: int) -> None:
        self.now += ms
        await self.line.ask("SET", f"{self.prefix}:now", self.now)

    async def join(self) -> None:
        node = Node(self, f"n{len(self.nodes)}")
        await node.place.register()
        self.nodes.append(node)

    @property
    def living(self) -> list[Node]:
        return [node for node in self.nodes if node.alive]

    async def beats(self) -> None:
        order = self.living
        self.chance.shuffle(order)
        for node in order:
            place = node.place
            if not node.asleep and place._beats.wait(node.local()) == 0:
                await place.beat()
            if not node.asleep and place.outbox and place.up.is_set() and not await place.write():
                place.look_now()


class Node:
    """A membership whose line can be cut (nothing arrives) or deaf (no answer arrives)."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.epoch = f"{name}e"
        self.alive, self.asleep, self.mode = True, False, "well"
        self.told = 0
        self.shift = world.chance.uniform(-1e5, 1e5)
        self.registry = Registry(self, world.prefix, name, self.epoch)  # type: ignore[arg-type]
        self.place = Membership(
            self.registry, self, name=name, lease_s=LEASE_S, local=self.local, chance=world.chance.random
        )

    def local(self) -> float:
        return self.world.now / 1000 + self.shift

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[None]:
        yield

    async def run(self, script: str, *words: str | int) -> Any:
        if self.mode == "cut":
            raise LineDown("cut", sent=False)
        assert TIME in script
        answer = await self.world.line.run(script.replace(TIME, KEY), *words)
        if self.mode == "deaf":
            raise LineDown("deaf", sent=True)
        return answer

    def lost(self, node: NodeView, calls: Sequence[CallEntry]) -> None:
        self.world.heard[node.epoch].append("lost")

    def outlived(self, ids: Sequence[str]) -> None:
        self.world.heard[self.epoch].append("outlived")

    def stood(self, up: bool, nodes: int) -> None:
        pass


async def one_step(world: World) -> None:
    chance, node = world.chance, world.chance.choice(world.living)
    match chance.randrange(12):
        case 0 | 1:
            node.mode = chance.choice(("cut", "deaf"))
        case 2 | 3 | 4:
            node.mode = "well"
        case 5:
            node.asleep = not node.asleep
        case 6 if len(world.living) > 2:
            node.alive = False
        case 6 | 7 if len(world.living) < 4:
            await world.join()
        case 8 if node.place.outbox.live:
            node.place.outbox.call_ended(chance.choice(sorted(node.place.outbox.live)))
        case _:
            node.place.outbox.call_changed(f"{node.epoch}{chance.randrange(4)}", {"n": chance.random()})
            node.told += 1
            node.place.outbox.publish("step", "", {"n": node.told, "of": node.epoch})


async def tell(line: RedisLine, seed: int) -> int:
    world = World(line, random.Random(seed))
    await world.passes(0)
    for _ in range(3):
        await world.join()
    for _ in range(STEPS):
        await one_step(world)
        await world.passes(world.chance.choice((100, 500, 1500)))
        await world.beats()
    for node in world.living:
        node.mode, node.asleep = "well", False
    for _ in range(20):
        await world.passes(700)
        await world.beats()

    for node in world.nodes:
        heard = world.heard[node.epoch]
        assert ("lost", "lost") not in set(pairwise(heard)), (seed, heard)
        if node.alive:
            assert not heard or heard[-1] == "outlived", (seed, node.epoch, heard)
        else:
            assert heard[-1:] == ["lost"], (seed, node.epoch, heard)
    first = world.living[0]
    found = await first.registry.calls()
    truth = {call: node.epoch for node in world.living[1:] for call in node.place.outbox.live}
    assert {entry.call_id: entry.epoch for entry in found} == truth, seed
    for node in world.living:
        for call, data in node.place.outbox.live.items():
            entry = await first.registry.owner(call)
            assert entry is not None, (seed, call)
            assert (entry.epoch, entry.data) == (node.epoch, data), (seed, call)
    assert {view.epoch for view in await first.registry.nodes()} == {n.epoch for n in world.living}, seed
    assert not rows(await line.ask("HGETALL", f"{world.prefix}:graves")), seed
    told: defaultdict[str, list[int]] = defaultdict(list)
    for _, entry in rows(await line.ask("XRANGE", f"{world.prefix}:ev", "-", "+")):
        event = {text(name): text(value) for name, value in pairs(entry)}
        told[event["n"] + "e"].append(int(event["d"].split(":")[1].split(",")[0]))
    for node in world.nodes:
        numbers = told[node.epoch]
        assert numbers == list(range(1, (node.told if node.alive else len(numbers)) + 1)), (seed, node.epoch)
    return sum(len(heard) for heard in world.heard.values())


@pytest.fixture
async def line(shared_redis: RedisServer) -> AsyncIterator[RedisLine]:
    made = RedisLine(shared_redis.url)
    yield made
    await made.close()


async def test_each_death_is_told_once_and_the_living_are_all_there_in_the_end(line: RedisLine) -> None:
    events = [await tell(line, seed) for seed in range(SEEDS)]
    assert sum(events) > SEEDS


async def two_that_may_bury(line: RedisLine) -> tuple[World, Node, Node]:
    world = World(line, random.Random(1))
    await world.passes(0)
    await world.join()
    await world.join()
    for _ in range(10):
        await world.passes(1000)
        await world.beats()
    return world, *world.nodes


async def test_nobody_is_buried_when_the_whole_machine_has_slept(line: RedisLine) -> None:
    world, *_ = await two_that_may_bury(line)
    await world.passes(60_000)
    for _ in range(10):
        await world.beats()
        await world.passes(1000)
    assert not world.heard


async def test_who_was_buried_writes_nothing_until_he_is_back(line: RedisLine) -> None:
    world, here, there = await two_that_may_bury(line)
    there.asleep = True
    there.place.outbox.call_changed("c1", {})
    there.place.outbox.publish("step", "c1", {})
    for _ in range(6):
        await world.passes(1000)
        await world.beats()
    assert not await there.place.write()
    assert await here.registry.owner("c1") is None
    assert await line.ask("EXISTS", f"{world.prefix}:ev") == 0
    await there.place.beat()
    assert await there.place.write()
    assert await here.registry.owner("c1") is not None
    assert world.heard == {there.epoch: ["lost", "outlived"]}


async def test_who_does_not_hear_that_he_was_taken_back_asks_again(
    line: RedisLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, here, there = await two_that_may_bury(line)
    there.place.outbox.call_changed("c1", {})
    await there.place.write()
    there.asleep = True
    for _ in range(6):
        await world.passes(1000)
        await world.beats()
    register = there.registry.register

    async def deaf(*told: Any) -> Any:
        monkeypatch.undo()
        await register(*told)
        raise LineDown("deaf", sent=True)

    monkeypatch.setattr(there.registry, "register", deaf)
    await there.place.beat()
    assert there.place.away
    await there.place.beat()
    assert world.heard == {there.epoch: ["lost", "outlived"]}
    assert there.place.outbox, "his calls stand there no more"
    await there.place.write()
    assert [entry.call_id for entry in await here.registry.calls()] == ["c1"]
    await there.place.beat()
    await there.place.beat()
    assert world.heard == {there.epoch: ["lost", "outlived"]}
    assert await line.ask("EXISTS", f"{world.prefix}:buried:{there.epoch}") == 0


async def test_who_is_buried_again_is_mourned_again_though_the_first_report_was_not_confirmed(
    line: RedisLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard(graves: Sequence[str]) -> None:
        raise LineDown("cut", sent=False)

    world, here, there = await two_that_may_bury(line)
    monkeypatch.setattr(here.registry, "told", unheard)
    for _ in range(2):
        there.asleep = True
        for _ in range(8):
            await world.passes(1000)
            await world.beats()
        there.asleep = False
        await world.beats()
    assert world.heard == {there.epoch: ["lost", "outlived", "lost", "outlived"]}


async def test_a_crash_is_seen_within_six_seconds_with_leases_of_four(line: RedisLine) -> None:
    for after_its_beat_ms in (0, 700, 1300):
        world, _, there = await two_that_may_bury(line)
        await world.passes(after_its_beat_ms)
        there.alive = False
        died = world.now
        while not world.heard:
            await world.passes(100)
            await world.beats()
        assert world.heard == {there.epoch: ["lost"]}
        assert 2.5 <= (world.now - died) / 1000 <= 6
