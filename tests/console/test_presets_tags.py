"""``/v1/presets`` and ``/v1/calls/{call}/tags``."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.store.kit import record
from voiceagent.console.models_presets import PresetList
from voiceagent.console.tags import MOST
from voiceagent.store import Database, history

from .fake_directory import FakeDirectory, a_call
from .kit import BEARER, VIEWER, a_client, an_app

LATE: dict[str, Any] = {"name": "Late", "instructions": "Say that we are late.", "metadata": {"a": "b"}}


@pytest.fixture
def directory() -> FakeDirectory:
    directory = FakeDirectory()
    directory.put_call(a_call())
    return directory


@pytest_asyncio.fixture
async def client(directory: FakeDirectory, store: Database):
    async with a_client(an_app(directory, database=store), headers=BEARER) as client:
        yield client


async def test_a_preset_is_made_changed_and_removed(client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/presets", json=LATE)
    assert made.status_code == 201
    path = f"/v1/presets/{made.json()['id']}"
    changed = await client.put(path, json={**LATE, "name": "Very late", "when": "now", "note_only": True})
    assert (changed.status_code, changed.json()["name"]) == (200, "Very late")
    viewer = {"Authorization": f"Bearer {VIEWER}"}
    listed = PresetList.model_validate((await client.get("/v1/presets", headers=viewer)).json())
    assert [(one.name, one.when, one.note_only, one.metadata) for one in listed.presets] == [
        ("Very late", "now", True, {"a": "b"})
    ]
    assert (await client.delete(path)).status_code == 204
    for again in (await client.delete(path), await client.put(path, json=LATE)):
        assert (again.status_code, again.json()["code"]) == (404, "unknown_preset")


async def test_two_presets_of_one_name_are_refused(client: httpx.AsyncClient) -> None:
    await client.post("/v1/presets", json=LATE)
    again = await client.post("/v1/presets", json=LATE)
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (409, "name_taken", "name")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"instructions": ""}, "instructions"),
        ({"when": "soon"}, "when"),
        ({"note_only": "yes"}, "note_only"),
        ({"metadata": {"va.req": "x"}}, "metadata.va.req"),
        ({"metadata": {"k": "x" * 513}}, "metadata.k"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_preset_that_no_call_would_take_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    answer = await client.post("/v1/presets", json={**LATE, **change})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_a_live_call_is_tagged_and_its_view_shows_it(
    client: httpx.AsyncClient, store: Database
) -> None:
    path = "/v1/calls/c1/tags"
    assert (await client.post(path, json={"tag": " refund "})).json() == {"tags": ["refund"]}
    assert (await client.post(path, json={"tag": "refund"})).json() == {"tags": ["refund"]}
    assert (await client.get("/v1/calls/c1")).json()["tags"] == ["refund"]
    await store.run(lambda c: history.write(c, record("c1")))
    assert (await client.get("/v1/history/c1")).json()["tags"] == ["refund"], (
        "it stays when the call has ended"
    )
    assert (await client.delete(f"{path}/refund")).json() == {"tags": []}
    assert (await client.delete(f"{path}/refund")).json() == {"tags": []}
    assert (await client.get("/v1/calls/c1")).json()["tags"] == []


async def test_a_call_of_the_history_is_tagged(client: httpx.AsyncClient, store: Database) -> None:
    await store.run(lambda c: history.write(c, record("old")))
    assert (await client.post("/v1/calls/old/tags", json={"tag": "Straße 1"})).json() == {
        "tags": ["Straße 1"]
    }
    found = await client.get("/v1/history", params={"tag": "Straße 1"})
    assert [call["id"] for call in found.json()["calls"]] == ["old"]
    assert (await client.delete("/v1/calls/old/tags/Straße 1")).json() == {"tags": []}


async def test_an_unknown_call_has_no_tags(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.post("/v1/calls/none/tags", json={"tag": "a"}),
        await client.delete("/v1/calls/none/tags/a"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_call")


@pytest.mark.parametrize("tag", ["", " ", "a/b", "..", "<b>", "a\nb", "x" * 65, "\x00", "=1"])
async def test_what_is_no_tag_is_refused(client: httpx.AsyncClient, tag: str) -> None:
    answer = await client.post("/v1/calls/c1/tags", json={"tag": tag})
    assert (answer.status_code, answer.json()["field"]) == (422, "tag")


async def test_tags_are_bounded_and_need_the_database(client: httpx.AsyncClient, store: Database) -> None:
    def fill(c: Any) -> None:
        for n in range(MOST):
            history.tag(c, "c1", f"t{n}", by="", at=1.0)

    await store.run(fill)
    answer = await client.post("/v1/calls/c1/tags", json={"tag": "more"})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert (await client.post("/v1/calls/c1/tags", json={"tag": "t3"})).status_code == 200
    await store.close()
    assert (await client.post("/v1/calls/c1/tags", json={"tag": "t3"})).status_code == 503
