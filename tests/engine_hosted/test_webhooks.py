"""The webhook that offers a call: signed, complete, tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from tests.engine_hosted.kit import Host, hosting
from tests.kit.raw_sip import OFFER, RawSip, raw_sip
from voiceagent.engine.config import HostedConfig
from voiceagent.engine.hosted_webhook import WebhookSender, incoming_event, new_webhook_secret
from voiceagent.engine.webhook_signature import signed_headers, webhook_key
from voiceagent.errors import SipError

pytestmark = pytest.mark.loopback


async def test_the_vendors_client_verifies_it_and_only_with_the_right_secret() -> None:
    async with hosting() as host:
        _, call_id = await host.offered()
        host.phone.dial(host.sip)
        hook = await host.receiver.next()
        assert host.verified(hook).data.call_id == hook.call_id != call_id
        stranger = OpenAI(api_key="x", webhook_secret=new_webhook_secret()).webhooks
        with pytest.raises(InvalidWebhookSignatureError):
            stranger.unwrap(hook.body, dict(hook.headers))


def test_the_signature_of_the_specifications_example() -> None:
    key = webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_YWJj"]
)
def test_a_secret_that_is_none_is_told(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        HostedConfig(webhook_secret=secret)


async def test_tried_again_until_taken_redirects_are_failures() -> None:
    async with hosting(answers=[500, 302, 404]) as host:
        call = host.phone.dial(host.sip)
        hooks = [await host.receiver.next() for _ in range(4)]
        assert len({hook.headers["webhook-id"] for hook in hooks}) == 1
        assert len({hook.body for hook in hooks}) == 1
        await host.accept(hooks[0].call_id)
        await call.answered()
        assert host.engine.server.hosted is not None
        assert host.engine.server.hosted.webhooks.attempts == 4


async def test_a_receiver_that_is_not_there_yet() -> None:
    async with hosting() as host:
        url, hosted = host.receiver.url, host.engine.server.hosted
        assert hosted is not None
        host.engine.offer_calls_to("http://127.0.0.1:9/nobody")
        call = host.phone.dial(host.sip)
        while hosted.webhooks.attempts < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        host.engine.offer_calls_to(url)
        await host.accept((await host.receiver.next()).call_id)
        await call.answered()


async def test_every_attempt_has_a_time_of_its_own() -> None:
    times = iter((1000.9, 2000.0))
    sender = WebhookSender(HostedConfig(webhook_secret=new_webhook_secret()), lambda: next(times))
    seen: list[dict[str, str]] = []

    async def post(url: str, *, content: bytes, headers: dict[str, str]) -> Any:
        seen.append(headers)
        return type("Answer", (), {"is_success": len(seen) == 2, "status_code": 500})()

    sender.url = "http://127.0.0.1:9/"
    sender._client.post = post  # type: ignore[assignment,method-assign]
    sender._config = HostedConfig(webhook_secret=new_webhook_secret(), retry_first_s=0)
    await sender.deliver(incoming_event("evt_1", "rtc_1", (), 999), lambda: False)
    await sender.close()
    assert [headers["webhook-timestamp"] for headers in seen] == ["1000", "2000"]
    assert seen[0]["webhook-id"] == seen[1]["webhook-id"] == "evt_1"
    assert seen[0]["webhook-signature"] != seen[1]["webhook-signature"]


async def test_a_call_that_is_over_is_not_offered_again() -> None:
    async with hosting(answers=[503] * 1000) as host:
        call, call_id = await host.offered()
        await host.post(call_id, "reject", {"status_code": 486})
        await call.over()
        hosted = host.engine.server.hosted
        assert hosted is not None
        while len(hosted._nest):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert len(hosted) == 0


async def test_without_an_address_callers_are_refused() -> None:
    async with hosting() as host:
        assert host.engine.server.hosted is not None
        host.engine.server.hosted.webhooks.url = None
        call = host.phone.dial(host.sip)
        with pytest.raises(SipError) as refused:
            await call.answered()
        assert refused.value.status == 480


async def invited(host: Host, raw: RawSip, *headers: str, body: str = OFFER) -> dict[str, Any]:
    data, _ = raw.request("INVITE", body=body, headers=headers)
    raw.send(data)
    hook = await host.receiver.next()
    host.verified(hook)
    return hook.event


async def test_headers_in_order_with_repeats_without_credentials() -> None:
    async with hosting() as host, raw_sip(host.engine.sip) as raw:
        event = await invited(
            host,
            raw,
            "X-Account: 7",
            'Authorization: Digest username="u", realm="r", nonce="n", uri="sip:x", response="0"',
            "x-account: 8",
            'Proxy-Authorization: Digest username="u", realm="r", nonce="n", uri="sip:x", response="0"',
            "Diversion: <sip:1@example.com>",
        )
        told = [(each["name"].lower(), each["value"]) for each in event["data"]["sip_headers"]]
        assert [value for name, value in told if name == "x-account"] == ["7", "8"]
        names = [name for name, _ in told]
        assert names.index("from") < names.index("x-account") < names.index("diversion")
        assert not {"authorization", "proxy-authorization"} & set(names)


async def test_bytes_that_are_no_text_stay_json() -> None:
    assert incoming_event("e", "c", [("X-Odd", "a\udcffb\u00e9")], 1)["data"]["sip_headers"] == [
        {"name": "X-Odd", "value": "a\ufffdb\u00e9"}
    ]


async def test_an_offer_that_cannot_be_met_is_refused_before_anybody_is_asked() -> None:
    async with hosting() as host, raw_sip(host.engine.sip) as raw:
        video = OFFER.replace("m=audio 9 RTP/AVP 0", "m=audio 9 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2")
        answer = await raw.ask("INVITE", body=video)
        raw.acknowledge(answer)
        assert answer.status == 488
        answer = await raw.ask("INVITE", body="v=nonsense")
        raw.acknowledge(answer)
        assert answer.status in (400, 488)
        assert host.receiver.hooks.empty()
        assert len(host.engine.server.hosted or ()) == 0


async def test_more_callers_than_allowed() -> None:
    async with hosting(max_calls=1) as host:
        await host.offered()
        second = host.phone.dial(host.sip)
        with pytest.raises(SipError) as refused:
            await second.answered()
        assert refused.value.status == 503
