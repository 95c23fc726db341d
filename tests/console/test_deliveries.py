"""Deliveries are seen by everybody; a dead one is tried again by a supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from voiceagent.console.models_notify import DeliveryList, DeliveryModel
from voiceagent.store import Database, audit, outbox

from .fake_directory import FakeDirectory
from .kit import BEARER, PATIENCE_S, a_client, an_app


class FakeOutgoing:
    """One endpoint; remembers who was woken."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def endpoints(self) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "name": "crm",
                "url": "https://hooks.example.com",
                "events": ["call.ended"],
                "state": "failing",
                "last_error": "answered with status 500",
            }
        ]

    def wake(self, endpoint: str) -> bool:
        self.woken.append(endpoint)
        return True


async def filled(store: Database, count: int = 3) -> None:
    def fill(c: Any) -> None:
        for n in range(1, count + 1):
            outbox.put(
                c,
                ["crm"],
                event_id=f"msg_{n}",
                kind="call.ended",
                call_id=f"c{n}",
                payload='{"caller":"+44"}',
                at=float(n),
            )
        outbox.failed(c, 1, status=500, error="answered with status 500", at=5.0, retry_at=None)
        outbox.delivered(c, 2, status=204, at=6.0)
        outbox.put(c, ["old"], event_id="msg_9", kind="call.ended", call_id="c9", payload="{}", at=9.0)
        outbox.give_up(c, "old", error="the endpoint is not in the settings any more", at=9.0)

    await store.run(fill)


async def test_they_are_listed_by_state_and_page_by_page(store: Database) -> None:
    await filled(store)
    app = an_app(FakeDirectory(), database=store, outgoing=FakeOutgoing())
    async with a_client(app, headers=BEARER) as client:
        everything = (await client.get("/v1/deliveries")).json()
        dead = (await client.get("/v1/deliveries", params={"state": "dead"})).json()
        first = (await client.get("/v1/deliveries", params={"limit": 3})).json()
        rest = (await client.get("/v1/deliveries", params={"limit": 3, "before": first["next"]})).json()
        wrong = await client.get("/v1/deliveries", params={"state": "lost"})
    DeliveryList.model_validate(everything)
    assert [one["id"] for one in everything["deliveries"]] == ["msg_9", "msg_3", "msg_2", "msg_1"]
    assert everything["counts"] == {"waiting": 1, "delivered": 1, "dead": 2}
    assert everything["endpoints"][0]["state"] == "failing"
    assert everything["next"] is None
    assert [one["id"] for one in dead["deliveries"]] == ["msg_9", "msg_1"]
    assert "payload" not in dead["deliveries"][0]
    assert [len(first["deliveries"]), len(rest["deliveries"]), rest["next"]] == [3, 1, None]
    assert wrong.status_code == 422


async def test_a_dead_one_is_tried_again(store: Database) -> None:
    await filled(store)
    outgoing = FakeOutgoing()
    app = an_app(FakeDirectory(), database=store, outgoing=outgoing)
    async with a_client(app, headers=BEARER) as client:
        answer = await client.post("/v1/deliveries/1/retry")
        again = await client.post("/v1/deliveries/1/retry")
        delivered = await client.post("/v1/deliveries/2/retry")
        stranger = await client.post("/v1/deliveries/4/retry")
        unknown = await client.post("/v1/deliveries/77/retry")
    assert answer.status_code == 202
    told = DeliveryModel.model_validate(answer.json())
    assert (told.id, told.state, told.attempts) == ("msg_1", "waiting", 0)
    assert outgoing.woken == ["crm"]
    assert (again.status_code, again.json()["code"]) == (409, "not_dead")
    assert (delivered.status_code, delivered.json()["code"]) == (409, "not_dead")
    assert (stranger.status_code, stranger.json()["code"]) == (409, "unknown_endpoint")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_delivery")
    writer = asyncio.create_task(app.state.parts.audit.run())
    assert await app.state.parts.audit.flush(PATIENCE_S)
    writer.cancel()
    lines = await store.run(lambda c: audit.read(c, action="delivery."))
    assert [(line.action, line.target) for line in lines] == [("delivery.retry", "msg_1")]
