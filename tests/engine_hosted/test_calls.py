"""Calls from the INVITE to the BYE, as the application and the caller see them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.engine.protocol_client import voice
from tests.engine_hosted.kit import SESSION, hosting
from voiceagent.engine.config import EngineConfig
from voiceagent.errors import SipError
from voiceagent.phone.phone import Phone

pytestmark = pytest.mark.loopback


async def test_offered_accepted_spoken_heard_and_hung_up() -> None:
    async with hosting() as host:
        call = host.phone.dial(host.sip)
        hook = await host.receiver.next()
        event = host.verified(hook)
        assert event.type == "realtime.call.incoming"
        assert event.object == "event"
        names = [header.name for header in event.data.sip_headers]
        assert {"From", "To", "Call-ID", "Contact", "CSeq"} <= set(names)
        assert hook.headers["webhook-id"] == event.id
        await host.accept(event.data.call_id)
        await call.answered()
        async with host.control(event.data.call_id) as client:
            session = client.log[0]["session"]
            assert session["instructions"] == "Be brief."
            assert session["model"] == "test-model"
            assert session["audio"]["output"]["voice"] == "cedar"
            assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
            await client.send("response.create", response={"instructions": 'Say: "Hello caller."'})
            started = await client.until("output_audio_buffer.started")
            await call.until_speaking()
            stopped = await client.until("output_audio_buffer.stopped")
            done = next(event for event in client.log if event["type"] == "response.done")
            assert done["response"]["status"] == "completed"
            assert started["response_id"] == stopped["response_id"] == done["response"]["id"]
            kinds = client.kinds()
            assert kinds.index("response.content_part.added") < kinds.index("output_audio_buffer.started")
            assert "response.output_audio.delta" not in kinds
            answer = await host.post(event.data.call_id, "hangup")
            assert (answer.status_code, answer.content) == (200, b"")
            assert (await call.over()).by == "peer"
            with pytest.raises(ConnectionClosed):
                while True:
                    await client.read()
        assert (await host.post(event.data.call_id, "hangup")).status_code == 404


async def test_rejected() -> None:
    async with hosting() as host:
        for body, status in (({"status_code": 486}, 486), ({}, 603), (None, 603)):
            call, call_id = await host.offered()
            assert (await host.post(call_id, "reject", body)).status_code == 200
            with pytest.raises(SipError) as refused:
                await call.answered()
            assert refused.value.status == status
            assert (await host.post(call_id, "accept", SESSION)).status_code == 404


async def test_referred_with_success_ends_the_call() -> None:
    async with hosting(phone=Phone(transfer_status=200)) as host, host.talking() as (call, _, call_id):
        answer = await host.post(call_id, "refer", {"target_uri": "tel:+14155550123"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert (await call.over()).by == "peer"


async def test_a_refused_transfer_leaves_the_call_and_may_be_tried_again() -> None:
    async with hosting(phone=Phone(transfer_status=503)) as host, host.talking() as (call, client, call_id):
        for _ in range(3):
            answer = await host.post(call_id, "refer", {"target_uri": "sip:desk@127.0.0.1"})
            while answer.status_code == 409:  # the NOTIFY of the one before is on its way
                await asyncio.sleep(0)
                answer = await host.post(call_id, "refer", {"target_uri": "sip:desk@127.0.0.1"})
            assert answer.status_code == 200
        await client.send("response.create", response={"instructions": 'Say: "Still here."'})
        await client.until("output_audio_buffer.stopped")
        assert not call.ended.done()


async def test_barge_in_truncates_to_what_was_heard() -> None:
    async with hosting() as host, host.talking() as (call, client, _):
        words = "This is a long sentence which nobody will ever hear to its end. " * 10
        await client.send("response.create", response={"instructions": f'Say: "{words}"'})
        await client.until("output_audio_buffer.started")
        await call.until_speaking()
        asking = asyncio.ensure_future(call.play(voice(600)))
        await client.until("input_audio_buffer.speech_started")
        truncated = await client.until("conversation.item.truncated")
        cleared = await client.until("output_audio_buffer.cleared")
        await client.until("input_audio_buffer.committed")
        await asking
        done = [event for event in client.log if event["type"] == "response.done"]
        assert [event["response"]["id"] for event in done] == [cleared["response_id"]]
        sent_ms = len(words) * 30
        assert 0 < truncated["audio_end_ms"] < sent_ms / 2
        assert truncated["content_index"] == 0
        assert "output_audio_buffer.stopped" not in client.kinds()
        await client.send("conversation.item.retrieve", item_id=truncated["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        assert item["content"][0].get("transcript") is None
        await client.send("response.create", response={"instructions": 'Say: "Go on."'})
        await client.until("output_audio_buffer.stopped")


async def test_stopped_by_hand_with_cancel_and_clear() -> None:
    async with hosting() as host, host.talking() as (_, client, _):
        await client.send("response.create", response={"instructions": f'Say: "{"All of this. " * 30}"'})
        response_id = (await client.until("output_audio_buffer.started"))["response_id"]
        await client.send("response.cancel", response_id=response_id)
        await client.send("output_audio_buffer.clear")
        done = await client.until("response.done")
        assert done["response"]["status_details"]["reason"] == "client_cancelled"
        assert (await client.until("output_audio_buffer.cleared"))["response_id"] == response_id
        assert "conversation.item.truncated" in client.kinds()


async def test_clear_alone_ends_generation_too_and_is_harmless_in_silence() -> None:
    async with hosting() as host, host.talking() as (_, client, _):
        await client.send("output_audio_buffer.clear")
        await client.send("response.create", response={"instructions": f'Say: "{"All of this. " * 30}"'})
        response_id = (await client.until("output_audio_buffer.started"))["response_id"]
        await client.send("output_audio_buffer.clear")
        cleared = await client.until("output_audio_buffer.cleared")
        assert cleared["response_id"] == response_id
        assert "response.done" in client.kinds()
        await client.settle()
        assert client.kinds().count("output_audio_buffer.cleared") == 1


async def test_an_out_of_band_response_is_heard_after_the_one_before() -> None:
    async with hosting() as host, host.talking() as (_, client, _):
        await client.send("response.create", response={"instructions": 'Say: "One two three four."'})
        await client.send(
            "response.create", response={"instructions": 'Say: "Five."', "conversation": "none"}
        )
        first = (await client.until("output_audio_buffer.started"))["response_id"]
        assert (await client.until("output_audio_buffer.stopped"))["response_id"] == first
        second = (await client.until("output_audio_buffer.started"))["response_id"]
        assert (await client.until("output_audio_buffer.stopped"))["response_id"] == second != first


async def test_digits_come_as_events() -> None:
    async with hosting() as host, host.talking() as (call, client, _):
        pressing = asyncio.ensure_future(call.press("12#"))
        digits: list[dict[str, Any]] = [
            await client.until("input_audio_buffer.dtmf_event_received") for _ in "12#"
        ]
        await pressing
        assert "".join(event["event"] for event in digits) == "12#"
        assert all("event_id" not in event and event["received_at"] > 1e9 for event in digits)


async def test_the_callers_words_are_transcribed_and_answered() -> None:
    audio = {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}
    async with hosting() as host, host.talking(audio=audio) as (call, client, _):
        await call.play(voice(500))
        await client.until("input_audio_buffer.committed")
        await client.until("response.created")
        await client.until("response.done")


async def test_append_is_refused_and_the_lines_format_stays() -> None:
    async with hosting() as host, host.talking() as (_, client, _):
        error = await client.refused("input_audio_buffer.append", audio="AAAA")
        assert error["code"] == "invalid_value"
        session = await client.session(
            instructions="Other.", audio={"output": {"format": {"type": "audio/pcm", "rate": 24000}}}
        )
        assert session["instructions"] == "Other."
        assert session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        await client.send(
            "response.create",
            response={
                "instructions": 'Say: "Yes."',
                "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}},
            },
        )
        await client.until("output_audio_buffer.stopped")


async def test_a_control_socket_may_go_and_come_back() -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        await host.accept(call_id)
        await call.answered()
        async with host.control(call_id) as client:
            words = "First of all, this goes on until two others have come to hear its end. " * 2
            await client.send("response.create", response={"instructions": f'Say: "{words}"'})
            await client.until("response.created")
        await call.until_speaking()
        attached = host.control(call_id, ordered=False), host.control(call_id, ordered=False)
        async with attached[0] as one, attached[1] as other:
            for client in (one, other):
                await client.until("output_audio_buffer.stopped")
            await one.send("response.create", response={"instructions": 'Say: "Second."'})
            for client in (one, other):
                await client.until("output_audio_buffer.stopped")
        assert not call.ended.done()
        call.hang_up()


async def test_control_sockets_before_and_after_the_call() -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        assert await handshake(host.control_url(call_id)) == 404
        assert await handshake(host.control_url("rtc_unknown")) == 404
        await host.accept(call_id)
        await call.answered()
        async with host.control(call_id) as client:
            call.hang_up()
            with pytest.raises(ConnectionClosed):
                while True:
                    await client.read()
        assert await handshake(host.control_url(call_id)) == 410


async def handshake(url: str) -> int:
    """Return the status that a WebSocket handshake is refused with."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url):
            pass
    return refused.value.response.status_code


async def test_the_end_may_be_abrupt() -> None:
    async with hosting(end_close=1006) as host, host.talking() as (call, client, call_id):
        await host.post(call_id, "hangup")
        await call.over()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await client.read()
        assert closed.value.rcvd is None


async def test_a_caller_who_gives_up_before_the_answer() -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        call.hang_up()
        await call.over()
        assert (await host.post(call_id, "accept", SESSION)).status_code == 404


async def test_nobody_decides_in_time() -> None:
    async with hosting(ring_s=2.0) as host:
        call, call_id = await host.offered()
        with pytest.raises(SipError) as refused:
            await call.answered()
        assert refused.value.status == 480
        assert (await host.post(call_id, "accept", SESSION)).status_code == 404


async def test_accepted_twice() -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        await host.accept(call_id)
        for verb, body in (("accept", SESSION), ("reject", {})):
            answer = await host.post(call_id, verb, body)
            assert answer.status_code == 409
            assert answer.json()["error"]["code"] == "call_state_conflict"
        await call.answered()


async def test_the_age_of_a_session_ends_the_call() -> None:
    config = EngineConfig(seed=1, session_minutes=0.1)
    async with hosting(config=config) as host, host.talking() as (call, client, _):
        error = await client.until("error")
        assert error["error"]["code"] == "session_expired"
        assert (await call.over()).by == "peer"


async def test_an_engine_that_closes_hangs_up() -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        await host.accept(call_id)
        await call.answered()
        ringing, _ = await host.offered()
        await host.engine.close()
        assert (await call.over()).by == "peer"
        assert (await ringing.over()).status == 480
