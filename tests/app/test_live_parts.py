"""The node's directory and its live events: numbering, slow watchers, idempotency, ended calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import settle, virtual
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.events import KEPT as HUB_KEPT
from voiceagent.app.events import QUEUE, EventHub
from voiceagent.app.fleet_orders import obey
from voiceagent.call.inputs import Inputs
from voiceagent.call.loop_timers import OWNER
from voiceagent.call.transcript import Utterance
from voiceagent.cluster.ports import Command
from voiceagent.console.ports import Act, LiveEvent, Trigger
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.ids import counted_tokens
from voiceagent.ivr import Call, flow
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.requests import Outcome, OutcomeKind
from voiceagent.records.rows import RESPONSES_KEPT as KEPT


@flow("waiter")
async def waiter(call: Call) -> None:
    await asyncio.Event().wait()


def ready() -> tuple[bool, Mapping[str, Any]]:
    return True, {}


def node() -> tuple[NodeDirectory, EventHub]:
    hub = EventHub()
    return NodeDirectory(hub, Metrics(), counted_tokens("d"), provider="scripted", readiness=ready), hub


def observed_story(directory: NodeDirectory) -> Story:
    story = Story(waiter)
    story.call._observer = directory  # pyright: ignore[reportPrivateUsage]
    directory.add(story.call)
    story.start()
    return story


async def collect(hub: EventHub, seen: list[LiveEvent], after: int | None = None) -> None:
    seen.extend([event async for event in hub.watch(after)])


async def watched_once(hub: EventHub) -> None:
    """Have somebody watch and leave: from now on events are kept for who comes back."""
    watching = asyncio.create_task(collect(hub, []))
    await settle()
    watching.cancel()
    await settle()


@virtual
async def test_what_came_before_anybody_watched_is_a_gap() -> None:
    hub = EventHub()
    hub.publish("tick", "c", lambda: pytest.fail("nobody can come back for it"))
    seen: list[LiveEvent] = []
    watching = asyncio.create_task(collect(hub, seen, after=0))
    await settle()
    hub.close()
    await watching
    assert [(event.id, event.type) for event in seen] == [(1, "gap")]


@virtual
async def test_events_are_numbered_replayed_and_ended() -> None:
    hub = EventHub()
    await watched_once(hub)
    for number in range(3):
        hub.publish("tick", "c", {"n": number})
    seen: list[LiveEvent] = []
    watching = asyncio.create_task(collect(hub, seen, after=1))
    await settle()
    hub.publish("tick", "c", {"n": 3})
    await settle()
    hub.close()
    hub.publish("tick", "c", {"n": 4})
    await watching
    assert [event.id for event in seen] == [2, 3, 4]
    late: list[LiveEvent] = []
    await asyncio.wait_for(collect(hub, late), 1)
    assert late == []


@virtual
async def test_events_that_nobody_takes_are_counted_and_not_made() -> None:
    hub, made, heard = EventHub(), list[int](), list[int]()

    def data() -> Mapping[str, Any]:
        made.append(0)
        return {}

    for _ in range(HUB_KEPT):
        hub.publish("tick", "c", data)
    asked = len(made)
    assert asked <= HUB_KEPT
    assert not hub.wanted("tick", "c")
    hub.publish("tick", "c", data)
    assert len(made) == asked
    hub.follow("d", lambda event: heard.append(event.id))
    hub.listen(lambda event: heard.append(event.id), {"tock"})
    hub.publish("tick", "d", data)
    hub.publish("tock", "c", data)
    assert heard == [HUB_KEPT + 2, HUB_KEPT + 3]
    assert len(made) == asked + 2


@virtual
@pytest.mark.parametrize(
    ("missed", "told"), [(HUB_KEPT - 1, [("tick", 2)]), (HUB_KEPT, [("gap", HUB_KEPT + 1)])]
)
async def test_who_comes_back_gets_all_that_was_missed_or_is_told_of_a_gap(
    missed: int, told: list[tuple[str, int]]
) -> None:
    hub = EventHub()
    seen: list[LiveEvent] = []
    watching = asyncio.create_task(collect(hub, seen))
    await settle()
    hub.publish("tick", "c", {})
    watching.cancel()
    await settle()
    for _ in range(missed):
        hub.publish("tick", "c", {})
    watcher = hub.watch(1)
    first = await anext(watcher)
    assert [(first.type, first.id)] == told
    for number in range(first.id + 1, missed + 2):
        assert (await anext(watcher)).id == number
    hub.publish("tick", "c", {})
    last = await anext(watcher)
    assert (last.type, last.id) == ("tick", missed + 2)
    await watcher.aclose()  # type: ignore[attr-defined]


@virtual
async def test_words_that_grow_are_told_together_and_the_last_at_once() -> None:
    directory, hub = node()
    seen: list[LiveEvent] = []
    hub.listen(seen.append)
    story = Story(waiter)
    directory.add(story.call)
    line = Utterance("r1", 0.0, "agent", "", growing=True)

    def texts() -> list[str]:
        return [one.data["text"] for one in seen if one.type == "transcript.line"]

    for word in ("one", " two", " three"):
        line.text += word
        directory.utterance_changed(story.call, line)
        await asyncio.sleep(0.01)
    assert texts() == []
    await asyncio.sleep(0.1)
    assert texts() == ["one two three"]
    line.text += " four"
    directory.utterance_changed(story.call, line)
    line.growing = False
    directory.utterance_changed(story.call, line)
    assert texts() == ["one two three", "one two three four"]
    await asyncio.sleep(1)
    assert len(texts()) == 2
    line.growing, line.text = True, "one two three four five"
    directory.utterance_changed(story.call, line)
    directory.call_ended(story.call)
    assert texts()[-1] == "one two three four five"
    assert seen[-1].type == "call.ended"


@virtual
async def test_a_line_that_is_told_at_once_does_not_overtake_one_that_grows() -> None:
    directory, hub = node()
    seen = list[LiveEvent]()
    hub.listen(seen.append, {"transcript.line"})
    one, other = Story(waiter), Story(waiter)
    other.call.id = "another"
    for story in (one, other):
        directory.utterance_changed(story.call, Utterance("r1", 0.0, "agent", "One", growing=True))
    directory.utterance_changed(one.call, Utterance("u1", 0.1, "caller", "Two"))
    assert [event.data["text"] for event in seen] == ["One", "Two"]
    await asyncio.sleep(1)
    assert [(event.call_id, event.data["text"]) for event in seen[2:]] == [("another", "One")]


@virtual
async def test_what_has_grown_is_told_on_behalf_of_no_call() -> None:
    directory, hub = node()
    owners: list[object] = []
    hub.listen(lambda event: owners.append(OWNER.get()), {"transcript.line"})
    story = Story(waiter, record_inputs=True)
    inputs = story.call.journal.inputs
    assert isinstance(inputs, Inputs)
    line = Utterance("r1", 0.0, "agent", "one", growing=True)
    inputs.owned(directory.utterance_changed, story.call, line)
    await asyncio.sleep(0.2)
    assert owners == [None]
    inputs.end()


def test_a_listener_that_fails_keeps_nobody_from_hearing() -> None:
    hub, heard = EventHub(), list[int]()

    def fail(event: LiveEvent) -> None:
        raise ValueError(event.type)

    hub.listen(fail)
    hub.listen(lambda event: heard.append(event.id))
    hub.publish("tick", "c", {})
    assert heard == [1]


@virtual
async def test_a_slow_watcher_loses_events_and_sees_the_gap() -> None:
    hub = EventHub()
    watcher = hub.watch()
    first = asyncio.ensure_future(anext(watcher))
    await settle()
    hub.publish("tick", "c", {})
    assert (await first).id == 1
    for _ in range(QUEUE + 5):
        hub.publish("tick", "c", {})
    assert (await anext(watcher)).id > 2
    await watcher.aclose()  # type: ignore[attr-defined]


@virtual
async def test_the_same_key_is_the_same_request_also_when_its_end_is_long_forgotten() -> None:
    directory, _ = node()
    story = observed_story(directory)
    await asyncio.sleep(1)
    wish = Trigger("Say hello.", {"desk": "1"}, "idle", None, None)

    def ask() -> str:
        return directory.trigger("call_1", wish, idempotency_key="k", operator="op").id

    first = ask()
    assert ask() == first
    await asyncio.sleep(5)
    view = directory.response("call_1", first)
    assert view.state == "completed"
    assert view.outcome is not None
    assert view.outcome["kind"] == "completed"
    for number in range(KEPT + 1):
        request = next(iter(story.call.ledger)).request
        other = type(request)(f"r{number}")
        story.call.ledger.submitted(other, None, {}, 0.0)
        story.call.ledger.settled(other.id, Outcome(OutcomeKind.COMPLETED))
    assert story.call.ledger.get(first) is None
    assert ask() == first
    assert len(story.provider.creates()) == 1

    call_view = await directory.hang_up("call_1", operator="op")
    await story.ends()
    assert call_view.state == "ended"
    assert ask() == first, "a repeat is answered even after the end"
    with pytest.raises(CallEnded) as ended:
        directory.trigger("call_1", wish, idempotency_key="other", operator="op")
    assert ended.value.outcome == "success: operator_hung_up"
    with pytest.raises(CallEnded):
        await directory.hang_up("call_1", operator="op")


@virtual
async def test_a_key_that_came_with_another_wish_is_refused_whichever_node_was_asked() -> None:
    directory, _ = node()
    story = observed_story(directory)
    await asyncio.sleep(1)

    async def ordered(op: str, wish: Trigger | Act) -> Mapping[str, Any]:
        args = json.loads(json.dumps(asdict(wish)))
        return await obey(
            directory, Command(id="i", op=op, call_id="call_1", args=args, actor="op", idempotency_key="k")
        )

    wish, note = Trigger("Say hello.", {"desk": "1"}), Act("note", text="A regular.")
    first = directory.trigger("call_1", wish, idempotency_key="k", operator="op").id
    await directory.act("call_1", note, idempotency_key="k", operator="op")
    again = await ordered("trigger", wish)
    assert again["done"]["id"] == first
    assert "done" in await ordered("act", note)
    others = (replace(wish, when="now"), replace(note, text="Another."))
    for other in (await ordered("trigger", others[0]), await ordered("act", others[1])):
        assert (other["error"], other["code"], other["field"]) == (
            "refused",
            "idempotency_mismatch",
            "Idempotency-Key",
        )
    await asyncio.sleep(5)
    assert len(story.provider.creates()) == 1
    await directory.hang_up("call_1", operator="op")
    await story.ends()


@virtual
async def test_an_operators_hang_up_is_answered_also_while_the_call_is_being_set_up() -> None:
    directory, _ = node()
    story = observed_story(directory)
    view = await asyncio.wait_for(directory.hang_up("call_1", operator="op"), 2)
    await story.ends()
    assert view.state == "ended"
    assert directory.live == ()
    assert story.leg.log[-1].startswith("hang_up")


@virtual
async def test_times_of_a_view_are_the_calls_and_stand_still_after_its_end() -> None:
    directory, _ = node()
    story = observed_story(directory)
    story.provider.default = Reply(audio_ms=500)
    await asyncio.sleep(10)
    wish = Trigger("Say hello.", {}, "idle", None, None)
    view = directory.trigger("call_1", wish, idempotency_key=None, operator="op")
    assert abs(view.submitted_at - story.call.started_at - 10) < 0.1
    with pytest.raises(RequestRefused, match="when"):
        directory.trigger("call_1", Trigger("x", {}, "never", None, None), idempotency_key=None, operator="o")
    await asyncio.sleep(5)
    await directory.hang_up("call_1", operator="op")
    await story.ends()
    lasted = directory.call("call_1").duration_s
    await asyncio.sleep(100)
    assert directory.call("call_1").duration_s == lasted
    assert abs(lasted - 15) < 1
    assert directory.response("call_1", view.id).submitted_at == view.submitted_at


@virtual
async def test_to_withdraw_what_has_ended_changes_nothing() -> None:
    directory, _ = node()
    story = observed_story(directory)
    await asyncio.sleep(1)
    wish = Trigger("Say hello.", {}, "idle", None, None)
    request = directory.trigger("call_1", wish, idempotency_key=None, operator="op").id
    await asyncio.sleep(5)
    await directory.hang_up("call_1", operator="op")
    await story.ends()
    assert directory.withdraw("call_1", request, operator="op").state == "completed"
    with pytest.raises(KeyError):
        directory.withdraw("call_1", "unknown", operator="op")
    with pytest.raises(KeyError):
        directory.call("unknown")
