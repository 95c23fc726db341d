"""What the API answers, right and wrong."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from voiceagent.console.models import CallDetail, CallList, ResponseList, ResponseModel
from voiceagent.console.ports import FlowsRefused, TranscriptLine
from voiceagent.errors import RequestRefused

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, a_client, an_app, hold_back_for_good

JSON = {"Content-Type": "application/json"}
RESPONSES = "/v1/calls/c1/responses"


@pytest.fixture
def directory() -> FakeDirectory:
    directory = FakeDirectory()
    directory.put_call(a_call())
    return directory


@pytest.fixture
async def client(directory: FakeDirectory):
    async with a_client(an_app(directory), headers=BEARER) as client:
        yield client


async def test_lists_live_calls_before_ended_ones(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    directory.end_call("c1", "caller_hung_up")
    directory.put_call(a_call("c2"))
    body = (await client.get("/v1/calls")).json()
    CallList.model_validate(body)
    assert [call["id"] for call in body["calls"]] == ["c2", "c1"]
    live = (await client.get("/v1/calls", params={"state": "live"})).json()["calls"]
    assert [call["id"] for call in live] == ["c2"]
    ended = (await client.get("/v1/calls", params={"state": "ended", "limit": 1})).json()["calls"]
    assert ended[0]["outcome"] == {"kind": "caller_hung_up"}


@pytest.mark.parametrize(("name", "value"), [("state", "dead"), ("limit", "0"), ("limit", "many")])
async def test_wrong_query_names_the_parameter(client: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await client.get("/v1/calls", params={name: value})
    assert answer.status_code == 422
    assert answer.json()["field"] == name


async def test_shows_a_call_with_all_that_was_said_and_asked(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    directory.say("c1", TranscriptLine(1.0, "agent", "Good mor", "Good morning, how", "i1", cut=True))
    await client.post(RESPONSES, json={"instructions": "Say hello."})
    body = (await client.get("/v1/calls/c1")).json()
    CallDetail.model_validate(body)
    assert body["transcript"][0]["text"] == "Good mor"
    assert body["transcript"][0]["full_text"] == "Good morning, how"
    assert body["responses"][0]["instructions"] == "Say hello."


async def test_a_trigger_is_accepted_with_its_address(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    answer = await client.post(
        RESPONSES,
        json={
            "instructions": "Say hello.",
            "metadata": {"purpose": "greeting"},
            "when": "now",
            "deadline_ms": 5000,
            "coalesce": "hello",
        },
    )
    assert answer.status_code == 202
    body = answer.json()
    assert body["request_id"] == body["id"] == "req1"
    assert body["state"] == "queued"
    assert body["ended"] is False
    assert answer.headers["location"] == body["links"]["self"]
    call_id, trigger, operator = directory.spoken[0]
    assert (call_id, operator) == ("c1", "console.token via api")
    assert trigger.metadata == {"purpose": "greeting"}
    assert (trigger.when, trigger.deadline_ms, trigger.coalesce) == ("now", 5000, "hello")
    shown = await client.get(answer.headers["location"])
    ResponseModel.model_validate(shown.json())
    assert shown.json()["reason"] == "caller_speaking"


async def test_a_trigger_may_leave_everything_out(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    assert (await client.post(RESPONSES, json={})).status_code == 202
    assert directory.spoken[0][1].instructions is None


WRONG: list[tuple[str, Any, str]] = [
    ("number for words", {"instructions": 7}, "instructions"),
    ("empty words", {"instructions": ""}, "instructions"),
    ("too many words", {"instructions": "x" * 16_385}, "instructions"),
    ("list for a mapping", {"metadata": ["a"]}, "metadata"),
    ("number as a value", {"metadata": {"turn": 3}}, "metadata.turn"),
    ("long value", {"metadata": {"turn": "x" * 513}}, "metadata.turn"),
    ("long key", {"metadata": {"k" * 65: "x"}}, f"metadata.{'k' * 65}"),
    ("empty key", {"metadata": {"": "x"}}, "metadata."),
    ("too many pairs", {"metadata": {f"k{n}": "" for n in range(14)}}, "metadata"),
    ("a key of ours", {"metadata": {"va.req": "x"}}, "metadata.va.req"),
    ("unknown when", {"when": "soon"}, "when"),
    ("text for a number", {"deadline_ms": "100"}, "deadline_ms"),
    ("true for a number", {"deadline_ms": True}, "deadline_ms"),
    ("no time at all", {"deadline_ms": 0}, "deadline_ms"),
    ("unknown field", {"instruction": "Say hello."}, "instruction"),
    ("list for the body", ["Say hello."], "body"),
    ("half a character", {"instructions": "\ud800"}, "instructions"),
    ("half a character in a value", {"metadata": {"turn": "\udcff"}}, "metadata.turn"),
    ("half a character in a word", {"coalesce": "\ud800"}, "coalesce"),
]


@pytest.mark.parametrize(("body", "field"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_a_wrong_body_is_refused_by_field(
    client: httpx.AsyncClient, directory: FakeDirectory, body: object, field: str
) -> None:
    answer = await client.post(RESPONSES, content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["field"] == field
    assert problem["errors"][0]["field"] == field
    assert problem["status"] == 422
    assert directory.spoken == []


async def test_half_a_character_in_a_key_is_refused_readably(client: httpx.AsyncClient) -> None:
    answer = await client.post(RESPONSES, content=b'{"metadata": {"\\udcff": "x"}}', headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["field"].startswith("metadata")


@pytest.mark.parametrize("pairs", [13])
async def test_metadata_at_the_limits_passes(client: httpx.AsyncClient, pairs: int) -> None:
    metadata = {f"{n:064d}": "é" * 512 for n in range(pairs)}
    assert (await client.post(RESPONSES, json={"metadata": metadata})).status_code == 202


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'{"instructions": NaN'])
async def test_what_is_not_json_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post(RESPONSES, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["field"] == "body"


async def test_other_content_types_are_refused(client: httpx.AsyncClient, directory: FakeDirectory) -> None:
    answer = await client.post(RESPONSES, content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert directory.spoken == []


async def test_the_same_key_is_the_same_request_spoken_once(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await client.post(RESPONSES, json={"instructions": "Say hello."}, headers=key)
    directory.settle("c1", "req1", "completed", heard_ms=900)
    again = await client.post(RESPONSES, json={"instructions": "Say hello."}, headers=key)
    assert first.json()["request_id"] == again.json()["request_id"]
    assert again.json()["outcome"]["kind"] == "completed"
    assert len(directory.spoken) == 1


async def test_the_same_key_with_another_body_is_a_mistake(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    key = {"Idempotency-Key": "k-1"}
    await client.post(RESPONSES, json={"instructions": "Say hello."}, headers=key)
    other = await client.post(RESPONSES, json={"instructions": "Say goodbye."}, headers=key)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_mismatch"
    assert other.json()["field"] == "Idempotency-Key"
    assert len(directory.spoken) == 1


async def test_a_key_is_remembered_after_the_call_has_ended(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    key = {"Idempotency-Key": "k-1"}
    await client.post(RESPONSES, json={}, headers=key)
    directory.end_call("c1", "caller_hung_up")
    assert (await client.post(RESPONSES, json={}, headers=key)).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_an_unfit_key_is_refused(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post(RESPONSES, json={}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["field"] == "Idempotency-Key"


async def test_the_directory_may_refuse_by_field(client: httpx.AsyncClient, directory: FakeDirectory) -> None:
    directory.refuse = RequestRefused("when", "this leg cannot interrupt", code="not_supported")
    problem = (await client.post(RESPONSES, json={})).json()
    assert (problem["status"], problem["field"], problem["code"]) == (422, "when", "not_supported")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/calls/nope"),
        ("GET", "/v1/calls/nope/responses"),
        ("POST", "/v1/calls/nope/responses"),
        ("GET", "/v1/calls/nope/responses/req1"),
        ("DELETE", "/v1/calls/nope/responses/req1"),
        ("POST", "/v1/calls/nope/actions/hangup"),
    ],
)
async def test_unknown_call_is_404(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_call"
    assert answer.json()["remedy"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_unknown_response_is_404(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, f"{RESPONSES}/nope")
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_response"


@pytest.mark.parametrize("path", [RESPONSES, "/v1/calls/c1/actions/hangup"])
async def test_acts_on_an_ended_call_are_409_with_its_outcome(
    client: httpx.AsyncClient, directory: FakeDirectory, path: str
) -> None:
    directory.end_call("c1", "caller_hung_up")
    answer = await client.post(path, json={})
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["outcome"] == "caller_hung_up"
    assert problem["call_outcome"] == {"kind": "caller_hung_up"}


async def test_withdrawing_ends_what_waits_and_leaves_what_ended(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    await client.post(RESPONSES, json={})
    taken_back = (await client.delete(f"{RESPONSES}/req1")).json()
    assert taken_back["outcome"]["kind"] == "withdrawn"
    assert (await client.delete(f"{RESPONSES}/req1")).json() == taken_back
    listed = (await client.get(RESPONSES)).json()
    ResponseList.model_validate(listed)
    assert listed["responses"] == [taken_back]


async def test_hang_up_ends_the_call(client: httpx.AsyncClient, directory: FakeDirectory) -> None:
    body = (await client.post("/v1/calls/c1/actions/hangup")).json()
    assert body["state"] == "ended"
    assert directory.hung_up == [("c1", "console.token via api")]


async def test_too_many_triggers_are_told_to_wait(directory: FakeDirectory) -> None:
    app = an_app(directory, triggers_per_s=1.0)
    hold_back_for_good(app)
    async with a_client(app, headers=BEARER) as client:
        answers = [await client.post(RESPONSES, json={}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert int(answers[2].headers["retry-after"]) >= 1


async def test_hostile_and_broken_text_comes_back_as_data(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    directory.put_call(
        a_call("c2", caller="<script>alert(1)</script>\ud800", figures={"rtt_ms": float("nan"), "loss": 0.5})
    )
    call = (await client.get("/v1/calls/c2")).json()
    assert call["caller"] == "<script>alert(1)</script>?"
    assert call["figures"] == {"rtt_ms": None, "loss": 0.5}


async def test_a_failure_of_ours_is_a_problem_without_a_traceback(
    client: httpx.AsyncClient, directory: FakeDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> object:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(directory, "calls", broken)
    answer = await client.get("/v1/calls")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "secret detail" not in answer.text


async def test_unknown_addresses_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/nothing")).json()["code"] == "not_found"
    assert (await client.put("/v1/calls")).json()["code"] == "method_not_allowed"


async def test_the_schema_describes_the_trigger_with_an_example(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/v1/openapi.json")).json()
    body = schema["components"]["schemas"]["TriggerBody"]
    assert body["additionalProperties"] is False
    assert body["examples"][0]["instructions"]
    answers = schema["paths"]["/v1/calls/{call_id}/responses"]["post"]["responses"]
    assert {"202", "401", "404", "409", "422", "429"} <= set(answers)
    assert "application/problem+json" in answers["422"]["content"]


async def test_the_flows_are_listed_and_read_again(client: httpx.AsyncClient) -> None:
    (flow,) = (await client.get("/v1/flows")).json()["flows"]
    assert (flow["name"], flow["numbers"], flow["source"]) == ("desk", ["100"], "flows/desk.py")
    answer = await client.post("/v1/flows/reload")
    assert (answer.status_code, answer.json()["version"], answer.json()["loaded_by"]) == (
        200,
        2,
        "console.token via api",
    )


async def test_refused_flows_are_told_line_by_line(
    client: httpx.AsyncClient, directory: FakeDirectory
) -> None:
    directory.refuse_flows = FlowsRefused(["desk.py:7: error: a", "shop.py:3: error: b"])
    answer = await client.post("/v1/flows/reload")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "flows_refused")
    assert problem["detail"] == "desk.py:7: error: a (and 1 more)"
    assert [one["detail"] for one in problem["errors"]] == ["desk.py:7: error: a", "shop.py:3: error: b"]


async def test_the_trunks_are_listed_for_the_signed_in(client: httpx.AsyncClient) -> None:
    (trunk,) = (await client.get("/v1/trunks")).json()["trunks"]
    assert (trunk["name"], trunk["up"], trunk["registration"], trunk["calls"]) == (
        "carrier",
        False,
        "refused",
        2,
    )
    assert trunk["servers"] == [{"address": "192.0.2.1:5060/udp", "state": "unknown"}]
