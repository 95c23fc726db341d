"""``POST /v1/calls/{call}/actions/…``: what is taken, what is answered, and how a refusal names the field."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from voiceagent.console.models import Accepted, CallDetail
from voiceagent.console.ports import Act
from voiceagent.errors import RequestRefused

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, VIEWER, a_client, an_app, hold_back_for_good

ACTIONS = "/v1/calls/c1/actions"
DESK = {"target": "sip:desk@example.com"}


@pytest.fixture
def directory() -> FakeDirectory:
    directory = FakeDirectory()
    directory.put_call(a_call())
    return directory


@pytest.fixture
async def client(directory: FakeDirectory):
    async with a_client(an_app(directory, triggers_per_s=1e6), headers=BEARER) as client:
        yield client


async def test_a_caller_is_put_on_hold_and_taken_back(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    held = await client.post(f"{ACTIONS}/hold")
    assert held.status_code == 200
    assert CallDetail.model_validate(held.json()).held_by == ["us"]
    back = await client.post(f"{ACTIONS}/resume", json={})
    assert (back.status_code, back.json()["held_by"]) == (200, [])
    assert directory.acts == [
        ("c1", Act("hold"), "console.token via api"),
        ("c1", Act("resume"), "console.token via api"),
    ]


async def test_a_transfer_is_begun_and_its_course_stands_in_the_call(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    answer = await client.post(f"{ACTIONS}/transfer", json={**DESK, "attended": True})
    assert answer.status_code == 202
    transfer = CallDetail.model_validate(answer.json()).transfer
    assert transfer is not None
    assert (transfer.target, transfer.attended, transfer.state) == ("sip:desk@example.com", True, "trying")
    assert directory.acts[0][1] == Act("transfer", target="sip:desk@example.com", attended=True)


async def test_keys_are_pressed(client: httpx.AsyncClient, directory: FakeDirectory) -> None:
    assert (await client.post(f"{ACTIONS}/send_digits", json={"digits": "12#A*"})).status_code == 200
    assert directory.acts[0][1] == Act("send_digits", digits="12#A*")


@pytest.mark.parametrize(
    ("action", "body", "other"),
    [
        ("transfer", DESK, {"target": "sip:other@example.com"}),
        ("send_digits", {"digits": "1"}, {"digits": "2"}),
    ],
)
async def test_a_repeated_key_acts_once_and_another_body_under_it_is_a_mistake(
    client: httpx.AsyncClient,
    directory: FakeDirectory,
    action: str,
    body: dict[str, str],
    other: dict[str, str],
) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await client.post(f"{ACTIONS}/{action}", json=body, headers=key)
    again = await client.post(f"{ACTIONS}/{action}", json=body, headers=key)
    assert again.status_code == first.status_code
    assert len(directory.acts) == 1
    wrong = await client.post(f"{ACTIONS}/{action}", json=other, headers=key)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "Idempotency-Key")
    # The same key for another action is another act.
    assert (await client.post(f"{ACTIONS}/hold", headers=key)).status_code == 200
    assert len(directory.acts) == 2
    empty = await client.post(f"{ACTIONS}/{action}", json=body, headers={"Idempotency-Key": ""})
    assert (empty.status_code, empty.json()["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestRefused("target", "no", code="bad_target"), 422),
        (RequestRefused("target", "no", code="denied_target"), 403),
        (RequestRefused("target", "no", code="target_not_allowed"), 403),
        (RequestRefused("attended", "no", code="not_supported"), 409),
        (RequestRefused("call", "no", code="handing_over"), 409),
        (RequestRefused("call", "no", code="not_answered"), 409),
        (RequestRefused("call", "no", code="failed"), 409),
    ],
)
async def test_a_refusal_says_what_is_wrong(
    client: httpx.AsyncClient, directory: FakeDirectory, error: RequestRefused, status: int
) -> None:
    directory.refuse = error
    answer = await client.post(f"{ACTIONS}/transfer", json=DESK)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (status, error.code, error.field)
    assert (problem["status"], problem["title"]) == (status, problem["title"])
    assert problem["title"] != "Refused"
    if status == 403:
        assert "outbound." not in problem["remedy"]


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("transfer", {}, "target"),
        ("transfer", {"target": ""}, "target"),
        ("transfer", {"target": 100}, "target"),
        ("transfer", {"target": "x" * 257}, "target"),
        ("transfer", {**DESK, "attended": "yes"}, "attended"),
        ("transfer", {**DESK, "to": "100"}, "to"),
        ("send_digits", {}, "digits"),
        ("send_digits", {"digits": ""}, "digits"),
        ("send_digits", {"digits": "1" * 65}, "digits"),
        ("send_digits", {"digits": "1\n"}, "digits"),
        ("send_digits", {"digits": "١"}, "digits"),
        ("send_digits", {"digits": "12a"}, "digits"),
        ("send_digits", {"digits": 12}, "digits"),
    ],
)
async def test_a_wrong_body_names_the_field(
    client: httpx.AsyncClient, directory: FakeDirectory, action: str, body: dict[str, object], field: str
) -> None:
    answer = await client.post(f"{ACTIONS}/{action}", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert directory.acts == []


@pytest.mark.parametrize(("action", "field"), [("transfer", "target"), ("send_digits", "digits")])
async def test_half_a_character_is_refused(
    client: httpx.AsyncClient, directory: FakeDirectory, action: str, field: str
) -> None:
    body = f'{{"{field}": "\\ud800"}}'
    answer = await client.post(
        f"{ACTIONS}/{action}", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert directory.acts == []


async def test_a_call_that_is_over_or_unknown_takes_no_action(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    directory.end_call("c1", "caller_hung_up")
    for action, body in (("hold", {}), ("resume", {}), ("transfer", DESK), ("send_digits", {"digits": "1"})):
        over = await client.post(f"{ACTIONS}/{action}", json=body)
        assert (over.status_code, over.json()["code"]) == (409, "call_ended")
        assert over.json()["call_outcome"] == {"kind": "caller_hung_up"}
        unknown = await client.post(f"/v1/calls/nobody/actions/{action}", json=body)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_call")


async def test_a_viewer_acts_on_nothing(directory: FakeDirectory) -> None:
    async with a_client(an_app(directory), headers={"Authorization": f"Bearer {VIEWER}"}) as viewer:
        for action, body in (("hold", {}), ("transfer", DESK), ("send_digits", {"digits": "1"})):
            assert (await viewer.post(f"{ACTIONS}/{action}", json=body)).status_code == 403
    assert directory.acts == []


async def test_acts_that_come_too_fast_are_held_back(directory: FakeDirectory) -> None:
    app = an_app(directory, triggers_per_s=1.0)
    hold_back_for_good(app)
    async with a_client(app, headers=BEARER) as client:
        answers = [await client.post(f"{ACTIONS}/hold") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert len(directory.acts) < 4


async def test_a_note_stands_in_the_transcript_and_nothing_is_said(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    answer = await client.post(f"{ACTIONS}/note", json={"text": "The parcel is late."})
    assert answer.status_code == 200
    said = CallDetail.model_validate(answer.json()).transcript
    assert [(line.speaker, line.text) for line in said] == [("note", "The parcel is late.")]
    assert directory.acts[0][1] == Act("note", text="The parcel is late.")
    assert directory.spoken == []


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": 5}, {"text": "x" * 16_385}, {"text": "\ud800"}])
async def test_what_is_no_note_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    answer = await client.post(
        f"{ACTIONS}/note", content=content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "text")


async def test_a_recording_is_paused_and_resumed(client: httpx.AsyncClient, directory: FakeDirectory) -> None:
    refused = await client.post(f"{ACTIONS}/pause_recording")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_recording")
    directory.change("c1", recording={"state": "running", "files": ["c1.wav"]})
    paused = await client.post(f"{ACTIONS}/pause_recording")
    assert paused.json()["recording"] == {"state": "paused", "files": ["c1.wav"]}
    assert (await client.post(f"{ACTIONS}/resume_recording")).json()["recording"]["state"] == "running"


async def test_a_dry_note_is_complete_at_once(client: httpx.AsyncClient, directory: FakeDirectory) -> None:
    path = "/v1/calls/c1/responses"
    answer = await client.post(path, json={"instructions": "He is cross.", "note_only": True})
    noted = Accepted.model_validate(answer.json())
    assert (answer.status_code, noted.state, noted.ended) == (202, "noted", True)
    assert directory.spoken[0][1].note_only
    empty = await client.post(path, json={"note_only": True})
    assert (empty.status_code, empty.json()["field"]) == (422, "instructions")


async def test_a_full_queue_names_what_stands_before(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    directory.most_waiting = 2
    path = "/v1/calls/c1/responses"
    for _ in range(2):
        await client.post(path, json={"instructions": "Speak."})
    running = replace(directory.response("c1", "req2"), id="turn", origin="turn", state="audible", reason="")
    directory.put_response(running)
    over = replace(running, id="old", state="completed", outcome={"kind": "completed"})
    directory.put_response(over)
    answer = await client.post(path, json={"instructions": "Speak."}, headers={"Idempotency-Key": "k"})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (429, "queue_full")
    assert "call.max_waiting" in problem["remedy"]
    assert problem["before"] == [
        {"id": "turn", "origin": "turn", "state": "audible", "reason": ""},
        {"id": "req1", "origin": "operator", "state": "queued", "reason": "caller_speaking"},
        {"id": "req2", "origin": "operator", "state": "queued", "reason": "caller_speaking"},
    ]
    directory.settle("c1", "req1", "withdrawn")
    again = await client.post(path, json={"instructions": "Speak."}, headers={"Idempotency-Key": "k"})
    assert again.status_code == 202, "a refused request has used up no key"
