"""Every node sees the events of all in one order: a reader goes on at another node where it left off."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.kit import Heard, StreamReader, streaming
from tests.kit.fleet import FakeFleet
from tests.kit.fleet_nodes import Clock, members
from voiceagent.app.fleet_news import CallNews, FleetNews, LineBrake
from voiceagent.app.fleet_node import lost_call
from voiceagent.console.ports import LiveEvent


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet(kept=50)


async def heard(reader: StreamReader, count: int) -> list[Heard]:
    got: list[Heard] = []
    for _ in range(count):
        event = await reader.next()
        assert event is not None
        got.append(event)
    return got


async def test_readers_of_all_nodes_see_all_events_in_one_order(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    b.call("c2")
    async with streaming(a.app) as at_a, streaming(b.app) as at_b:
        for one in (at_a, at_b):
            (first,) = await heard(one, 1)
            assert (first.type, first.data["reason"]) == ("snapshot", "start")
            assert {(call["id"], call["node"]) for call in first.data["calls"]} == {("c1", "a"), ("c2", "b")}
            assert first.data["cluster"]["stale"] == ""
        a.local.change("c1", step="menu")
        b.local.change("c2", step="hours")
        b.local.end_call("c2", "caller_hung_up")
        seen_at_a, seen_at_b = await heard(at_a, 3), await heard(at_b, 3)
    told = [(one.id, one.type, one.data["call_id"], one.data["node"]) for one in seen_at_a]
    assert told == [(one.id, one.type, one.data["call_id"], one.data["node"]) for one in seen_at_b]
    assert [one[1:] for one in told] == [
        ("call.changed", "c1", "a"),
        ("call.changed", "c2", "b"),
        ("call.ended", "c2", "b"),
    ]


@pytest.mark.parametrize("watched", [False, True])
async def test_a_reader_goes_on_at_another_node_without_a_gap(fleet: FakeFleet, watched: bool) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    async with AsyncExitStack() as stack:
        if watched:
            other = await stack.enter_async_context(streaming(b.app))
            await heard(other, 1)
        async with streaming(a.app) as reader:
            await heard(reader, 1)
            a.local.change("c1", step="one")
            (seen,) = await heard(reader, 1)
        b.local.emit("alert.raised", "", {"id": "a1"})
    a.local.change("c1", step="two")
    b.call("c2")
    async with streaming(b.app, headers={"Last-Event-ID": seen.id or ""}) as reader:
        missed = await heard(reader, 3)
        a.local.change("c1", step="three")
        (after,) = await heard(reader, 1)
    assert [(one.type, one.data["data"].get("step")) for one in missed] == [
        ("alert.raised", None),
        ("call.changed", "two"),
        ("call.started", "greeting"),
    ]
    assert after.data["data"]["step"] == "three"


async def test_two_readers_with_the_same_id_both_go_on(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        a.local.change("c1", step="one")
        (seen,) = await heard(reader, 1)
    headers = {"Last-Event-ID": seen.id or ""}
    async with streaming(b.app, headers=headers) as one, streaming(b.app, headers=headers) as two:
        a.local.change("c1", step="two")
        for reader in (one, two):
            (event,) = await heard(reader, 1)
            assert (event.type, event.data["data"]["step"]) == ("call.changed", "two")


async def test_what_is_no_longer_kept_is_made_good_by_a_snapshot_from_which_one_can_go_on(
    fleet: FakeFleet,
) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        a.local.change("c1", step="one")
        (seen,) = await heard(reader, 1)
    for number in range(60):
        a.local.change("c1", step=f"s{number}")
    a.clock.run_to(2.0)
    async with streaming(b.app, headers={"Last-Event-ID": seen.id or ""}) as reader:
        (event,) = await heard(reader, 1)
        while event.type != "snapshot" or event.data["reason"] != "gap":
            (event,) = await heard(reader, 1)
        (call,) = event.data["calls"]
        assert call["step"] == "s59"
    a.local.change("c1", step="after")
    async with streaming(a.app, headers={"Last-Event-ID": event.id or ""}) as reader:
        (event,) = await heard(reader, 1)
        assert (event.type, event.data["data"]["step"]) == ("call.changed", "after")


@pytest.mark.parametrize("odd", ["f.", "f.x y", "f." + "9" * 65, "f.1-1-1", "f.99-0", "f.deadbeef-3"])
async def test_an_id_that_nobody_gave_out_gets_a_snapshot(fleet: FakeFleet, odd: str) -> None:
    a, _ = await members(fleet, "a", "b")
    a.call("c1")
    async with streaming(a.app, headers={"Last-Event-ID": odd}) as reader:
        event = None
        while event is None or event.type != "snapshot":
            (event,) = await heard(reader, 1)
        assert [call["id"] for call in event.data["calls"]] == ["c1"]


async def test_while_the_registry_is_away_own_events_go_on_and_it_heals(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    b.call("c2")
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        fleet.go_down()
        (away,) = await heard(reader, 1)
        assert (away.type, away.data["reason"]) == ("snapshot", "gap")
        assert away.data["cluster"]["stale"].startswith("cluster_down")
        assert {(call["id"], call["stale"]) for call in away.data["calls"]} == {("c1", False), ("c2", True)}
        a.local.change("c1", step="alone")
        b.local.change("c2", step="unseen")
        (own,) = await heard(reader, 1)
        assert (own.data["call_id"], own.data["data"]["step"]) == ("c1", "alone")
        for one in (a, b):
            one.clock.run_to(2.0)
        fleet.come_back()
        (back,) = await heard(reader, 1)
        while back.type != "snapshot":
            (back,) = await heard(reader, 1)
        assert back.data["cluster"]["stale"] == ""
        assert {(call["id"], call["step"], call["stale"]) for call in back.data["calls"]} == {
            ("c1", "alone", False),
            ("c2", "unseen", False),
        }
        b.local.change("c2", step="seen")
        (event,) = await heard(reader, 1)
        while event.type != "call.changed" or event.data["data"]["step"] != "seen":
            (event,) = await heard(reader, 1)
        assert event.id is not None
        assert event.id.startswith("f.")


async def test_who_left_while_the_registry_was_away_misses_nothing_of_what_nobody_here_read(
    fleet: FakeFleet,
) -> None:
    a, b = await members(fleet, "a", "b")
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        fleet.go_down()
        await heard(reader, 1)
        a.local.emit("alert.raised", "", {"id": "own"})
        (own,) = await heard(reader, 1)
    fleet.come_back()
    b.local.emit("alert.raised", "", {"id": "missed"})
    async with streaming(a.app) as fresh:
        await heard(fresh, 1)
        b.local.emit("alert.raised", "", {"id": "seen"})
        assert (await heard(fresh, 1))[0].data["data"] == {"id": "seen"}
        async with streaming(a.app, headers={"Last-Event-ID": own.id or ""}) as back:
            (first,) = await heard(back, 1)
            assert (first.type, first.data["reason"]) == ("snapshot", "gap")


async def test_who_watched_before_and_ends_late_leaves_the_next_one_watching(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    first, second = await a.directory.follow(), await a.directory.follow()
    waiting = [asyncio.ensure_future(anext(one)) for one in (first, second)]
    b.call("c2")
    assert [(await one).type for one in waiting] == ["call.started"] * 2
    b.local.end_call("c2", "caller_hung_up")
    assert (await anext(second)).type == "call.ended"
    await cast("Any", first).aclose()
    assert [view.state for view in a.directory.seen()] == ["ended"]
    fleet.go_down()
    async with asyncio.timeout(45):
        assert (await anext(second)).type == "gap", "it hears that the registry is away"
    await cast("Any", second).aclose()


async def test_a_part_of_a_call_that_had_ended_before_we_looked_is_not_told(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        b.cluster.publish("call.changed", "c9", {"floor": "agent"})
        b.call("c2")
        (event,) = await heard(reader, 1)
        assert (event.type, event.data["call_id"]) == ("call.started", "c2")
    assert [view.id for view in a.directory.seen()] == ["c2"]


async def test_with_nobody_watching_a_node_reads_nothing(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    b.call("c2")
    assert (a.cluster.readers, b.cluster.readers) == (0, 0)
    async with streaming(a.app) as reader:
        await heard(reader, 1)
    assert (a.cluster.readers, b.cluster.readers) == (1, 0)


async def test_another_nodes_trunks_are_not_taken_for_ours(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        b.local.emit("trunk.changed", "", {"name": "carrier", "up": False})
        a.local.emit("trunk.changed", "", {"name": "carrier", "up": True})
        (event,) = await heard(reader, 1)
        assert event.data["data"]["up"] is True


async def test_calls_of_a_vanished_node_end_for_everybody(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    b.call("c2")
    a.cluster.lost = lambda node, entries: (
        [a.cluster.publish("call.ended", entry.call_id, lost_call(entry)) for entry in entries] and None
    )
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        fleet.kill("b")
        (event,) = await heard(reader, 1)
        assert (event.type, event.data["data"]["state"]) == ("call.ended", "ended")
        assert event.data["data"]["outcome"]["reason"] == "node_lost"
        (known,) = a.directory.seen()
        assert (known.state, known.node) == ("ended", "b")


async def test_an_ended_call_that_is_tagged_stays_ended(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    b.call("c2")
    async with streaming(a.app) as reader:
        await heard(reader, 1)
        b.local.end_call("c2", "caller_hung_up")
        b.local.tagged("c2", ["later"], operator="ann")
        ended, tagged = await heard(reader, 2)
        assert (ended.type, tagged.type) == ("call.ended", "call.changed")
        assert tagged.data["data"]["tags"] == ["later"]
        b.clock.run_to(10.0)
        assert fleet.entries == {}, "the registry has live calls only"
        (known,) = a.directory.seen()
        assert (known.state, known.tags) == ("ended", ["later"])
        fleet.kill("b")
        a.call("c1")
        (event,) = await heard(reader, 1)
        assert (event.type, event.data["call_id"]) == ("call.started", "c1"), "it is not lost with its node"
        assert {one.id: one.state for one in a.directory.seen()} == {"c1": "talking", "c2": "ended"}


def test_lines_that_grow_go_out_four_times_a_second_as_they_stand_then() -> None:
    clock = Clock()
    told: list[tuple[float, Mapping[str, Any]]] = []
    brake = LineBrake(clock, lambda line: told.append((round(clock.now, 3), line["text"])))
    for step in range(100):  # a second of a line that grows every 10 ms
        clock.run_to(step / 100)
        brake.take({"item_id": "i1", "text": step})
    clock.run_to(2.0)
    assert [at for at, _ in told] == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert told[-1][1] == 99, "the last state is told"
    brake.take({"item_id": "i2", "text": "at once after a pause"})
    assert told[-1] == (2.0, "at once after a pause")


class Noted:
    """A cluster that keeps what it is told, and what a reader who looked at any moment makes of it."""

    def __init__(self) -> None:
        self.registry: dict[str, Any] = {}
        self.writes = 0
        self.readers: list[dict[str, Any]] = []
        self.fields = 0

    def call_changed(self, call_id: str, data: Mapping[str, Any]) -> None:
        self.writes += 1
        self.registry = dict(data)

    def publish(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        self.fields += len(data)
        for one in self.readers:
            one.update(data)

    def look(self) -> None:
        self.readers.append(dict(self.registry))


@given(st.lists(st.tuples(st.integers(0, 600), st.dictionaries(st.sampled_from("abc"), st.integers(0, 1)))))
def test_whoever_began_to_watch_at_any_moment_knows_how_a_call_stands(
    steps: list[tuple[int, dict[str, int]]],
) -> None:
    clock, noted = Clock(), Noted()
    news = CallNews(cast("Any", noted), clock, "c1")
    now: dict[str, Any] = {"id": "c1", "a": 0, "b": 0, "c": 0}
    news.stands("call.started", dict(now))
    for pause_ms, change in steps:
        clock.run_to(clock.now + pause_ms / 1000)
        noted.look()
        now |= change
        news.stands("call.changed", dict(now))
        noted.look()
        assert all(one == now for one in noted.readers[:-1])
    clock.run_to(clock.now + 1.0)
    assert noted.registry == now
    assert all(one == now for one in noted.readers)
    assert noted.writes <= 2 + clock.now, "once a second at most"


def test_a_change_is_told_by_what_has_changed() -> None:
    clock, noted = Clock(), Noted()
    news = CallNews(cast("Any", noted), clock, "c1")
    whole = {f"f{number}": 0 for number in range(30)}
    news.stands("call.started", whole)
    noted.fields = 0
    for number in range(1, 11):
        clock.run_to(number / 10 - 0.01)
        news.stands("call.changed", {**whole, "f0": number})
    assert (noted.fields, noted.writes) == (10, 1)


async def test_the_end_of_a_call_is_told_after_its_last_line_and_after_the_registry(fleet: FakeFleet) -> None:
    (a,) = await members(fleet, "a")
    order: list[str] = []
    a.cluster.call_ended = lambda call_id: order.append("registry")  # type: ignore[method-assign]
    a.cluster.publish = lambda kind, call_id, data: order.append(kind)  # type: ignore[method-assign]
    news = FleetNews(a.cluster, Clock())
    a.cluster.call_changed = lambda call_id, data: None  # type: ignore[method-assign]
    news.on_event(LiveEvent(0, "call.started", "c1", {"id": "c1"}))
    for number in range(3):
        news.on_event(LiveEvent(number, "transcript.line", "c1", {"item_id": "i1", "text": str(number)}))
    news.on_event(LiveEvent(4, "call.ended", "c1", {}))
    assert order == ["call.started", "transcript.line", "transcript.line", "registry", "call.ended"]
