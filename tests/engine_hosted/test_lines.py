"""Lines that are not the plain case: other laws, hold, late offers, lost media, sockets that are cut."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.engine.protocol_client import GUARD_S, check_frame, voice
from tests.engine_hosted.kit import hosting
from tests.kit.raw_sip import OFFER, RawSip, raw_sip
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.fakes import CannedRecogniser, FakeParts, ToneVoice
from voiceagent.phone.phone import Phone
from voiceagent.sip.syntax.message import Response

pytestmark = pytest.mark.loopback


async def test_a_law_phone() -> None:
    async with hosting(phone=Phone(codecs=("PCMA",))) as host, host.talking() as (call, client, _):
        assert client.log[0]["session"]["audio"]["output"]["format"] == {"type": "audio/pcma"}
        await client.send("response.create", response={"instructions": 'Say: "Hello."'})
        await call.until_speaking()
        await client.until("output_audio_buffer.stopped")


async def test_on_hold_nothing_sounds_and_afterwards_it_goes_on() -> None:
    deaf = {"input": {"turn_detection": None}}
    async with hosting() as host, host.talking(audio=deaf) as (call, client, _):
        long = "Once upon a time there was a phone that nobody answered, and it rang and rang."
        await client.send("response.create", response={"instructions": f'Say: "{long}"'})
        await client.until("output_audio_buffer.started")
        await call.until_speaking()
        call.hold(True)
        if "response.done" not in client.kinds():
            await client.until("response.done")
        await call.play(voice(2800))  # longer than the sentence would take
        await client.settle()
        assert "output_audio_buffer.stopped" not in client.kinds()
        call.hold(False)
        await client.until("output_audio_buffer.stopped")


async def test_what_the_caller_says_before_anybody_attached_is_not_lost_to_the_conversation() -> None:
    parts = FakeParts(
        recogniser=CannedRecogniser(["billing please"]), voice=ToneVoice(ms_per_character=100.0)
    )
    audio = {
        "input": {
            "transcription": {"model": "embedded"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300, "create_response": True},
        }
    }
    async with hosting(parts=parts) as host:
        call, call_id = await host.offered()
        await host.accept(call_id, audio=audio)
        await call.answered()
        await call.play(voice(500))
        await call.until_speaking()  # the answer to it
        async with host.control(call_id, ordered=False) as client:
            await client.until("output_audio_buffer.stopped")


async def test_a_phone_that_goes_silent_is_hung_up() -> None:
    async with hosting(media_timeout_s=0.5) as host, raw_sip(host.engine.sip) as raw:
        data, branch = raw.request("INVITE", body=OFFER)
        raw.send(data)
        hook = await host.receiver.next()
        await host.accept(hook.call_id)
        answer = await raw.final(branch)
        acknowledge(raw, answer)
        assert await in_dialog(raw, "BYE")
        while (await host.post(hook.call_id, "hangup")).status_code != 404:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_an_invite_without_an_offer() -> None:
    async with hosting() as host, raw_sip(host.engine.sip) as raw:
        data, branch = raw.request("INVITE")
        raw.send(data)
        hook = await host.receiver.next()
        await host.accept(hook.call_id)
        answer = await raw.final(branch)
        assert b"m=audio" in answer.body
        async with host.control(hook.call_id) as client:
            acknowledge(raw, answer, OFFER)
            await client.send("response.create", response={"instructions": 'Say: "Hello."'})
            await client.until("output_audio_buffer.stopped")


async def test_an_answer_that_never_comes_ends_the_call() -> None:
    async with hosting() as host, raw_sip(host.engine.sip) as raw:
        data, branch = raw.request("INVITE")
        raw.send(data)
        hook = await host.receiver.next()
        await host.accept(hook.call_id)
        acknowledge(raw, await raw.final(branch))
        assert await in_dialog(raw, "BYE")


def acknowledge(raw: RawSip, answer: Response, body: str = "") -> None:
    """Send the ACK of a 2xx."""
    host, port = raw.local[:2]
    lines = [
        f"ACK sip:100@{raw.target[0]}:{raw.target[1]} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bKack{port}",
        "Max-Forwards: 70",
        *(f"{name}: {answer.headers.get(name)}" for name in ("From", "To", "Call-ID")),
        "CSeq: 1 ACK",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    raw.send("\r\n".join([*lines, "", body]).encode())


async def in_dialog(raw: RawSip, method: str) -> bool:
    """Wait for a request of the far end."""
    async with asyncio.timeout(GUARD_S):
        while not any(request.method == method for request in raw.requests):
            raw._news.clear()
            await raw._news.wait()
    return True


@pytest.mark.parametrize("faults", ["cut after_ms=1500 close=1011", "cut after=9 close=1006"])
async def test_a_cut_control_socket_does_not_end_what_the_caller_hears(faults: str) -> None:
    async with hosting(config=EngineConfig(seed=1, faults=faults)) as host:
        call, call_id = await host.offered()
        await host.accept(call_id)
        await call.answered()
        async with connect(host.control_url(call_id)) as socket:
            words = "Nobody cuts me off, not while I speak, and I speak for longer than a socket lasts. " * 2
            say = f'Say: "{words}"'
            create = {"type": "response.create", "response": {"instructions": say}}
            await socket.send(json.dumps(create))
            log: list[dict[str, Any]] = []
            with pytest.raises(ConnectionClosed):
                while True:
                    log.append(json.loads(await socket.recv()))
            for event in log:
                check_frame(event)
        async with host.control(call_id, ordered=False) as client:
            await client.until("output_audio_buffer.stopped")
            await client.send("response.create", response={"instructions": 'Say: "See?"'})
            await client.until("output_audio_buffer.stopped")
        assert not call.ended.done()


async def test_one_socket_too_many() -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        await host.accept(call_id)
        await call.answered()
        sockets = [await connect(host.control_url(call_id)) for _ in range(8)]
        with pytest.raises(Exception, match="429"):
            await connect(host.control_url(call_id))
        for socket in sockets:
            await socket.close()
