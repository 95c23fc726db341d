"""The chat brain against a scripted chat endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.engine.protocol_client import talking
from voiceagent.engine import brain
from voiceagent.engine.brain_chat import ChatBrain
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.ports import BrainTurn, CallTool, Say
from voiceagent.errors import ConfigError, ProviderError

TOOL = {"type": "function", "name": "look_up", "description": "d", "parameters": {"type": "object"}}
ITEMS = [
    {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "order 12"}]},
    {"type": "function_call", "name": "look_up", "call_id": "c1", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "shipped"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_audio"}]},
]


def text(*pieces: str) -> list[dict[str, Any]]:
    return [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]


def call(index: int, **function: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"tool_calls": [{"index": index, "function": function}]}}]}


def endpoint(
    chunks: list[dict[str, Any]], seen: list[httpx.Request] | None = None, status: int = 200
) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return httpx.Response(status, text=": comment\n\n" + "".join(lines) + "data: [DONE]\n\n")

    return httpx.MockTransport(answer)


async def steps(
    transport: httpx.AsyncBaseTransport, turn: BrainTurn | None = None, **more: Any
) -> list[Say | CallTool]:
    chat = ChatBrain("http://chat.test/v1/", transport=transport, **more)
    return [step async for step in chat.think(turn or BrainTurn("Be brief.", None, ITEMS))]


async def test_sentences_come_as_they_are_complete() -> None:
    pieces = text("Your or", "der has shipped. It ", "arrives", " on Friday. Any", "thing else?")
    assert await steps(endpoint(pieces)) == [
        Say("Your order has shipped."),
        Say("It arrives on Friday."),
        Say("Anything else?"),
    ]


async def test_tool_calls_are_joined_from_their_pieces() -> None:
    chunks = [
        *text("One moment."),
        call(0, name="look_up", arguments='{"id"'),
        call(0, arguments=": 12}"),
        call(1, name="look_up", arguments=""),
        {"choices": []},
    ]
    assert await steps(endpoint(chunks)) == [
        Say("One moment."),
        CallTool("look_up", {"id": 12}),
        CallTool("look_up", {}),
    ]


async def test_the_request_carries_prompt_history_and_tools() -> None:
    seen: list[httpx.Request] = []
    turn = BrainTurn("Standing.", "Just this once.", ITEMS, [TOOL], {"type": "function", "name": "look_up"})
    await steps(endpoint(text("Ok."), seen), turn, model="small", key="k")
    request = seen[0]
    assert str(request.url) == "http://chat.test/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer k"
    body = json.loads(request.content)
    assert (body["model"], body["stream"]) == ("small", True)
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert body["messages"][0]["content"] == "Just this once."
    assert body["tools"][0]["function"]["name"] == "look_up"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "look_up"}}


@pytest.mark.parametrize(
    ("transport", "complaint"),
    [
        (endpoint([], status=500), "answered 500"),
        (httpx.MockTransport(lambda request: httpx.Response(200, text="data: {oops\n\n")), "no JSON"),
        (endpoint([call(0, name="x", arguments="[1]")]), "no JSON object"),
        (endpoint([call(0, name="x", arguments="{")]), "no JSON object"),
    ],
)
async def test_failures_are_told(transport: httpx.MockTransport, complaint: str) -> None:
    with pytest.raises(ProviderError, match=complaint):
        await steps(transport)


async def test_an_endpoint_that_is_not_there() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ProviderError, match="failed"):
        await steps(httpx.MockTransport(refuse))


async def test_the_chat_brain_speaks_over_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = ChatBrain("http://chat.test", transport=endpoint(text("Hello. I am a model.")))
    choose: Callable[[EngineConfig], Any] = lambda config: chat  # noqa: E731
    monkeypatch.setattr("voiceagent.engine.server.build_brain", choose)
    async with talking() as client:
        await client.send("response.create")
        done = await client.until("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Hello. I am a model."


def test_the_settings_choose_the_brain() -> None:
    assert brain.build_brain(EngineConfig()).name == "rules"
    assert brain.build_brain(EngineConfig(chat_url="http://chat.test")).name == "chat"
    with pytest.raises(ConfigError, match=r"engine\.brain"):
        brain.build_brain(EngineConfig(brain="nobody"))
