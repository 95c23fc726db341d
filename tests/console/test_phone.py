"""``POST /v1/phone``: what it takes, what it answers, and how each refusal reads."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from voiceagent.app.browser_phone import PhoneRefused
from voiceagent.console.models_phone import PhoneCall
from voiceagent.console.ports import PhoneAnswer, PhoneWish
from voiceagent.errors import MediaError, RequestRefused
from voiceagent.media.webrtc import HOW_TO_INSTALL
from voiceagent.store import Database

from .fake_directory import FakeDirectory
from .kit import BEARER, PATIENCE_S, VIEWER, a_client, an_app


class FakePhones:
    """Keeps what is wished; says an answer, or raises what a test wants."""

    def __init__(self) -> None:
        self.wishes: list[PhoneWish] = []
        self.refuse: Exception | None = None

    async def call(self, wish: PhoneWish) -> PhoneAnswer:
        self.wishes.append(wish)
        if self.refuse is not None:
            raise self.refuse
        return PhoneAnswer("c9", "v=0 answer")


@pytest.fixture
def phones() -> FakePhones:
    return FakePhones()


@pytest.fixture
async def client(phones: FakePhones):
    async with a_client(an_app(FakeDirectory(), phones=phones), headers=BEARER) as client:
        yield client


async def test_an_offer_is_answered(client: httpx.AsyncClient, phones: FakePhones) -> None:
    answer = await client.post("/v1/phone", json={"sdp": "v=0 offer", "flow": "desk", "to": "+4420"})
    assert answer.status_code == 201
    body = PhoneCall.model_validate(answer.json())
    assert (body.call_id, body.sdp, answer.headers["location"]) == ("c9", "v=0 answer", "/v1/calls/c9")
    (wish,) = phones.wishes
    assert (wish.sdp, wish.flow, wish.to, wish.name) == ("v=0 offer", "desk", "+4420", "console.token")
    assert wish.user
    assert wish.source == "127.0.0.1"


async def test_it_is_audited_without_the_offer(phones: FakePhones, store: Database) -> None:
    app = an_app(FakeDirectory(), phones=phones, database=store)
    writer = asyncio.create_task(app.state.parts.audit.run())
    async with a_client(app, headers=BEARER) as client:
        await client.post("/v1/phone", json={"sdp": "v=0 offer", "to": "100"})
        assert await app.state.parts.audit.flush(PATIENCE_S)
        told = await client.get("/v1/audit")
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    assert "call.phone" in told.text
    assert "c9" in told.text
    assert "offer" not in told.text


@pytest.mark.parametrize(
    ("error", "status", "field"),
    [
        (RequestRefused("sdp", "is no SDP", code="bad_sdp"), 422, "sdp"),
        (RequestRefused("flow", "there is none", code="unknown_flow"), 404, "flow"),
        (RequestRefused("to", "no route", code="no_flow"), 404, "to"),
        (PhoneRefused("2 at once are allowed", "phone_limit", 10), 429, "call"),
        (PhoneRefused("none now", "capacity", 7), 503, "call"),
        (PhoneRefused("none now", "draining", 7), 503, "call"),
    ],
)
async def test_refusals(
    client: httpx.AsyncClient, phones: FakePhones, error: RequestRefused, status: int, field: str
) -> None:
    phones.refuse = error
    answer = await client.post("/v1/phone", json={"sdp": "v=0"})
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, error.code, field)
    assert answer.headers["content-type"] == "application/problem+json"
    seconds = getattr(error, "retry_after_s", None)
    assert answer.headers.get("retry-after") == (None if seconds is None else str(seconds))


async def test_without_aiortc_the_extra_is_named(client: httpx.AsyncClient, phones: FakePhones) -> None:
    phones.refuse = MediaError(HOW_TO_INSTALL, code="webrtc_missing")
    answer = await client.post("/v1/phone", json={"sdp": "v=0"})
    assert (answer.status_code, answer.json()["code"]) == (501, "webrtc_missing")
    assert "voiceagent[webrtc]" in answer.json()["remedy"]
    phones.refuse = MediaError("no UDP port", code="no_port")
    assert (await client.post("/v1/phone", json={"sdp": "v=0"})).status_code == 503


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "sdp"),
        ({"sdp": ""}, "sdp"),
        ({"sdp": 7}, "sdp"),
        ({"sdp": "v" * 65_537}, "sdp"),
        ({"sdp": "v=0", "to": "sip:x@y"}, "to"),
        ({"sdp": "v=0", "flow": ""}, "flow"),
        ({"sdp": "v=0", "stun": "x"}, "stun"),
    ],
)
async def test_a_bad_body_names_its_field(
    client: httpx.AsyncClient, phones: FakePhones, body: dict[str, object], field: str
) -> None:
    answer = await client.post("/v1/phone", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert phones.wishes == []


async def test_a_viewer_may_not_call_and_a_node_without_a_phone_says_so(phones: FakePhones) -> None:
    app = an_app(FakeDirectory(), phones=phones)
    async with a_client(app, headers={"Authorization": f"Bearer {VIEWER}"}) as viewer:
        answer = await viewer.post("/v1/phone", json={"sdp": "v=0"})
    assert (answer.status_code, answer.json()["needs"]) == (403, "act")
    async with a_client(an_app(FakeDirectory()), headers=BEARER) as client:
        answer = await client.post("/v1/phone", json={"sdp": "v=0"})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_listening")
