"""The four verbs: what they send, when they try again, and what the answers mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.kit.virtual_loop import virtual
from voiceagent.errors import ConfigError, ProviderError
from voiceagent.realtime.calls_rest import ATTEMPTS, CallsRest
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.providers import PROVIDERS, provider, rest_base, socket_url

Answer = httpx.Response | Exception | float


class Calls:
    """A provider's REST in memory; ``answers`` are given one after the other, then 200."""

    def __init__(self, *answers: Answer, profile: str = "openai", base: str | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []
        self._answers = list(answers)
        self.rest = CallsRest(
            provider(profile),
            api_key="key",
            base=base,
            transport=httpx.MockTransport(self._answer),
            chance=lambda: 0.5,
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        answer = self._answers.pop(0) if self._answers else httpx.Response(200)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return httpx.Response(200)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) if request.content else None for request in self.requests]


def error(status: int, code: str | None = None, param: str | None = None, **headers: str) -> httpx.Response:
    body = {"error": {"code": code, "message": "no", "param": param}}
    return httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


@virtual
async def test_each_verb_as_the_vendor_wants_it() -> None:
    calls = Calls()
    session = {"type": "realtime", "instructions": "Be brief."}
    await calls.rest.accept("rtc a/b", session)
    await calls.rest.reject("rtc_1", 486)
    await calls.rest.refer("rtc_1", "tel:+14155550123")
    await calls.rest.hangup("rtc_1")
    base = "https://api.openai.com/v1/realtime/calls"
    assert [str(request.url) for request in calls.requests] == [
        f"{base}/rtc%20a%2Fb/accept",
        f"{base}/rtc_1/reject",
        f"{base}/rtc_1/refer",
        f"{base}/rtc_1/hangup",
    ]
    assert calls.bodies == [session, {"status_code": 486}, {"target_uri": "tel:+14155550123"}, None]
    assert {request.headers["authorization"] for request in calls.requests} == {"Bearer key"}
    assert {request.method for request in calls.requests} == {"POST"}


def test_the_vendors_client_uses_the_same_paths_and_bodies() -> None:
    """The vendor's SDK as the oracle of paths and bodies."""
    import openai

    seen: list[tuple[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, json.loads(request.content) if request.content else None))
        return httpx.Response(200)

    with openai.OpenAI(
        api_key="k", http_client=httpx.Client(transport=httpx.MockTransport(answer))
    ) as client:
        client.realtime.calls.accept("rtc_1", type="realtime", model="gpt-realtime", instructions="Hi.")
        client.realtime.calls.reject("rtc_1", status_code=486)
        client.realtime.calls.refer("rtc_1", target_uri="sip:a@b")
        client.realtime.calls.hangup("rtc_1")
    theirs = list(seen)

    async def ours() -> Calls:
        calls = Calls()
        await calls.rest.accept(
            "rtc_1", RealtimeSessionConfig(instructions="Hi.").to_accept(model="gpt-realtime")
        )
        await calls.rest.reject("rtc_1", 486)
        await calls.rest.refer("rtc_1", "sip:a@b")
        await calls.rest.hangup("rtc_1")
        return calls

    calls = asyncio.run(ours())
    assert [request.url.path for request in calls.requests] == [path for path, _ in theirs]
    assert calls.bodies[1:3] == [body for _, body in theirs[1:3]]
    assert {"type", "model", "instructions"} <= set(calls.bodies[0])


@pytest.mark.parametrize("verb", ["accept", "reject", "refer", "hangup"])
@pytest.mark.parametrize("status", [404, 409, 410])
def test_a_settled_call_is_an_answer(verb: str, status: int) -> None:
    async def story() -> None:
        calls = Calls(error(status))
        arguments: dict[str, tuple[Any, ...]] = {"accept": ({},), "reject": (486,), "refer": ("sip:a@b",)}
        act: Callable[..., Any] = getattr(calls.rest, verb)
        reply = await act("rtc_1", *arguments.get(verb, ()))
        assert (reply.status, reply.settled, len(calls.requests)) == (status, True, 1)

    virtual(story)()


@virtual
async def test_transient_errors_are_tried_again_with_growing_waits() -> None:
    calls = Calls(error(503), error(500), httpx.ConnectError("no route"))
    reply = await calls.rest.accept("rtc_1", {})
    assert (reply.settled, reply.attempts) == (False, 4)
    waits = [round(b - a, 3) for a, b in zip(calls.times, calls.times[1:], strict=False)]
    assert waits == [0.1, 0.2, 0.4]


@virtual
async def test_the_tries_are_bounded() -> None:
    calls = Calls(*[error(500, "server_error")] * 10)
    with pytest.raises(ProviderError) as failed:
        await calls.rest.hangup("rtc_1")
    assert failed.value.code == "server_error"
    assert len(calls.requests) == ATTEMPTS
    assert calls.times[-1] - calls.times[0] < 2


@virtual
async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    calls = Calls(60.0, 60.0, 60.0, 60.0)
    with pytest.raises(ProviderError) as failed:
        await calls.rest.accept("rtc_1", {})
    assert failed.value.code == "calls_timeout"


@virtual
async def test_a_conflict_after_a_lost_answer_was_most_likely_us() -> None:
    lost = Calls(60.0, error(409))
    assert not (await lost.rest.accept("rtc_1", {})).settled
    broken = Calls(httpx.ReadError("reset"), error(409))
    assert not (await broken.rest.accept("rtc_1", {})).settled
    refused = Calls(httpx.ConnectError("refused"), error(409))
    assert (await refused.rest.accept("rtc_1", {})).settled
    gone = Calls(60.0, error(404))
    assert (await gone.rest.accept("rtc_1", {})).settled


@virtual
async def test_retry_after_is_heeded_within_reason() -> None:
    calls = Calls(error(429, retry_after="1"), error(429, retry_after="3600"))
    await calls.rest.accept("rtc_1", {})
    waits = [round(b - a, 3) for a, b in zip(calls.times, calls.times[1:], strict=False)]
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize("status", [400, 401, 403, 422, 302])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    async def story() -> None:
        calls = Calls(httpx.Response(status, headers={"Location": "http://127.0.0.1:1/"}))
        with pytest.raises(ProviderError) as failed:
            await calls.rest.accept("rtc_1", {})
        assert failed.value.code == f"http_{status}"
        assert len(calls.requests) == 1

    virtual(story)()


@virtual
async def test_an_unknown_field_is_left_out_and_the_call_is_taken() -> None:
    calls = Calls(error(400, "unknown_parameter", "session.audio.input.turn_detection.threshold"))
    session = {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}}}
    await calls.rest.accept("rtc_1", session)
    assert calls.bodies[1] == {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}
    assert "threshold" in session["audio"]["input"]["turn_detection"]


@virtual
async def test_hostile_answers_do_no_harm() -> None:
    for content in (
        b"\xff" * 100,
        b"[" * 50_000,
        b'{"error": 5}',
        b'{"error": {"code": 7}}',
        b"x" * 10_000_000,
    ):
        calls = Calls(httpx.Response(400, content=content))
        with pytest.raises(ProviderError) as failed:
            await calls.rest.accept("rtc_1", {})
        assert failed.value.code == "http_400"
        assert len(str(failed.value)) < 500


# ── providers, as data ───────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "base", "url", "header"),
    [
        (
            "openai",
            None,
            "https://api.openai.com/v1/realtime/calls/c%2F1/accept",
            ("authorization", "Bearer key"),
        ),
        (
            "azure",
            "https://res.openai.azure.com/openai/v1",
            "https://res.openai.azure.com/openai/v1/realtime/calls/c%2F1/accept",
            ("api-key", "key"),
        ),
        ("xai", None, "https://api.x.ai/v1/realtime/calls/c%2F1/accept", ("authorization", "Bearer key")),
        (
            "embedded",
            "http://127.0.0.1:9/v1/",
            "http://127.0.0.1:9/v1/realtime/calls/c%2F1/accept",
            ("authorization", "Bearer key"),
        ),
    ],
)
def test_addresses_and_keys_of_each_provider(
    name: str, base: str | None, url: str, header: tuple[str, str]
) -> None:
    async def story() -> None:
        calls = Calls(profile=name, base=base)
        await calls.rest.accept("c/1", {})
        assert str(calls.requests[0].url) == url
        assert calls.requests[0].headers[header[0]] == header[1]

    virtual(story)()


def test_a_provider_without_an_address_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"hosted\.api_base"):
        CallsRest(provider("azure"), api_key="k")
    with pytest.raises(ConfigError, match="no hosted calls"):
        CallsRest(provider("localai"))


def test_what_takes_a_call() -> None:
    assert {name: each.accept for name, each in PROVIDERS.items() if each.calls_url} == {
        "openai": "rest",
        "azure": "rest",
        "xai": "attach",
        "embedded": "rest",
    }


def test_rest_and_socket_belong_together() -> None:
    assert rest_base("wss://api.openai.com/v1/realtime?model=x") == "https://api.openai.com/v1"
    assert rest_base("ws://127.0.0.1:8765/v1/realtime") == "http://127.0.0.1:8765/v1"
    assert socket_url("https://h/openai/v1/") == "wss://h/openai/v1/realtime"
    assert rest_base(socket_url("http://h:1/v1")) == "http://h:1/v1"


def test_an_accept_is_the_whole_session_but_for_formats() -> None:
    from openai.types.realtime import RealtimeSessionCreateRequest

    config = RealtimeSessionConfig(instructions="Hi.", voice="marin", transcription={"model": "whisper-1"})
    body = config.to_accept(model="gpt-realtime")
    assert body["audio"]["output"] == {"voice": "marin"}
    assert "format" not in body["audio"]["input"]
    assert body["audio"]["input"]["turn_detection"]["create_response"] is False
    parsed = RealtimeSessionCreateRequest.model_validate(body)
    assert not parsed.model_extra
    flat = config.to_accept(layout="flat")
    assert flat["voice"] == "marin"
    assert "model" not in flat
    assert flat["turn_detection"]["type"] == "server_vad"
    assert (
        RealtimeSessionConfig(turn_detection={"type": "server_vad"}).to_accept(layout="flat").get("audio")
        is None
    )
