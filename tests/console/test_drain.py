"""``/v1/drain``: what is asked of the node, and what becomes of it."""

from __future__ import annotations

import pytest

from .fake_directory import FakeDirectory
from .kit import BEARER, VIEWER, FakeDrain, a_client, an_app

ADMIN = "console.token via api"


async def test_it_is_begun_once_more_with_a_limit_and_taken_back() -> None:
    drain = FakeDrain()
    async with a_client(an_app(FakeDirectory(), drainer=drain), headers=BEARER) as client:
        standing = {"state": "serving", "calls": 2, "limit_in_s": None, "epoch": "run1"}
        assert (await client.get("/v1/drain")).json() == standing
        begun = await client.post("/v1/drain")
        assert (begun.status_code, begun.json()["state"]) == (202, "draining")
        assert (await client.post("/v1/drain", json={"limit_s": 5.5})).status_code == 202
        back = await client.delete("/v1/drain")
        assert (back.status_code, back.json()["state"]) == (200, "serving")
    assert drain.wishes == [("begin", ADMIN, None), ("begin", ADMIN, 5.5), ("resume", ADMIN)]


async def test_it_is_too_late_once_goodbyes_are_said() -> None:
    async with a_client(an_app(FakeDirectory(), drainer=FakeDrain(late=True)), headers=BEARER) as client:
        answer = await client.delete("/v1/drain")
    assert (answer.status_code, answer.json()["code"]) == (409, "drained")


@pytest.mark.parametrize("body", [{"limit_s": -1}, {"limit_s": "60"}, {"limit": 60}])
async def test_a_wrong_limit_changes_nothing(body: dict[str, object]) -> None:
    drain = FakeDrain()
    async with a_client(an_app(FakeDirectory(), drainer=drain), headers=BEARER) as client:
        assert (await client.post("/v1/drain", json=body)).status_code == 422
    assert drain.wishes == []


async def test_who_may_look_may_not_drain() -> None:
    drain = FakeDrain()
    headers = {"Authorization": f"Bearer {VIEWER}"}
    async with a_client(an_app(FakeDirectory(), drainer=drain), headers=headers) as client:
        assert (await client.get("/v1/drain")).status_code == 200
        assert (await client.post("/v1/drain")).status_code == 403
        assert (await client.delete("/v1/drain")).status_code == 403
    assert drain.wishes == []


async def test_a_console_without_a_node_says_so() -> None:
    async with a_client(an_app(FakeDirectory()), headers=BEARER) as client:
        assert (await client.get("/v1/drain")).status_code == 501
