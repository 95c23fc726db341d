"""``POST /v1/calls``: what it takes, what it answers, and how a refusal names the field."""

from __future__ import annotations

import httpx
import pytest

from voiceagent.app.outbound import DialRefused
from voiceagent.call.targets import TargetRefused
from voiceagent.console.models import Dialling
from voiceagent.errors import RequestRefused

from .fake_directory import FakeDirectory
from .kit import BEARER, VIEWER, a_client, an_app

BODY = {"to": "sip:100@pbx.example.com", "flow": "front-desk"}


@pytest.fixture
def directory() -> FakeDirectory:
    return FakeDirectory()


@pytest.fixture
async def client(directory: FakeDirectory):
    async with a_client(an_app(directory), headers=BEARER) as client:
        yield client


async def test_a_call_is_placed_with_all_that_was_asked(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    answer = await client.post(
        "/v1/calls",
        json={
            **BODY,
            "from": "+442079460018",
            "from_name": "The Practice",
            "headers": {"X-Job": "42"},
            "trunk": "carrier",
            "metadata": {"what": "the dentist"},
            "ring_timeout_s": 20,
            "consent_reference": "crm-17",
        },
    )
    assert answer.status_code == 202
    body = Dialling.model_validate(answer.json())
    assert (body.call_id, body.id, body.direction, body.state) == ("out1", "out1", "outbound", "dialling")
    assert answer.headers["location"] == "/v1/calls/out1"
    wish, operator = directory.dialled[0]
    assert operator == "console.token via api"
    assert (wish.to, wish.flow, wish.from_user) == ("sip:100@pbx.example.com", "front-desk", "+442079460018")
    assert (wish.headers, wish.metadata) == ({"X-Job": "42"}, {"what": "the dentist"})
    assert (wish.trunk, wish.ring_timeout_s, wish.consent_reference) == ("carrier", 20, "crm-17")
    assert (await client.get("/v1/calls/out1")).json()["direction"] == "outbound"


async def test_a_repeated_key_calls_once_and_another_body_under_it_is_a_mistake(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await client.post("/v1/calls", json=BODY, headers=key)
    again = await client.post("/v1/calls", json=BODY, headers=key)
    assert (again.status_code, again.json()["call_id"]) == (202, first.json()["call_id"])
    assert len(directory.dialled) == 1
    other = await client.post("/v1/calls", json={**BODY, "flow": "other"}, headers=key)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    assert (await client.post("/v1/calls", json=BODY, headers={"Idempotency-Key": ""})).status_code == 422


@pytest.mark.parametrize(
    ("error", "status", "field"),
    [
        (TargetRefused("no", "bad_target"), 422, "to"),
        (TargetRefused("no", "denied_target"), 403, "to"),
        (TargetRefused("no", "target_not_allowed"), 403, "to"),
        (RequestRefused("flow", "no", code="unknown_flow"), 404, "flow"),
        (RequestRefused("trunk", "no", code="unknown_trunk"), 422, "trunk"),
        (RequestRefused("consent_reference", "no", code="no_consent"), 422, "consent_reference"),
        (RequestRefused("headers.Via", "no"), 422, "headers.Via"),
        (RequestRefused("to", "no", code="not_listening"), 503, "to"),
    ],
)
async def test_a_refusal_says_what_is_wrong(
    client: httpx.AsyncClient, directory: FakeDirectory, error: RequestRefused, status: int, field: str
) -> None:
    directory.refuse = error
    answer = await client.post("/v1/calls", json=BODY)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["field"], answer.json()["code"]) == (status, field, error.code)
    assert answer.json()["status"] == status


FOR_NOW = {"capacity": 503, "draining": 503, "outbound_capacity": 503, "destination_calls": 429}


@pytest.mark.parametrize(("code", "status"), FOR_NOW.items())
async def test_a_refusal_for_now_says_when_to_come_again(
    client: httpx.AsyncClient, directory: FakeDirectory, code: str, status: int
) -> None:
    directory.refuse = DialRefused("to", "not now", code, 12.4)
    answer = await client.post("/v1/calls", json=BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "12")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": ""}, "to"),
        ({"to": 100}, "to"),
        ({"flow": None}, "flow"),
        ({"ring_timeout_s": 0}, "ring_timeout_s"),
        ({"ring_timeout_s": 1000}, "ring_timeout_s"),
        ({"headers": {"X-A": 1}}, "headers.X-A"),
        ({"metadata": {str(number): "x" for number in range(9)}}, "metadata"),
        ({"metadata": {"va.req": "x"}}, "metadata.va.req"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"number": "100"}, "number"),
    ],
)
async def test_a_wrong_body_names_the_field(
    client: httpx.AsyncClient, directory: FakeDirectory, change: dict[str, object], field: str
) -> None:
    answer = await client.post("/v1/calls", json={**BODY, **change})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert directory.dialled == []


async def test_a_viewer_places_no_calls(directory: FakeDirectory) -> None:
    async with a_client(an_app(directory), headers={"Authorization": f"Bearer {VIEWER}"}) as client:
        assert (await client.post("/v1/calls", json=BODY)).status_code == 403
    assert directory.dialled == []


async def test_half_a_character_in_metadata_is_refused(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    body = b'{"to": "100", "flow": "f", "metadata": {"a": "\\ud800"}}'
    answer = await client.post("/v1/calls", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert directory.dialled == []
