"""The vendor's own SDK takes calls of the embedded provider: webhook, REST and control socket."""

from __future__ import annotations

import pytest
from openai import APIStatusError, AsyncOpenAI, AuthenticationError, NotFoundError

from tests.engine_hosted.kit import Host, hosting
from voiceagent.engine.config import EngineConfig
from voiceagent.phone.phone import Phone

pytestmark = pytest.mark.loopback


def vendor(host: Host, key: str = "secret") -> AsyncOpenAI:
    base = str(host.rest.base_url).rstrip("/") + "/v1"
    return AsyncOpenAI(
        api_key=key,
        base_url=base,
        websocket_base_url=base.replace("http", "ws"),
        webhook_secret=host.secret,
        max_retries=0,
    )


async def test_the_vendors_sdk_takes_a_call() -> None:
    config = EngineConfig(seed=1, api_key="secret")
    async with hosting(config=config, phone=Phone(transfer_status=200)) as host, vendor(host) as client:
        call = host.phone.dial(host.sip)
        hook = await host.receiver.next()
        event = client.webhooks.unwrap(hook.body, dict(hook.headers))
        assert event.type == "realtime.call.incoming"
        call_id = event.data.call_id
        await client.realtime.calls.accept(
            call_id,
            type="realtime",
            model="gpt-realtime",
            instructions="Be brief.",
            audio={"output": {"voice": "marin"}, "input": {"turn_detection": None}},
        )
        await call.answered()
        async with client.realtime.connect(call_id=call_id) as link:
            assert (await link.recv()).type == "session.created"
            await link.response.create(response={"instructions": 'Say: "Hello there."'})
            kinds: list[str] = []
            while kinds[-1:] != ["output_audio_buffer.stopped"]:
                kinds.append((await link.recv()).type)
            assert "output_audio_buffer.started" in kinds
            await link.output_audio_buffer.clear()
        await client.realtime.calls.refer(call_id, target_uri="tel:+14155550123")
        await call.over()
        with pytest.raises(NotFoundError):
            await client.realtime.calls.hangup(call_id)


async def test_the_vendors_sdk_rejects_and_is_refused() -> None:
    config = EngineConfig(seed=1, api_key="secret")
    async with hosting(config=config) as host, vendor(host) as client, vendor(host, "forged") as forger:
        call, call_id = await host.offered()
        with pytest.raises(AuthenticationError):
            await forger.realtime.calls.reject(call_id)
        with pytest.raises(APIStatusError) as refused:
            await client.realtime.calls.accept(call_id, type="transcription")  # type: ignore[arg-type]
        assert (refused.value.status_code, refused.value.code, refused.value.param) == (
            400,
            "invalid_value",
            "type",
        )
        await client.realtime.calls.reject(call_id, status_code=486)
        assert (await call.over()).status == 486
