"""What every cluster does, whatever stands behind it. Two "nodes" of a local cluster are one and the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.cluster.fleet import WORLDS, Fleet, Owner
from voiceagent.cluster.ports import GAP, AnswerLost, Command, CommandLate, FleetEvent, NodeFacts, NodeGone

pytestmark = pytest.mark.parametrize("world", WORLDS)


async def take(events: Any, count: int) -> list[FleetEvent]:
    async with asyncio.timeout(45):
        return [await anext(events) for _ in range(count)]


async def test_a_node_sees_itself_first_with_what_it_tells(fleet: Fleet) -> None:
    told = NodeFacts(calls=3, max_calls=9, sip="h:5060", state="draining")
    here = await fleet.join("a", facts=lambda: told)
    (me, *_) = await here.nodes()
    assert (me.name, me.epoch) == ("a", here.epoch)
    assert me.facts == told
    assert here.stale == ""


async def test_facts_that_change_are_told_without_waiting_for_a_beat(fleet: Fleet) -> None:
    told = [NodeFacts()]
    lease = {} if fleet.url is None else {"lease_s": 600.0}
    here = await fleet.join("a", facts=lambda: told[0], **lease)
    asker = await fleet.join("b", **lease) if here.shared else here
    told[0] = NodeFacts(state="draining")
    here.facts_changed()
    seen = await fleet.eventually(asker.nodes, lambda nodes: "draining" in {one.facts.state for one in nodes})
    assert {one.name: one.facts.state for one in seen}[here.name] == "draining"


async def test_who_was_here_is_known_for_a_day(fleet: Fleet) -> None:
    here, there = await fleet.pair()
    assert await here.absent() == {}
    if here.shared:
        await there.leave()
        ((name, seen_at),) = (await here.absent()).items()
        assert (name, abs(seen_at - time.time()) < 60) == ("b", True)
        await fleet.join("b")
        assert await here.absent() == {}


async def test_a_call_is_found_until_it_ends_and_the_newest_word_on_it_wins(fleet: Fleet) -> None:
    owner, asker = await fleet.pair()
    assert await asker.owner("c1") is None
    owner.call_changed("c1", {"step": "greeting"})
    owner.call_changed("c1", {"step": "menu", "parties": ["x"]})
    found = await fleet.eventually(lambda: asker.owner("c1"), lambda entry: entry is not None)
    assert found is not None
    assert (found.call_id, found.node, found.epoch) == ("c1", owner.name, owner.epoch)
    assert found.data == {"step": "menu", "parties": ["x"]}
    others = await asker.calls()
    assert [entry.call_id for entry in others] == (["c1"] if asker.shared else [])
    assert await owner.calls() == ()
    owner.call_ended("c1")
    assert await fleet.eventually(lambda: asker.owner("c1"), lambda entry: entry is None) is None
    assert await asker.calls() == ()


async def test_a_command_is_done_by_its_node_and_answered(fleet: Fleet) -> None:
    done = Owner(answer={"said": "hello"})
    owner, asker = await fleet.pair(handle=done)
    sent = Command(
        id="k1", op="say", call_id="c1", args={"text": "hé", "n": 2}, actor="ann", idempotency_key="i1"
    )
    assert await asker.command(owner.name, sent) == {"said": "hello"}
    (taken,) = done.taken
    assert (taken.id, taken.op, taken.call_id, taken.args) == ("k1", "say", "c1", {"text": "hé", "n": 2})
    assert (taken.actor, taken.idempotency_key) == ("ann", "i1")


async def test_a_command_for_the_own_node_takes_the_same_road(fleet: Fleet) -> None:
    done = Owner(answer={"ok": True})
    here = await fleet.join("a", handle=done)
    assert await here.command("a", Command(id="k1", op="say")) == {"ok": True}
    assert await here.command("a", Command(id="k1", op="say")) == {"ok": True}
    assert len(done.taken) == 1


async def test_the_same_command_again_is_done_once_and_answered_twice(fleet: Fleet) -> None:
    done = Owner(answer={"ok": True}, wait=True)
    owner, asker = await fleet.pair(handle=done)
    first, again = (
        asyncio.ensure_future(asker.command(owner.name, Command(id="k1", op="say"))) for _ in range(2)
    )
    await asyncio.wait_for(done.begun.wait(), 45)
    done.go_on.set()
    assert await first == await again == {"ok": True}
    assert await asker.command(owner.name, Command(id="k1", op="say")) == {"ok": True}
    assert [command.id for command in done.taken] == ["k1"]


async def test_a_command_past_its_deadline_is_refused_and_never_done(fleet: Fleet) -> None:
    done = Owner()
    owner, asker = await fleet.pair(handle=done)
    with pytest.raises(CommandLate):
        await asker.command(owner.name, Command(id="k1", op="say", within_s=-1.0))
    assert await asker.command(owner.name, Command(id="k2", op="say")) == {}
    assert [command.id for command in done.taken] == ["k2"]


async def test_nobody_of_that_name_is_told_at_once(fleet: Fleet) -> None:
    here = await fleet.join("a")
    with pytest.raises(NodeGone):
        await here.command("nobody", Command(id="k1", op="say", within_s=60))


async def test_work_that_outlasts_the_wait_leaves_its_sender_without_an_answer_and_goes_on(
    fleet: Fleet,
) -> None:
    done = Owner(wait=True)
    owner, asker = await fleet.pair(handle=done, grace_s=0.05)
    # Time enough to arrive, on a busy machine as well: what comes late is not begun.
    with pytest.raises(AnswerLost):
        await asker.command(owner.name, Command(id="k1", op="say", within_s=2.0))
    assert len(done.taken) == 1
    assert not done.finished.is_set()
    done.go_on.set()
    await asyncio.wait_for(done.finished.wait(), 45)


async def test_work_that_raises_is_answered_all_the_same(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(command: Command) -> Mapping[str, Any]:
        raise RuntimeError("no voice")

    owner, asker = await fleet.pair(handle=broken)
    with pytest.raises(AnswerLost, match="no voice"):
        await asker.command(owner.name, Command(id="k1", op="say", within_s=60))
    assert "command say failed" in caplog.text


async def test_each_command_is_counted_by_what_became_of_it(fleet: Fleet) -> None:
    owner, asker = await fleet.pair()
    counted: list[tuple[str, str]] = []
    asker.commanded = lambda op, result: counted.append((op, result))
    await asker.command(owner.name, Command(id="k1", op="say"))
    with pytest.raises(NodeGone):
        await asker.command("nobody", Command(id="k2", op="say"))
    with pytest.raises(CommandLate):
        await asker.command(owner.name, Command(id="k3", op="stop", within_s=0))
    assert counted == [("say", "done"), ("say", "gone"), ("stop", "late")]


async def test_all_nodes_see_all_events_in_one_order(fleet: Fleet) -> None:
    here, there = await fleet.pair()
    seen_here, seen_there = here.events(), there.events()
    for number in range(20):
        (here, there)[number % 2].publish("step", f"c{number}", {"n": number})
    one, other = await take(seen_here, 20), await take(seen_there, 20)
    assert one == other
    assert {event.call_id for event in one} == {f"c{number}" for number in range(20)}
    assert {event.node for event in one} == {here.name, there.name}
    for node in {here.name, there.name}:
        mine = [event.data["n"] for event in one if event.node == node]
        assert mine == sorted(mine)


async def test_a_reader_begins_now_and_another_goes_on_from_a_cursor_without_gap_or_double(
    fleet: Fleet,
) -> None:
    here = await fleet.join("a")
    early = here.events()
    for number in range(5):
        here.publish("step", "c1", {"n": number})
    first = await take(early, 5)
    late = here.events()
    for number in range(5, 8):
        here.publish("step", "c1", {"n": number})
    assert [event.data["n"] for event in await take(late, 3)] == [5, 6, 7]
    resumed = here.events(after=first[1].cursor)
    assert [event.data["n"] for event in await take(resumed, 6)] == [2, 3, 4, 5, 6, 7]


async def test_a_cursor_that_nobody_knows_begins_with_a_gap_from_which_one_can_go_on(fleet: Fleet) -> None:
    here = await fleet.join("a")
    reader = here.events(after="1-1")
    (gap,) = await take(reader, 1)
    assert gap.type == GAP
    again = here.events(after=gap.cursor)
    here.publish("step", "c1", {"n": 1})
    assert await take(reader, 1) == await take(again, 1)


async def test_events_of_calls_that_are_to_be_forgotten_are_told_to_nobody_any_more(fleet: Fleet) -> None:
    here, there = await fleet.pair()
    seen = here.events()
    for number in range(6):
        (here, there)[number % 2].publish("step", f"c{number % 3}", {"n": number})
    first = await take(seen, 6)
    assert await there.forget(["c0", "c2"]) == 4
    assert await there.forget(["c0", "c2", "nobody"]) == 0
    assert await here.forget([]) == 0
    here.publish("step", "c2", {"n": 6})
    (kept,) = [event.cursor for event in first if event.data["n"] == 1]
    assert [event.data["n"] for event in await take(there.events(after=kept), 2)] == [4, 6]
    await here.forget(["c0", "c2"])
    left = [event for event in first if event.call_id == "c1"]
    fresh = here.events(after=left[0].cursor)
    here.publish("step", "c3", {"n": 7})
    assert [event.data["n"] for event in await take(fresh, 2)] == [4, 7]


async def test_one_of_twenty_askers_gets_the_claim(fleet: Fleet) -> None:
    here, there = await fleet.pair()
    got = await asyncio.gather(*((here, there)[n % 2].claim("webhook:w1", 60) for n in range(20)))
    assert sorted(got) == [False] * 19 + [True]
    assert await here.claim("webhook:w2", 60)


async def test_a_claim_comes_free_when_its_time_is_over(fleet: Fleet) -> None:
    here = await fleet.join("a")
    assert await here.claim("k", 0.02)
    assert await fleet.eventually(lambda: here.claim("k", 60), bool)


async def test_who_holds_a_claim_is_known_and_only_its_holder_gives_it_back(fleet: Fleet) -> None:
    here, there = await fleet.pair()
    assert await there.holder("k") is None
    assert await here.claim("k", 60)
    assert await there.holder("k") == await here.holder("k") == (here.name, here.epoch)
    if there.shared:
        await there.release("k")
        assert not await there.claim("k", 60), "it is not theirs"
    await here.release("k")
    await here.release("k")
    assert await there.holder("k") is None
    assert await there.claim("k", 60)


async def test_leaving_ends_the_readers_and_may_be_repeated(fleet: Fleet) -> None:
    here = await fleet.join("a")
    reader = here.events()
    here.call_changed("c1", {})
    await here.leave()
    await here.leave()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(reader), 45)
    here.publish("step", "c1", {})
    here.call_changed("c1", {})
    here.call_ended("c1")
