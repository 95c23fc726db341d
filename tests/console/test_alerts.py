"""Alerts: a list, and live events."""

from __future__ import annotations

from voiceagent.console.models_alerts import AlertList

from .fake_directory import FakeDirectory
from .kit import BEARER, a_client, an_app, streaming


async def test_alerts_are_listed_and_told_live() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with streaming(app) as reader:
        first = await reader.next()
        assert first is not None
        assert first.type == "snapshot"
        raised = directory.alert("dead_air", call_id="c1")
        event = await reader.next()
        assert event is not None
        assert (event.type, event.data["call_id"], event.data["data"]) == ("alert.raised", "c1", raised)
        directory.alert("dead_air", call_id="c1", id=raised["id"], cleared_at=1_800_000_009.0)
        event = await reader.next()
        assert event is not None
        assert (event.type, event.data["data"]["cleared_at"]) == ("alert.cleared", 1_800_000_009.0)
        directory.finish()
    async with a_client(app, headers=BEARER) as client:
        answer = await client.get("/v1/alerts")
    listed = AlertList.model_validate(answer.json())
    assert [one.id for one in listed.alerts] == [raised["id"]]
