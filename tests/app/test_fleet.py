"""Any node serves the console: orders find the node that has the call, and its answer comes back alike."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.kit import BEARER, a_client
from tests.kit.fleet import FakeFleet
from tests.kit.fleet_nodes import Member, members
from voiceagent.errors import RequestRefused


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


async def asked(member: Member, method: str, path: str, body: Any = None, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with a_client(member.app, headers={**BEARER, **names}) as client:
        return await client.request(method, path, json=body)


async def test_every_node_lists_all_calls_each_with_its_node(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    b.call("c2", started_at=1_700_000_000.0, duration_s=1.0)
    b.call("c3")
    b.local.end_call("c3", "caller_hung_up")
    for one in (a, b):
        listed = (await asked(one, "GET", "/v1/calls?state=live")).json()["calls"]
        assert {(call["id"], call["node"], call["stale"]) for call in listed} == {
            ("c1", "a", False),
            ("c2", "b", False),
        }
    of_b = (await asked(a, "GET", "/v1/calls?node=b")).json()["calls"]
    assert [(call["id"], call["duration_s"]) for call in of_b] == [("c2", 100.0)], "it has gone on since"


async def test_a_trigger_through_another_node_is_spoken_once_whoever_repeats_it(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    b.call("c1")
    body = {"instructions": "Say hello.", "metadata": {"why": "test"}}
    path = "/v1/calls/c1/responses"
    first = await asked(a, "POST", path, body, Idempotency_Key="k1")
    again = await asked(a, "POST", path, body, Idempotency_Key="k1")
    there = await asked(b, "POST", path, body, Idempotency_Key="k1")
    assert [one.status_code for one in (first, again, there)] == [202, 202, 202]
    assert first.json()["request_id"] == again.json()["request_id"] == there.json()["request_id"]
    ((call_id, trigger, operator),) = b.local.spoken
    assert (call_id, trigger.instructions, operator) == ("c1", "Say hello.", "console.token via api")
    assert trigger.metadata == {"why": "test"}
    b.local.end_call("c1", "caller_hung_up")
    late = await asked(a, "POST", path, body, Idempotency_Key="k1")
    assert late.json()["request_id"] == first.json()["request_id"], "what became of it is told after the end"


async def test_a_call_of_ours_is_placed_once_for_a_key_whichever_node_is_asked_again(
    fleet: FakeFleet,
) -> None:
    a, b = await members(fleet, "a", "b")
    body = {"to": "sip:200@example.com", "flow": "front-desk"}

    async def placed(member: Member, key: str) -> tuple[int, str]:
        answer = await asked(member, "POST", "/v1/calls", body, Idempotency_Key=key)
        return answer.status_code, answer.json().get(
            "call_id", answer.json()["code" if answer.is_error else "id"]
        )

    first = await placed(a, "k1")
    assert first[0] == 202
    assert await placed(b, "k1") == await placed(a, "k1") == first
    assert (len(a.local.dialled), len(b.local.dialled)) == (1, 0), "nobody is called twice"
    del a.local._calls[first[1]]
    assert await placed(b, "k1") == (404, "unknown_call"), "it was placed, however long ago"
    assert (await placed(b, "k2"))[0] == 202
    assert len(b.local.dialled) == 1
    fleet.late.add("a")
    assert await placed(b, "k3") == (504, "command_late"), "a may have placed it"
    fleet.late.clear()
    fleet.go_down()
    assert (await placed(b, "k3"))[0] == 202, "calls go on without the registry"


async def test_orders_and_looks_cross(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    b.call("c1", recording={"state": "running", "files": []})
    b.local.timelines["c1"] = {"seconds": 3.0}
    request = (await asked(a, "POST", "/v1/calls/c1/responses", {"instructions": "Hi."})).json()["request_id"]
    shown = (await asked(a, "GET", f"/v1/calls/c1/responses/{request}")).json()
    assert (shown["id"], shown["state"]) == (request, "queued")
    assert (await asked(a, "GET", "/v1/calls/c1/timeline")).json() == {"seconds": 3.0}
    withdrawn = (await asked(a, "DELETE", f"/v1/calls/c1/responses/{request}")).json()
    assert withdrawn["state"] == "withdrawn"
    noted = await asked(a, "POST", "/v1/calls/c1/actions/note", {"text": "A regular."})
    assert [line["text"] for line in noted.json()["transcript"]] == ["A regular."]
    paused = (await asked(a, "POST", "/v1/calls/c1/actions/pause_recording", {})).json()
    assert (paused["recording"]["state"], paused["node"]) == ("paused", "b")
    ended = (await asked(a, "POST", "/v1/calls/c1/actions/hangup", {})).json()
    assert (ended["state"], b.local.hung_up) == ("ended", [("c1", "console.token via api")])
    detail = (await asked(a, "GET", "/v1/calls/c1")).json()
    assert (detail["state"], detail["node"]) == ("ended", "b")
    assert {one["id"] for one in detail["responses"]} == {request}
    await a.directory.tagged("c1", ["later"], operator="ann")
    assert b.local.call("c1").tags == ("later",)


async def test_a_call_that_only_its_journal_knows_is_drawn_from_whichever_node_has_that(
    fleet: FakeFleet,
) -> None:
    a, b, c = await members(fleet, "a", "b", "c")
    c.local.timelines["old"] = {"seconds": 3.0}
    assert (await asked(a, "GET", "/v1/calls/old/timeline")).json() == {"seconds": 3.0}
    assert (await asked(a, "GET", "/v1/calls/older/timeline")).status_code == 404
    assert (await asked(a, "GET", "/v1/calls/old")).status_code == 404
    b.call("c1")
    b.local.end_call("c1", "caller_hung_up")
    fleet.late.add("c")
    assert (await asked(a, "GET", "/v1/calls/c1")).json()["state"] == "ended", "another one is not needed"
    unsure = await asked(a, "GET", "/v1/calls/nobody")
    assert (unsure.status_code, unsure.json()["code"]) == (504, "command_late"), "c might have it"


async def test_refusals_are_the_owners_own(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    b.call("c1")
    b.local.refuse = RequestRefused("target", "is not allowed", code="target_not_allowed")
    there = await asked(b, "POST", "/v1/calls/c1/actions/transfer", {"target": "100"})
    here = await asked(a, "POST", "/v1/calls/c1/actions/transfer", {"target": "100"})
    assert here.status_code == there.status_code == 403
    assert here.json() == there.json()
    b.local.refuse = None
    b.local.most_waiting = 0
    full = await asked(a, "POST", "/v1/calls/c1/responses", {"instructions": "Hi."})
    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    b.local.end_call("c1", "caller_hung_up")
    over = await asked(a, "POST", "/v1/calls/c1/responses", {"instructions": "Hi."})
    assert (over.status_code, over.json()["call_outcome"]) == (409, {"kind": "caller_hung_up"})
    for path in ("/v1/calls/nobody", "/v1/calls/c1/responses/nothing"):
        assert (await asked(a, "GET", path)).status_code == 404


async def test_calls_of_this_node_never_go_over_the_bus(fleet: FakeFleet) -> None:
    a, _ = await members(fleet, "a", "b")
    a.call("c1")
    await asked(a, "POST", "/v1/calls/c1/responses", {"instructions": "Hi."})
    await asked(a, "GET", "/v1/calls/c1")
    assert a.cluster.sent == []


async def test_what_hinders_an_order_is_told_by_whether_it_may_have_been_done(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    b.call("c1")
    path, body = "/v1/calls/c1/responses", {"instructions": "Hi."}

    async def told() -> tuple[int, str, str | None]:
        answer = await asked(a, "POST", path, body, Idempotency_Key="k")
        return answer.status_code, answer.json()["code"], answer.headers.get("Retry-After")

    fleet.late.add("b")
    assert await told() == (504, "command_late", None)
    fleet.late.clear()
    assert b.local.spoken == []
    fleet.mute.add("b")
    assert await asked(a, "GET", "/v1/calls/c1")
    assert (await told())[:2] == (504, "answer_lost")
    fleet.mute.clear()
    fleet.down = True
    assert await told() == (503, "cluster_down", "5")
    fleet.down = False
    del fleet.members["b"]
    assert await told() == (503, "node_gone", "2")


async def test_while_the_registry_is_away_local_calls_go_on_and_others_are_stale(fleet: FakeFleet) -> None:
    a, b = await members(fleet, "a", "b")
    a.call("c1")
    b.call("c2")
    await asked(a, "GET", "/v1/calls")
    fleet.go_down()
    listed = (await asked(a, "GET", "/v1/calls")).json()["calls"]
    assert {(call["id"], call["stale"]) for call in listed} == {("c1", False), ("c2", True)}
    done = await asked(a, "POST", "/v1/calls/c1/responses", {"instructions": "Hi."})
    assert done.status_code == 202
    state = (await asked(a, "GET", "/v1/cluster")).json()
    assert state["stale"].startswith("cluster_down")
    assert [one["name"] for one in state["nodes"]] == ["a"]
    assert (await asked(a, "GET", "/readyz")).json()["parts"]["cluster"].startswith("cluster_down")
    fleet.come_back()
    state = (await asked(a, "GET", "/v1/cluster")).json()
    assert (state["node"], state["shared"], state["stale"]) == ("a", True, "")
    assert [(one["name"], one["state"], one["max_calls"]) for one in state["nodes"]] == [
        ("a", "up", 10),
        ("b", "up", 10),
    ]
    listed = (await asked(a, "GET", "/v1/calls")).json()["calls"]
    assert {(call["id"], call["stale"]) for call in listed} == {("c1", False), ("c2", False)}
