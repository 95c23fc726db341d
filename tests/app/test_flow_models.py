"""A flow may name the provider's model for its own calls."""

from __future__ import annotations

from typing import Any

from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.virtual_loop import virtual
from voiceagent.app import provider
from voiceagent.app.provider import SessionFactory
from voiceagent.ivr import Call, flow
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal
from voiceagent.settings import Settings


async def nothing(call: Call) -> None:
    """Say nothing."""


@virtual
async def test_the_flows_model_goes_before_the_services(monkeypatch: Any) -> None:
    server = ScriptedProvider()
    urls: list[str] = []

    async def transport(url: str, *_: Any, **__: Any) -> Any:
        urls.append(url)
        return server.transport()

    def model(**options: Any) -> OpenAIRealtimeWebSocketModel:
        given: dict[str, Any] = {**options, "transport": transport}
        return OpenAIRealtimeWebSocketModel(**given)

    monkeypatch.setattr(provider, "OpenAIRealtimeWebSocketModel", model)
    settings = Settings.model_validate({"realtime": {"provider": "openai", "api_key": "k", "model": "big"}})
    sessions = SessionFactory(settings, None)
    for one in (flow("a", model="small")(nothing), flow("b")(nothing)):
        session = await sessions.open(one, "audio/pcmu", Journal(None, None))
        await session.close()
    assert [url.partition("model=")[2] for url in urls] == ["small", "big"]
