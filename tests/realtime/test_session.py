"""The seed contract and what surrounds it, over an in-memory provider on the virtual clock."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.virtual_loop import eventually, settle, virtual
from tests.realtime.kit import Ear, open_room
from voiceagent.errors import ProviderError, RequestRefused
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelAudioInterruptedEvent,
    RealtimeModelConnectionStatusEvent,
    RealtimeModelNoticeEvent,
    RealtimeModelResponseOutcomeEvent,
    RealtimeModelToolCallEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
)
from voiceagent.realtime.model_inputs import RealtimeModelSendRawMessage, RealtimeModelSendResponseCreate
from voiceagent.realtime.requests import InterruptedBy, Origin, OutcomeKind, Progress, ResponseRequest

PLAYOUT = RealtimeSessionConfig(playout=True)


@virtual
async def test_a_bare_create_carries_no_response_object() -> None:
    async with open_room() as room:
        handle = await room.session.create_response()
        outcome = await handle.outcome()
        (create,) = room.provider.creates()
        assert set(create) == {"type", "event_id"}
        assert outcome.kind is OutcomeKind.COMPLETED
        assert outcome.heard_text == "Hello there, how can I help you?"
        assert outcome.heard_ms == 1000


@virtual
async def test_only_what_was_given_is_sent() -> None:
    async with open_room() as room:
        one = await room.session.create_response(instructions="Greet.")
        two = await room.session.create_response(metadata={"turn": "greeting"})
        await asyncio.gather(one.outcome(), two.outcome())
        first, second = room.provider.creates()
        assert first["response"] == {"instructions": "Greet."}
        assert second["response"] == {"metadata": {"turn": "greeting"}}


@virtual
async def test_two_creates_never_overlap_and_keep_their_order() -> None:
    async with open_room() as room:
        handles = [await room.session.create_response(instructions=str(n)) for n in range(4)]
        outcomes = await asyncio.gather(*(handle.outcome() for handle in handles))
        assert [event["response"]["instructions"] for event in room.provider.creates()] == list("0123")
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.COMPLETED}
        assert len({outcome.response_id for outcome in outcomes}) == 4
        assert not [event for event in room.provider.sent if event["type"] == "error"]


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({f"k{n}": "v" for n in range(17)}, "metadata"),
        ({"k" * 65: "v"}, "metadata." + "k" * 65),
        ({"k": "v" * 513}, "metadata.k"),
        ({"k": 7}, "metadata.k"),
        ({7: "v"}, "metadata"),
        ("not a mapping", "metadata"),
    ],
)
@virtual
async def test_bad_metadata_is_refused_at_the_call_site(metadata: object, field: str) -> None:
    async with open_room() as room:
        with pytest.raises(RequestRefused) as refused:
            await room.session.create_response(metadata=metadata)  # type: ignore[arg-type]
        assert refused.value.field == field
        await asyncio.sleep(1)
        assert room.wire() == []


@virtual
async def test_sixteen_pairs_of_full_length_are_allowed() -> None:
    async with open_room() as room:
        metadata = {f"{n:02d}" + "k" * 62: "v" * 512 for n in range(16)}
        handle = await room.session.create_response(metadata=metadata)
        await handle.outcome()
        assert room.provider.creates()[0]["response"]["metadata"] == metadata


@virtual
async def test_the_create_leaves_in_the_same_loop_turn() -> None:
    async with open_room() as room:
        before = len(room.transport.frames)
        room.session.submit(ResponseRequest(id="a"))
        assert len(room.transport.frames) == before + 1


@virtual
async def test_the_same_id_gives_the_same_handle() -> None:
    async with open_room() as room:
        one = room.session.submit(ResponseRequest(id="a"))
        two = room.session.submit(ResponseRequest(id="a"))
        assert one is two
        await one.outcome()
        assert room.session.submit(ResponseRequest(id="a")) is one
        await asyncio.sleep(1)
        assert len(room.provider.creates()) == 1


@virtual
async def test_progress_is_told_in_order_and_to_many() -> None:
    async with open_room(config=PLAYOUT) as room:
        Ear(room)
        changes: list[str] = []
        handle = room.session.submit(ResponseRequest(id="a"))
        handle.on_change(lambda each: changes.append(each.state))
        outcomes = await asyncio.gather(*(handle.outcome() for _ in range(3)))
        assert len({id(outcome) for outcome in outcomes}) == 1
        steps = [progress for progress, _ in handle.history]
        assert steps == [
            Progress.QUEUED,
            Progress.SENT,
            Progress.STARTED,
            Progress.AUDIBLE,
            Progress.GENERATED,
            Progress.PLAYED,
        ]
        assert changes[-1] == "completed"


@virtual
async def test_completed_means_heard() -> None:
    async with open_room(config=PLAYOUT) as room:
        Ear(room)
        room.provider.plans.append(Reply(audio_ms=5000, gap_s=0.01))
        loop = asyncio.get_running_loop()
        handle = await room.session.create_response()
        started = loop.time()
        outcome = await handle.outcome()
        assert outcome.completed
        assert outcome.heard_ms == 5000
        assert loop.time() - started > 5.0


@virtual
async def test_interrupt_stops_the_voice_and_tells_what_was_heard() -> None:
    async with open_room(config=PLAYOUT) as room:
        ear = Ear(room)
        room.provider.plans.append(
            Reply(text="One two three four five six seven eight nine ten", audio_ms=5000, gap_s=0.2)
        )
        handle = await room.session.create_response()
        await asyncio.sleep(2.0)
        assert await room.session.interrupt() == handle.response_id
        outcome = await handle.outcome()
        assert outcome.kind is OutcomeKind.INTERRUPTED
        assert outcome.by is InterruptedBy.OPERATOR
        assert 1500 < outcome.heard_ms < 2000
        assert "One two".startswith(outcome.heard_text[:7])
        assert not outcome.heard_text.endswith("ten")
        assert ear.stopped == [handle.response_id]
        await asyncio.sleep(1)
        wire = room.wire()
        assert wire == ["response.create", "response.cancel", "conversation.item.truncate"]
        truncate = room.provider.received[-1]
        assert truncate["audio_end_ms"] == outcome.heard_ms
        after = room.heard(RealtimeModelAudioEvent)[-1]
        assert after.response_id == handle.response_id
        assert not [event for event in room.provider.sent if event["type"] == "error"]


@virtual
async def test_no_audio_after_the_order_to_stop() -> None:
    async with open_room(config=PLAYOUT, provider=ScriptedProvider(latency_s=0.1)) as room:
        Ear(room)
        room.provider.plans.append(Reply(audio_ms=5000, gap_s=0.02))
        await room.session.create_response()
        await asyncio.sleep(0.5)
        stop = room.session.interrupt()
        waiting = asyncio.ensure_future(stop)
        await settle()
        at = len(room.heard(RealtimeModelAudioEvent))
        assert room.heard(RealtimeModelAudioInterruptedEvent)
        await waiting
        await asyncio.sleep(1)
        assert len(room.heard(RealtimeModelAudioEvent)) == at


@virtual
async def test_interrupt_with_nothing_to_stop_resolves_at_once() -> None:
    async with open_room() as room:
        loop = asyncio.get_running_loop()
        before = loop.time()
        assert await room.session.interrupt() is None
        assert loop.time() == before
        assert room.wire() == []


@virtual
async def test_an_unanswered_order_to_stop_is_answered_by_the_link() -> None:
    async with open_room() as room:
        room.provider.plans.append(Reply(audio_ms=5000, gap_s=0.5))
        handle = await room.session.create_response()
        await asyncio.sleep(1.0)
        await room.session.interrupt()
        outcome = await handle.outcome()
        assert outcome.interrupted
        assert outcome.heard_ms == 0
        await asyncio.sleep(1)
        assert "conversation.item.truncate" not in room.wire()


@virtual
async def test_barge_in_stops_playback_and_truncates_without_a_cancel() -> None:
    async with open_room(config=PLAYOUT) as room:
        Ear(room)
        room.provider.plans.append(Reply(audio_ms=6000, gap_s=0.01))
        handle = await room.session.create_response()
        await asyncio.sleep(2.0)
        item = room.provider.speech_started()
        outcome = await handle.outcome()
        assert outcome.interrupted
        assert outcome.by is InterruptedBy.CALLER
        assert 1700 < outcome.heard_ms < 2000
        await asyncio.sleep(0.1)
        assert room.wire()[1:] == ["conversation.item.truncate"]
        room.provider.speech_stopped(item)
        turn = room.session.submit(ResponseRequest(id="turn", origin=Origin.TURN))
        assert (await turn.outcome()).completed


@virtual
async def test_a_lost_link_ends_everything_lost() -> None:
    async with open_room() as room:
        room.provider.plans.append(Reply(hang=True))
        one = await room.session.create_response()
        two = await room.session.create_response()
        await asyncio.sleep(1)
        room.provider.drop(1001, "gone for lunch")
        outcomes = await asyncio.gather(one.outcome(), two.outcome())
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.LOST}
        status = room.heard(RealtimeModelConnectionStatusEvent)[-1]
        assert status.status == "disconnected"
        assert "lunch" in status.reason
        late = await room.session.create_response()
        assert (await late.outcome()).kind is OutcomeKind.LOST
        assert await room.session.interrupt() is None
        with pytest.raises(ProviderError):
            await room.session.update(instructions="x")


@virtual
async def test_close_leaves_no_handle_hanging_and_sends_nothing_more() -> None:
    async with open_room(close=False) as room:
        room.provider.plans.append(Reply(hang=True, calls=[("c1", "look", "{}"), ("c2", "look", "{}")]))
        first = await room.session.create_response()
        await asyncio.sleep(1)
        tool = room.session.send_tool_output("c1", "1")
        queued = await room.session.create_response()
        waiting = asyncio.ensure_future(queued.outcome())
        await settle()
        sent = len(room.transport.frames)
        await room.session.close("bye")
        assert tool is not None
        for handle in (first, queued, tool):
            assert (await handle.outcome()).kind is OutcomeKind.LOST
        await waiting
        assert len(room.transport.frames) == sent
        told = [event.request_id for event in room.heard(RealtimeModelResponseOutcomeEvent)]
        assert len(told) == len(set(told))
        await room.session.close("again")


@virtual
async def test_withdrawn_before_it_was_sent() -> None:
    async with open_room() as room:
        one = await room.session.create_response()
        two = await room.session.create_response(instructions="never")
        room.session.withdraw(two.id)
        assert (await two.outcome()).kind is OutcomeKind.WITHDRAWN
        await one.outcome()
        await asyncio.sleep(1)
        assert len(room.provider.creates()) == 1


@virtual
async def test_messages_that_wait_together_are_answered_together() -> None:
    async with open_room() as room:
        one = await room.session.send_message("first")
        two = await room.session.send_message("second")
        three = await room.session.send_message("third")
        assert one is not None
        assert two is not None
        assert three is not None
        assert (await three.outcome()).completed
        assert (await two.outcome()).kind is OutcomeKind.SUPERSEDED
        assert (await one.outcome()).completed
        texts = [
            event["item"]["content"][0]["text"]
            for event in room.provider.received
            if event["type"] == "conversation.item.create"
        ]
        assert texts == ["first", "second", "third"]
        assert len(room.provider.creates()) == 2


@virtual
async def test_a_note_is_context_without_speech() -> None:
    async with open_room() as room:
        room.session.note("The caller is a customer since 2019.")
        await asyncio.sleep(1)
        assert room.wire() == ["conversation.item.create"]
        assert room.provider.received[-1]["item"]["role"] == "system"


@virtual
async def test_one_follow_up_after_all_tool_outputs() -> None:
    async with open_room() as room:
        room.provider.plans.append(
            Reply(audio_ms=0, calls=[("c1", "weather", '{"city":"Bonn"}'), ("c2", "time", "{}")])
        )
        first = await room.session.create_response()
        await first.outcome()
        calls = room.heard(RealtimeModelToolCallEvent)
        assert [(call.call_id, call.name, call.arguments) for call in calls] == [
            ("c1", "weather", '{"city":"Bonn"}'),
            ("c2", "time", "{}"),
        ]
        one = room.session.send_tool_output("c1", "rain")
        await asyncio.sleep(3)
        assert len(room.provider.creates()) == 1
        two = room.session.send_tool_output("c2", "noon")
        assert one is two
        assert one is not None
        assert (await one.outcome()).completed
        assert len(room.provider.creates()) == 2
        assert room.wire() == [
            "response.create",
            "conversation.item.create",
            "conversation.item.create",
            "response.create",
        ]


@virtual
async def test_a_refused_tool_output_asks_for_no_follow_up() -> None:
    async with open_room() as room:
        room.provider.plans.append(Reply(audio_ms=0, calls=[("c1", "weather", "{}")]))
        await (await room.session.create_response()).outcome()
        room.provider.faults.refuse_items = 1
        handle = room.session.send_tool_output("c1", "rain")
        assert handle is not None
        assert (await handle.outcome()).kind is OutcomeKind.REJECTED
        assert len(room.provider.creates()) == 1


@virtual
async def test_update_waits_for_the_providers_word() -> None:
    async with open_room(config=RealtimeSessionConfig(instructions="Be brief.")) as room:
        assert room.session.compose("Say hi.") == "Be brief.\n\nSay hi."
        assert room.session.compose("Say hi.", "replace") == "Say hi."
        await room.session.update(instructions="Be long.", voice="verse", turn_detection=None)
        assert room.session.standing_instructions == "Be long."
        session = room.provider.received[-1]["session"]
        assert session == {
            "type": "realtime",
            "instructions": "Be long.",
            "audio": {"input": {"turn_detection": None}, "output": {"voice": "verse"}},
        }
        room.provider.faults.refuse_session = "invalid_value"
        with pytest.raises(ProviderError) as refused:
            await room.session.update(voice="nobody")
        assert refused.value.code == "invalid_value"
        room.provider.faults.refuse_session = None
        room.provider.faults.silent_session = True
        with pytest.raises(ProviderError) as refused:
            await room.session.update(voice="verse")
        assert refused.value.code == "update_timeout"
        with pytest.raises(RequestRefused):
            await room.session.update(input_audio_format="audio/pcm")


@virtual
async def test_a_create_can_wait_for_an_update() -> None:
    async with open_room() as room:
        event_id = room.session.post_update(instructions="New.")
        handle = room.session.submit(ResponseRequest(id="a", needs=frozenset({event_id})))
        await settle()
        assert room.provider.creates() == []
        assert (await handle.outcome()).completed
        room.provider.faults.refuse_session = "invalid_value"
        event_id = room.session.post_update(instructions="Bad.")
        handle = room.session.submit(ResponseRequest(id="b", needs=frozenset({event_id})))
        assert (await handle.outcome()).kind is OutcomeKind.REJECTED


@virtual
async def test_raw_creates_and_cancels_pass_through_the_sequencer() -> None:
    async with open_room() as room:
        first = await room.session.create_response()
        await asyncio.sleep(0.05)
        raw = {"type": "response.create", "other_data": {"response": {"instructions": "x", "tools": []}}}
        room.model.send(RealtimeModelSendRawMessage(raw))
        await asyncio.sleep(0.01)
        assert len(room.provider.creates()) == 1
        await first.outcome()
        await asyncio.sleep(0.1)
        assert room.provider.creates()[1]["response"] == {"instructions": "x", "tools": []}
        room.model.send(RealtimeModelSendRawMessage({"type": "response.cancel"}))
        await eventually(lambda: "response.cancel" in room.wire())
        assert room.provider.received[-1]["response_id"]
        room.model.send(RealtimeModelSendRawMessage({"type": "response.cancel", "response_id": "resp_nope"}))
        await settle()
        assert "cancel_of_nothing" in [notice.code for notice in room.heard(RealtimeModelNoticeEvent)]
        room.model.send(RealtimeModelSendRawMessage({"type": "input_audio_buffer.clear"}))
        await asyncio.sleep(0.1)
        assert room.wire()[-1] == "input_audio_buffer.clear"
        with pytest.raises(RequestRefused):
            room.model.send(
                RealtimeModelSendRawMessage({"type": "response.create", "response": {"metadata": {"a": 1}}})
            )
        with pytest.raises(RequestRefused):
            room.model.send(RealtimeModelSendRawMessage({}))


@virtual
async def test_the_typed_create_event_is_the_same_verb() -> None:
    async with open_room() as room:
        await room.model.send_event(RealtimeModelSendResponseCreate())
        await room.model.send_event(RealtimeModelSendResponseCreate(instructions="Hi.", metadata={"a": "b"}))
        await asyncio.sleep(5)
        one, two = room.provider.creates()
        assert "response" not in one
        assert two["response"] == {"instructions": "Hi.", "metadata": {"a": "b"}}
        with pytest.raises(RequestRefused):
            await room.model.send_event(
                RealtimeModelSendResponseCreate(instructions="x", request=ResponseRequest(id="q"))
            )


@virtual
async def test_audio_goes_out_in_40_ms_and_in_20_into_a_response() -> None:
    async with open_room() as room:
        frame = b"\x20" * 160
        for _ in range(5):
            room.session.send_audio(frame)
        await asyncio.sleep(0.1)
        assert room.provider.appends == [320, 320]
        handle = await room.session.create_response()
        await asyncio.sleep(0.08)
        for _ in range(2):
            room.session.send_audio(frame)
        await asyncio.sleep(0.1)
        assert room.provider.appends == [320, 320, 320, 160]
        await handle.outcome()
        room.session.send_audio(frame)
        room.session.commit_audio()
        await asyncio.sleep(0.1)
        assert room.provider.appends == [320, 320, 320, 160, 160]
        assert room.wire()[-1] == "input_audio_buffer.commit"


@virtual
async def test_events_can_be_iterated_until_the_end() -> None:
    async with open_room(close=False) as room:
        stream = room.session.events()
        handle = await room.session.create_response()
        await handle.outcome()
        await room.session.close()
        kinds = [type(event) async for event in stream]
        assert RealtimeModelTurnStartedEvent in kinds
        assert RealtimeModelTurnEndedEvent in kinds
        assert kinds[-1] is RealtimeModelConnectionStatusEvent
        assert [event async for event in room.session.events()] == []


@virtual
async def test_a_slow_reader_loses_the_oldest_events() -> None:
    async with open_room(close=False) as room:
        stream = room.session.events(limit=3)
        await (await room.session.create_response()).outcome()
        await room.session.close()
        assert len([event async for event in stream]) == 3
        assert stream.dropped > 0


@virtual
async def test_a_failing_listener_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with open_room() as room:

        def fail(_event: object) -> None:
            raise RuntimeError("listener is broken")

        remove = room.session.add_listener(fail)
        assert (await (await room.session.create_response()).outcome()).completed
        assert "a listener failed" in caplog.text
        remove()
        caplog.clear()
        assert (await (await room.session.create_response()).outcome()).completed
        assert not caplog.text


@virtual
async def test_the_snapshot_is_plain_json() -> None:
    async with open_room() as room:
        handle = await room.session.create_response()
        await asyncio.sleep(0.1)
        shown = json.loads(json.dumps(room.session.snapshot()))
        assert shown["requests"] == {handle.id: "audible"}
        assert shown["model"]["sequencer"]["slot"]["state"] == "active"


@virtual
async def test_a_second_output_of_the_same_call_is_not_sent() -> None:
    async with open_room() as room:
        room.provider.plans.append(Reply(audio_ms=0, calls=[("c1", "weather", "{}")]))
        await (await room.session.create_response()).outcome()
        one = room.session.send_tool_output("c1", "rain")
        assert room.session.send_tool_output("c1", "sun") is one
        assert one is not None
        await one.outcome()
        assert room.wire().count("conversation.item.create") == 1
        assert len(room.provider.creates()) == 2


@virtual
async def test_a_follow_up_can_be_withdrawn_before_its_outputs_are_there() -> None:
    async with open_room() as room:
        room.provider.plans.append(Reply(audio_ms=0, calls=[("c1", "a", "{}"), ("c2", "b", "{}")]))
        await (await room.session.create_response()).outcome()
        handle = room.session.send_tool_output("c1", "1")
        assert handle is not None
        room.session.withdraw(handle.id)
        assert (await handle.outcome()).kind is OutcomeKind.WITHDRAWN
        room.session.send_tool_output("c2", "2", start_response=False)
        await asyncio.sleep(3)
        assert len(room.provider.creates()) == 1


@virtual
async def test_a_failing_watcher_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with open_room() as room:
        seen: list[str] = []
        handle = await room.session.create_response()
        handle.on_change(lambda _each: seen[7])
        handle.on_change(lambda each: seen.append(each.state))
        assert (await handle.outcome()).completed
        assert seen[-1] == "completed"
        assert "a watcher" in caplog.text


@virtual
async def test_a_frame_that_breaks_us_does_not_break_the_link(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_room() as room:
        conversation = type(room.model.link.conversation)
        with monkeypatch.context() as broken:
            broken.setattr(conversation, "caller_said", lambda *_: 1 / 0)
            room.provider.transcribed("item_1", "boom")
            await asyncio.sleep(0.1)
        assert "could not be taken" in caplog.text
        assert (await (await room.session.create_response()).outcome()).completed
