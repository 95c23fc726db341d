"""The time line over the API: as the directory tells it, in the shape that the document promises."""

from __future__ import annotations

from pathlib import Path

from voiceagent.app.timelines import read_timeline
from voiceagent.console.models_timeline import TimelineModel

from .fake_directory import FakeDirectory
from .kit import BEARER, a_client, an_app

DEMO = Path(__file__).parents[1] / "simulate" / "demo.jsonl"


async def test_the_time_line_of_a_call() -> None:
    directory = FakeDirectory()
    directory.timelines["c1"] = {**read_timeline(DEMO)}
    async with a_client(an_app(directory)) as client:
        answer = await client.get("/v1/calls/c1/timeline", headers=BEARER)
        missing = await client.get("/v1/calls/c2/timeline", headers=BEARER)
    assert answer.status_code == 200
    assert answer.json() == directory.timelines["c1"]
    TimelineModel.model_validate(answer.json())
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_call")


async def test_half_a_character_in_a_mark_breaks_nothing() -> None:
    directory = FakeDirectory()
    told = {**read_timeline(DEMO), "marks": [{"at": 1.0, "kind": "tool", "text": "\ud800"}]}
    directory.timelines["c1"] = told
    async with a_client(an_app(directory)) as client:
        answer = await client.get("/v1/calls/c1/timeline", headers=BEARER)
    assert answer.json()["marks"][0]["text"] == "?"
