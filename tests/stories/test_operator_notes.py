"""What an operator does beside making the agent speak: notes, pauses of a recording, a full queue."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from tests.stories.test_recordings import SILENCE, Kept, story_of
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.events import EventHub
from voiceagent.call.config import CallConfig
from voiceagent.console.ports import Act, Trigger
from voiceagent.console.views import call_detail
from voiceagent.errors import CallEnded, RequestRefused
from voiceagent.ids import counted_tokens
from voiceagent.ivr import Call, Flow, flow
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.requests import When


@flow("waiter")
async def waiter(call: Call) -> None:
    await asyncio.Event().wait()


def ready() -> tuple[bool, Mapping[str, Any]]:
    return True, {}


def observed(story: Story) -> tuple[NodeDirectory, Metrics]:
    metrics = Metrics()
    directory = NodeDirectory(EventHub(), metrics, counted_tokens("d"), provider="x", readiness=ready)
    story.call._observer = story.call.recorder._observer = directory  # pyright: ignore[reportPrivateUsage]
    directory.add(story.call)
    story.start()
    return directory, metrics


def notes_of(story: Story) -> list[str]:
    """Return the texts of the items that came to the provider as notes."""
    items = [one["item"] for one in story.provider.received if one["type"] == "conversation.item.create"]
    return [part["text"] for item in items if item.get("role") == "system" for part in item["content"]]


@virtual
async def test_a_note_joins_the_conversation_and_nothing_is_said() -> None:
    story = Story(waiter)
    directory, metrics = observed(story)
    await asyncio.sleep(1)
    wish = Trigger("The parcel is at the depot.", {"desk": "1"}, note_only=True)

    def ask() -> str:
        return directory.trigger("call_1", wish, idempotency_key="k", operator="ann").id

    first = ask()
    assert ask() == first, "repeated, it is told once"
    await directory.act("call_1", Act("note", text="He is cross."), idempotency_key=None, operator="ben")
    await asyncio.sleep(3)
    assert notes_of(story) == ["The parcel is at the depot.", "He is cross."]
    assert story.provider.creates() == []
    view = directory.response("call_1", first)
    assert (view.state, view.reason, view.metadata) == ("noted", "noted", {"desk": "1"})
    assert view.outcome is not None
    assert (view.outcome["kind"], view.outcome["heard_ms"]) == ("completed", 0)
    shown = call_detail(directory.call("call_1"))
    assert [(line["speaker"], line["text"]) for line in shown["transcript"]] == [
        ("note", "The parcel is at the depot."),
        ("note", "He is cross."),
    ]
    assert shown["last_words"] == "", "nobody said it"
    told = [entry for entry in story.entries if entry["type"] == "operator.note"]
    assert [(entry["operator"], entry["text"]) for entry in told] == [
        ("ann", "The parcel is at the depot."),
        ("ben", "He is cross."),
    ]
    assert 'voiceagent_responses_total{origin="operator"' not in metrics.render()
    await directory.hang_up("call_1", operator="ann")
    assert ask() == first, "also after the end"
    with pytest.raises(CallEnded):
        directory.trigger("call_1", wish, idempotency_key=None, operator="ann")
    await story.ends()


@virtual
async def test_a_note_during_a_reply_does_not_disturb_it() -> None:
    story = Story(waiter)
    directory, _ = observed(story)
    story.provider.default = Reply(audio_ms=4000)
    await asyncio.sleep(1)
    spoken = directory.trigger("call_1", Trigger("Speak.", {}), idempotency_key=None, operator="ann").id
    await story.agent_speaks()
    directory.trigger("call_1", Trigger("A note.", {}, note_only=True), idempotency_key=None, operator="ann")
    await asyncio.sleep(6)
    view = directory.response("call_1", spoken)
    assert view.outcome is not None
    assert (view.state, view.outcome["heard_ms"]) == ("completed", 4000)
    assert notes_of(story) == ["A note."]
    story.call.end("done")
    await story.ends()


@virtual
async def test_a_call_that_is_not_answered_takes_no_note() -> None:
    story = Story(waiter, connect_s=2.0)
    directory, _ = observed(story)
    await asyncio.sleep(0.5)
    with pytest.raises(RequestRefused) as refused:
        await directory.act("call_1", Act("note", text="x"), idempotency_key=None, operator="ann")
    assert refused.value.code == "not_answered"
    story.call.end("done")
    await story.ends()


def recording() -> Flow:
    @flow("recorder")
    async def recorder(call: Call) -> None:
        await call.record()
        await asyncio.sleep(9)

    return recorder


@virtual
async def test_a_pause_of_an_operator_is_silence_in_the_recording() -> None:
    kept = Kept()
    story = story_of(recording(), kept)
    directory, _ = observed(story)

    async def act(what: Any) -> dict[str, Any]:
        view = await directory.act("call_1", Act(what), idempotency_key=None, operator="ann")
        return call_detail(view)["recording"]

    await asyncio.sleep(2)
    assert await act("pause_recording") == {"state": "paused", "files": ["call_1.wav"]}
    assert await act("pause_recording") == {"state": "paused", "files": ["call_1.wav"]}
    await asyncio.sleep(4)
    assert await act("resume_recording") == {"state": "running", "files": ["call_1.wav"]}
    await story.ends()
    caller, _ = kept.files["call_1.wav"]
    assert caller.count(SILENCE) == pytest.approx(4.0 * 8000, abs=0.3 * 8000)
    kinds = [
        entry["type"] for entry in story.entries if ".pause" in entry["type"] or ".resume" in entry["type"]
    ]
    assert kinds.count("recording.paused") == kinds.count("recording.resumed") == 1
    assert kinds.count("operator.pause_recording") == 2


@virtual
async def test_a_flows_pause_outlasts_an_operators_and_the_other_way_round() -> None:
    kept = Kept()
    story = story_of(recording(), kept)
    directory, _ = observed(story)
    await asyncio.sleep(2)
    story.call.operating.pause_recording("ann")
    story.call.recorder.gate("flow", True)
    story.call.operating.resume_recording("ann")
    assert directory.call("call_1").recording["state"] == "paused"
    story.call.operating.pause_recording("ann")
    story.call.recorder.gate("flow", False)
    assert directory.call("call_1").recording["state"] == "paused"
    story.call.operating.resume_recording("ann")
    assert directory.call("call_1").recording["state"] == "running"
    await story.ends()
    with pytest.raises(CallEnded):
        story.call.operating.pause_recording("ann")


@virtual
async def test_what_is_not_recorded_cannot_be_paused() -> None:
    story = Story(waiter)
    directory, _ = observed(story)
    await asyncio.sleep(1)
    with pytest.raises(RequestRefused) as refused:
        await directory.act("call_1", Act("pause_recording"), idempotency_key=None, operator="ann")
    assert refused.value.code == "not_recording"
    await directory.act("call_1", Act("resume_recording"), idempotency_key=None, operator="ann")
    story.call.end("done")
    await story.ends()


@virtual
async def test_a_full_queue_refuses_one_more_and_has_place_again_when_one_has_gone() -> None:
    story = Story(waiter, config=CallConfig(max_waiting=2))
    directory, metrics = observed(story)
    story.provider.default = Reply(audio_ms=4000)
    await asyncio.sleep(1)

    def ask(when: str = "idle", coalesce: str | None = None) -> str:
        wish = Trigger("Speak.", {}, when, coalesce=coalesce)
        return directory.trigger("call_1", wish, idempotency_key=None, operator="ann").id

    ask()
    await story.agent_speaks()
    waiting = [ask(), ask(coalesce="eta")]
    for when in When:
        with pytest.raises(RequestRefused) as refused:
            ask(when.value)
        assert refused.value.code == "queue_full"
    assert "voiceagent_response_queue_full_total 3.0" in metrics.render()
    assert [one.id for one in directory.call("call_1").responses if one.state == "queued"] == waiting
    ask(coalesce="eta")
    assert directory.response("call_1", waiting[1]).state == "superseded", "it takes that one's place"
    directory.trigger("call_1", Trigger("x", {}, note_only=True), idempotency_key=None, operator="ann")
    directory.withdraw("call_1", waiting[0], operator="ann")
    ask()
    story.call.end("done")
    await story.ends()
