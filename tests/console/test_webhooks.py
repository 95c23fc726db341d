"""``POST /webhooks/realtime`` through the whole console: raw bytes, limits, and what refusals look like."""

from __future__ import annotations

import pytest

from voiceagent.console.ports import WebhookTaken
from voiceagent.realtime.webhook_signature import WebhookRefused

from .fake_directory import FakeDirectory
from .kit import FakeWebhooks, a_client, an_app

HEADERS = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,YQ=="}
JSON = {"Content-Type": "application/json", **HEADERS}


async def test_the_body_arrives_byte_for_byte() -> None:
    webhooks = FakeWebhooks()
    body = b'{"a":  1,\r\n "b":"\xc3\xa9" }\n'
    async with a_client(an_app(FakeDirectory(), webhooks=webhooks), peer="192.0.2.9") as client:
        answer = await client.post(
            "/webhooks/realtime", content=body, headers={**JSON, "Host": "agent.example"}
        )
    assert (answer.status_code, answer.json()) == (200, {"outcome": "taken"})
    assert webhooks.given == [("evt_1", "1", "v1,YQ==", body)]


@pytest.mark.parametrize("missing", list(HEADERS))
async def test_a_missing_header_reaches_the_verifier_as_nothing(missing: str) -> None:
    webhooks = FakeWebhooks()
    headers = {name: value for name, value in JSON.items() if name != missing}
    async with a_client(an_app(FakeDirectory(), webhooks=webhooks)) as client:
        await client.post("/webhooks/realtime", content=b"{}", headers=headers)
    assert webhooks.given[0][list(HEADERS).index(missing)] == ""


@pytest.mark.parametrize("twice", list(HEADERS))
async def test_a_header_that_comes_twice_is_a_400(twice: str) -> None:
    webhooks = FakeWebhooks()
    async with a_client(an_app(FakeDirectory(), webhooks=webhooks)) as client:
        headers = [*JSON.items(), (twice, "other")]
        answer = await client.post("/webhooks/realtime", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_header")
    assert webhooks.given == []


@pytest.mark.parametrize(("status", "code"), [(400, "webhook_header"), (401, "webhook_signature")])
async def test_a_refusal_is_a_problem(status: int, code: str) -> None:
    webhooks = FakeWebhooks(WebhookRefused("no", status=status, code=code))
    async with a_client(an_app(FakeDirectory(), webhooks=webhooks)) as client:
        answer = await client.post("/webhooks/realtime", content=b"{}", headers=JSON)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


async def test_a_node_that_takes_no_calls_says_when_to_come_again() -> None:
    webhooks = FakeWebhooks(WebhookTaken("not_taking_calls", 10))
    async with a_client(an_app(FakeDirectory(), webhooks=webhooks)) as client:
        answer = await client.post("/webhooks/realtime", content=b"{}", headers=JSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


@pytest.mark.parametrize(("size", "status"), [(256 << 10, 200), ((256 << 10) + 1, 413)])
async def test_a_webhook_has_its_own_limit(size: int, status: int) -> None:
    async with a_client(an_app(FakeDirectory(), webhooks=FakeWebhooks())) as client:
        answer = await client.post("/webhooks/realtime", content=b" " * size, headers=JSON)
    assert answer.status_code == status


async def test_only_post_and_only_this_path_are_open() -> None:
    async with a_client(an_app(FakeDirectory(), webhooks=FakeWebhooks())) as client:
        assert (await client.get("/webhooks/realtime")).status_code == 401
        assert (await client.put("/webhooks/realtime", content=b"{}", headers=JSON)).status_code == 401
        assert (await client.post("/webhooks/other", content=b"{}", headers=JSON)).status_code == 401
        assert (await client.post("/webhooks/realtime/", content=b"{}", headers=JSON)).status_code == 401
