"""A brain behind any OpenAI-compatible chat endpoint (a local model server, say), streamed by sentences."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from voiceagent.errors import ProviderError

from .brain_text import sentences
from .items import text_of
from .ports import BrainTurn, CallTool, Say

if TYPE_CHECKING:
    import httpx

OK = 200
HISTORY = 40
"""Newest items sent along."""


@dataclass(slots=True)
class _Answer:
    """A streamed answer as it grows: text not yet spoken, and tool calls by index."""

    text: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Add one ``chat.completion.chunk``."""
        for choice in chunk.get("choices") or ():
            delta: Mapping[str, Any] = choice.get("delta") or {}
            self.text += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                function: Mapping[str, Any] = call.get("function") or {}
                entry = self.calls.setdefault(int(call.get("index", 0)), ["", ""])
                entry[0] += function.get("name") or ""
                entry[1] += function.get("arguments") or ""

    def whole_sentences(self) -> list[str]:
        """Take out the sentences that are certainly complete: all but the last."""
        ready = sentences(self.text)
        if len(ready) < 2:
            return []
        self.text = ready[-1] + (" " if self.text[-1].isspace() else "")
        return ready[:-1]


class ChatBrain:
    """Asks ``{base_url}/chat/completions``. A failure ends the response as failed."""

    name = "chat"

    def __init__(
        self,
        base_url: str,
        *,
        model: str = "default",
        key: str | None = None,
        timeout_s: float = 20.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        base = base_url.rstrip("/")
        self.url = base if base.endswith("/chat/completions") else f"{base}/chat/completions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s
        self._transport = transport

    async def think(self, turn: BrainTurn) -> AsyncIterator[Say | CallTool]:
        """Yield each sentence as soon as it is complete, then the tool calls."""
        import httpx

        answer = _Answer()
        try:
            async with (
                httpx.AsyncClient(timeout=self._timeout_s, transport=self._transport) as client,
                client.stream(
                    "POST", self.url, json=chat_request(turn, self._model), headers=self._headers
                ) as reply,
            ):
                if reply.status_code != OK:
                    detail = (await reply.aread()).decode(errors="replace")[:200]
                    raise ProviderError(f"the chat endpoint answered {reply.status_code}: {detail}")
                async for line in reply.aiter_lines():
                    data = line.removeprefix("data:").strip()
                    if not line.startswith("data:") or not data:
                        continue
                    if data == "[DONE]":
                        break
                    answer.take(json.loads(data))
                    for sentence in answer.whole_sentences():
                        yield Say(sentence)
        except httpx.HTTPError as error:
            raise ProviderError(f"the chat endpoint {self.url} failed: {error!r}") from error
        except ValueError as error:
            raise ProviderError(f"the chat endpoint sent no JSON: {error}") from error
        if answer.text.strip():
            yield Say(answer.text.strip())
        for name, arguments in answer.calls.values():
            yield CallTool(name, _arguments(name, arguments))


def chat_request(turn: BrainTurn, model: str) -> dict[str, Any]:
    """Return the body of the chat request for a turn."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": turn.instructions or turn.session_instructions}
    ]
    for item in list(turn.items)[-HISTORY:]:
        message = _message(item)
        if message is not None:
            messages.append(message)
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
    tools = [tool for tool in turn.tools if tool.get("type", "function") == "function"]
    if tools and turn.tool_choice != "none":
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in tools]
        body["tool_choice"] = _choice(turn.tool_choice)
    return body


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "parameters") if name in tool}


def _choice(choice: Any) -> Any:
    if isinstance(choice, Mapping):
        return {"type": "function", "function": {"name": cast("Mapping[str, Any]", choice).get("name")}}
    return choice


def _message(item: Mapping[str, Any]) -> dict[str, Any] | None:
    match item["type"]:
        case "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
        case _:
            text = text_of(item)
            return {"role": item["role"], "content": text} if text else None


def _arguments(name: str, text: str) -> Mapping[str, Any]:
    value: Any = json.loads(text or "{}") if _is_json(text or "{}") else None
    if not isinstance(value, dict):
        raise ProviderError(f"the chat endpoint called {name} with arguments that are no JSON object")
    return cast("dict[str, Any]", value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
