"""The link under faults: refusals, lost events, late answers, bad frames. In memory, on the virtual clock."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply, ScriptedProvider
from tests.kit.virtual_loop import settle, virtual
from tests.realtime.kit import Ear, open_room
from tests.realtime.oracle import check_client_event, check_server_event
from voiceagent.errors import ProviderError
from voiceagent.realtime import model_events as me
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Origin, OutcomeKind, ResponseRequest
from voiceagent.realtime.sequencer_io import SendCreate, Submitted

PLAYOUT = RealtimeSessionConfig(playout=True)
AUTOMATIC = RealtimeSessionConfig(turn_detection={"type": "server_vad"}, playout=True)


# ── set-up ──────────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_set_up_is_one_session_update() -> None:
    async with open_room(config=RealtimeSessionConfig(instructions="Be brief.")) as room:
        (update,) = room.provider.received
        assert update["type"] == "session.update"
        assert update["session"]["instructions"] == "Be brief."
        statuses = [event.status for event in room.heard(me.RealtimeModelConnectionStatusEvent)]
        assert statuses == ["connecting", "connected"]


@pytest.mark.parametrize("code", ["invalid_value", "insufficient_quota"])
@virtual
async def test_a_refused_session_is_an_error_with_the_providers_code(code: str) -> None:
    server = ScriptedProvider()
    server.faults.refuse_session = code
    with pytest.raises(ProviderError) as refused:
        async with open_room(provider=server):
            pass
    assert refused.value.code == code


@virtual
async def test_a_silent_provider_times_out() -> None:
    server = ScriptedProvider()
    server.faults.silent_session = True
    with pytest.raises(ProviderError) as refused:
        async with open_room(provider=server, open_timeout_s=3):
            pass
    assert refused.value.code == "session_timeout"


@virtual
async def test_a_provider_that_insists_on_another_format_is_refused() -> None:
    server = ScriptedProvider()

    def stubborn(event: dict[str, Any]) -> None:
        if event["type"] == "session.update":
            del event["session"]["audio"]["output"]["format"]

    server.on_client_event = stubborn
    with pytest.raises(ProviderError) as refused:
        async with open_room(provider=server):
            pass
    assert refused.value.code == "audio_format"


@virtual
async def test_fields_that_the_provider_does_not_know_are_taken_out() -> None:
    server = ScriptedProvider()

    def picky(event: dict[str, Any]) -> None:
        turns = event.get("session", {}).get("audio", {}).get("input", {}).get("turn_detection")
        if turns and "threshold" in turns:
            server.faults.silent_session = True
            path = "session.audio.input.turn_detection.threshold"
            server.error("unknown_parameter", "what?", event_id=event["event_id"], param=path)
        else:
            server.faults.silent_session = False

    server.on_client_event = picky
    turns = {"type": "server_vad", "threshold": 0.4, "create_response": False}
    async with open_room(provider=server, config=RealtimeSessionConfig(turn_detection=turns)) as room:
        assert [event["type"] for event in server.received] == ["session.update", "session.update"]
        assert room.heard(me.RealtimeModelNoticeEvent)[0].code == "config_field_dropped"


@virtual
async def test_a_link_lost_during_set_up_is_an_error() -> None:
    server = ScriptedProvider()
    server.on_client_event = lambda _event: server.drop(1011, "internal")
    with pytest.raises(ProviderError) as refused:
        async with open_room(provider=server):
            pass
    assert refused.value.code == "link_lost"


# ── refusals and lost events ────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("named", [True, False])
@virtual
async def test_a_refused_create_is_sent_again_after_the_one_that_runs(named: bool) -> None:
    async with open_room() as room:
        room.provider.faults.refuse_creates.append(("conversation_already_has_active_response", named))
        handle = room.session.submit(ResponseRequest(id="a"))
        await asyncio.sleep(0.03)
        room.provider.respond(reply=Reply(audio_ms=200))
        assert (await handle.outcome()).completed
        assert len(room.provider.creates()) == 2
        tries = [event["response"]["metadata"]["va.try"] for event in room.provider.creates()]
        assert tries == ["1", "2"]


@virtual
async def test_other_errors_reject_the_request_they_name() -> None:
    async with open_room() as room:
        room.provider.faults.refuse_creates.append(("invalid_value", True))
        one = await room.session.create_response(instructions="bad")
        two = await room.session.create_response(instructions="good")
        first = await one.outcome()
        assert (first.kind, first.code) == (OutcomeKind.REJECTED, "invalid_value")
        assert (await two.outcome()).completed


@virtual
async def test_a_swallowed_create_is_probed_and_sent_again() -> None:
    async with open_room() as room:
        room.provider.faults.swallow_creates = 1
        handle = room.session.submit(ResponseRequest(id="a"))
        assert (await handle.outcome()).completed
        assert room.wire() == ["response.create", "response.cancel", "response.create"]
        assert "response_id" not in room.provider.received[2]


@virtual
async def test_a_lost_created_does_no_harm() -> None:
    async with open_room() as room:
        room.provider.faults.drop_events["response.created"] = 1
        assert (await room.session.submit(ResponseRequest(id="a")).outcome()).completed
        assert (await room.session.submit(ResponseRequest(id="b")).outcome()).completed
        assert len(room.provider.creates()) == 2


@virtual
async def test_a_lost_done_is_noticed() -> None:
    async with open_room() as room:
        room.provider.faults.drop_events["response.done"] = 1
        one = room.session.submit(ResponseRequest(id="a"))
        two = room.session.submit(ResponseRequest(id="b"))
        await asyncio.wait_for(one.outcome(), 120)
        assert (await asyncio.wait_for(two.outcome(), 120)).completed


@virtual
async def test_a_failed_response_is_retried_and_then_told() -> None:
    async with open_room() as room:
        for _ in range(2):
            room.provider.plans.append(Reply(audio_ms=0, status="failed", error_code="rate_limit_exceeded"))
        outcome = await room.session.submit(ResponseRequest(id="a")).outcome()
        assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "rate_limit_exceeded")
        assert len(room.provider.creates()) == 2


# ── the caller ──────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_nothing_is_sent_while_the_caller_speaks() -> None:
    async with open_room() as room:
        item = room.provider.speech_started()
        await asyncio.sleep(0.1)
        handle = room.session.submit(ResponseRequest(id="a"))
        await asyncio.sleep(2)
        assert room.wire() == []
        room.provider.speech_stopped(item)
        assert (await handle.outcome()).completed


@virtual
async def test_an_automatic_reply_goes_first() -> None:
    async with open_room(config=AUTOMATIC) as room:
        Ear(room)
        item = room.provider.speech_started()
        await asyncio.sleep(0.1)
        handle = room.session.submit(ResponseRequest(id="a", barge_policy=BargePolicy.REQUEUE))
        await asyncio.sleep(0.5)
        room.provider.speech_stopped(item)
        assert (await handle.outcome()).completed
        started = room.heard(me.RealtimeModelTurnStartedEvent)
        assert [event.request_id for event in started] == [None, "a"]
        assert not [event for event in room.provider.sent if event["type"] == "error"]


@virtual
async def test_speech_meets_a_reply_that_was_just_asked_for() -> None:
    async with open_room(provider=ScriptedProvider(latency_s=0.1)) as room:
        handle = room.session.submit(ResponseRequest(id="a", origin=Origin.OPERATOR))
        item = room.provider.speech_started()
        await asyncio.sleep(1.0)
        room.provider.speech_stopped(item)
        assert (await handle.outcome()).completed
        played = [event.response_id for event in room.heard(me.RealtimeModelAudioEvent)]
        assert set(played) == {handle.response_id}
        assert room.wire().count("response.create") == 2


@virtual
async def test_digits_end_prompts_that_may_be_dropped() -> None:
    async with open_room(config=PLAYOUT) as room:
        Ear(room)
        room.provider.plans.append(Reply(audio_ms=8000))
        request = ResponseRequest(id="menu", origin=Origin.IVR, barge_policy=BargePolicy.DROP)
        handle = room.session.submit(request)
        await asyncio.sleep(1)
        room.session.digit("1")
        outcome = await handle.outcome()
        assert outcome.interrupted
        assert outcome.by is InterruptedBy.CALLER
        assert 0 < outcome.heard_ms < 1000


@virtual
async def test_a_held_call_stays_silent() -> None:
    async with open_room() as room:
        room.session.pause()
        handle = room.session.submit(ResponseRequest(id="a"))
        await asyncio.sleep(5)
        assert room.provider.creates() == []
        room.session.pause(False)
        assert (await handle.outcome()).completed


@virtual
async def test_what_was_said_is_kept() -> None:
    async with open_room() as room:
        item = room.provider.speech_started(120)
        room.provider.speech_stopped(item, 900)
        room.provider.transcribed(item, "opening hours please")
        await asyncio.sleep(0.1)
        (said,) = room.heard(me.RealtimeModelInputAudioTranscriptionCompletedEvent)
        assert said.transcript == "opening hours please"
        assert room.heard(me.RealtimeModelInputSpeechStartedEvent)[0].audio_ms == 120
        assert room.heard(me.RealtimeModelInputSpeechStoppedEvent)[0].audio_ms == 900
        assert room.heard(me.RealtimeModelInputCommittedEvent)[0].item_id == item
        shown = room.model.snapshot()["conversation"]["items"]
        assert [(each["role"], each["text"]) for each in shown] == [("user", "opening hours please")]


# ── out of band ─────────────────────────────────────────────────────────────────────────────────
@virtual
async def test_out_of_band_replies_run_beside_the_conversation() -> None:
    async with open_room() as room:
        room.provider.plans.append(Reply(audio_ms=3000, gap_s=0.2))
        room.provider.plans.append(Reply(audio_ms=200))
        one = room.session.submit(ResponseRequest(id="a"))
        await asyncio.sleep(0.2)
        side = room.session.submit(ResponseRequest(id="x", out_of_band=True))
        await asyncio.sleep(0.2)
        assert room.provider.creates()[1]["response"]["conversation"] == "none"
        assert (await side.outcome()).completed
        assert not one.done
        assert (await one.outcome()).completed
        assert [event.out_of_band for event in room.heard(me.RealtimeModelTurnStartedEvent)] == [False, True]


# ── frames that are wrong ───────────────────────────────────────────────────────────────────────
@virtual
async def test_frames_that_are_no_events_are_noted_and_survived() -> None:
    async with open_room() as room:
        for text in ("", "nonsense", "[]", '{"type":"response.created"}', '{"type":"brand.new"}'):
            room.provider.emit_text(text)
        await asyncio.sleep(0.1)
        assert room.model.link.inbound.bad_frames == 4
        assert room.model.snapshot()["unknown_events"] == {"brand.new": 1}
        raw = room.heard(me.RealtimeModelRawServerEvent)[-1]
        assert raw.type == "brand.new"
        assert (await (await room.session.create_response()).outcome()).completed


@virtual
async def test_a_frame_past_the_limit_ends_the_link() -> None:
    async with open_room(max_frame_bytes=4096) as room:
        handle = room.session.submit(ResponseRequest(id="a", instructions="x"))
        room.provider.emit("rate_limits.updated", filler="x" * 5000)
        assert (await handle.outcome()).kind is OutcomeKind.LOST
        await settle()
        assert room.transport.close_code == 1009
        assert room.heard(me.RealtimeModelErrorEvent)[-1].code == "frame_too_large"
        assert room.session.closed


@virtual
async def test_a_sample_split_over_two_deltas_is_made_whole() -> None:
    config = RealtimeSessionConfig(input_audio_format="audio/pcm", output_audio_format="audio/pcm")
    async with open_room(config=config) as room:
        place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        for part in (b"\x01\x02\x03", b"\x04\x05\x06", b"\x07\x08"):
            room.provider.emit("response.output_audio.delta", **place, delta=base64.b64encode(part).decode())
        await asyncio.sleep(0.1)
        data = [event.data for event in room.heard(me.RealtimeModelAudioEvent)]
        assert data == [b"\x01\x02", b"\x03\x04\x05\x06", b"\x07\x08"]


# ── order, trace, keep-alive ────────────────────────────────────────────────────────────────────
@virtual
async def test_a_request_made_inside_an_outcome_is_sent_in_the_same_turn() -> None:
    async with open_room() as room:
        first = await room.session.create_response()
        sent: list[int] = []

        def again(handle: object) -> None:
            if first.done and not sent:
                room.session.submit(ResponseRequest(id="next"))
                sent.append(len(room.transport.frames))

        first.on_change(again)
        await first.outcome()
        assert len(room.transport.frames) >= sent[0]
        await settle()
        following = room.session.handle("next")
        assert following is not None
        assert (await following.outcome()).completed


@virtual
async def test_the_trace_sees_events_and_effects_in_order() -> None:
    seen: list[tuple[object, float]] = []
    async with open_room(trace=lambda what, now: seen.append((what, now))) as room:
        seen.clear()
        room.session.submit(ResponseRequest(id="a"))
        kinds = [type(what) for what, _ in seen]
        assert kinds[0] is Submitted
        assert SendCreate in kinds
        times = [now for _, now in seen]
        assert times == sorted(times)


@virtual
async def test_a_long_slow_reply_is_not_taken_for_dead() -> None:
    async with open_room() as room:
        room.provider.plans.append(Reply(audio_ms=40_000, gap_s=0.4))
        outcome = await room.session.submit(ResponseRequest(id="a")).outcome()
        assert outcome.completed
        assert "response.cancel" not in room.wire()


@virtual
async def test_the_end_of_the_session_is_announced() -> None:
    import time

    async with open_room(provider=ScriptedProvider(expires_at=time.time() + 100)) as room:
        await asyncio.sleep(100)
        codes = [notice.code for notice in room.heard(me.RealtimeModelNoticeEvent)]
        assert any("expir" in code for code in codes), codes


@virtual
async def test_every_frame_of_a_busy_call_is_the_vendors() -> None:
    async with open_room(config=PLAYOUT) as room:
        Ear(room)
        room.provider.plans.append(Reply(audio_ms=3000, calls=[("c1", "look", "{}")]))
        one = room.session.submit(ResponseRequest(id="a", instructions="x", metadata={"k": "v"}))
        await asyncio.sleep(1)
        item = room.provider.speech_started()
        await asyncio.sleep(0.5)
        room.provider.speech_stopped(item)
        room.provider.transcribed(item, "hello")
        await one.outcome()
        await room.session.send_message("typed")
        room.session.note("n")
        await room.session.update(instructions="y")
        room.session.send_tool_output("c9", "unknown")
        await asyncio.sleep(0.3)
        await room.session.interrupt()
        await asyncio.sleep(5)
        for frame in room.transport.frames:
            check_client_event(json.loads(frame))
        types = set(room.provider.types())
        assert {"response.create", "response.cancel", "conversation.item.truncate", "session.update"} <= types
        for event in room.provider.sent:
            check_server_event(event)
