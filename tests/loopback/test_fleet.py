"""Two whole nodes over a real Redis: a call of one of them is seen, heard and acted on at the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.frequency import strongest
from tests.kit.redis_server import RedisServer, redis_server
from tests.kit.service import events, operator, service, until
from tests.loopback.test_live_listening import (
    AGENT_HZ,
    FLOW,
    OPERATOR_HZ,
    Heard,
    a_call,
    ear,
    speak,
)
from tests.loopback.test_webhooks import a_webhook
from tests.notify.server import receiver
from voiceagent.app.service import Service
from voiceagent.cluster.redis_line import LineDown
from voiceagent.media import live_track
from voiceagent.phone.phone import Phone, PhoneCall

pytestmark = [pytest.mark.loopback, pytest.mark.fleet]

TOKEN = "operator-token-for-tests"
NUMBER = "442079460958"
RECORDED = """
from voiceagent.ivr import Call, flow

@flow("canary", numbers=["100"])
async def canary(call: Call) -> None:
    await call.record("canary")
    await call.say("One two three.")
    await call.hangup("Bye.")
"""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


class Pair:
    """Node ``a``, which is asked, and node ``b``, which has the call."""

    def __init__(self, a: Service, b: Service, at_a: httpx.AsyncClient, at_b: httpx.AsyncClient) -> None:
        self.a, self.b, self.at_a, self.at_b = a, b, at_a, at_b

    async def listed(self) -> dict[str, tuple[str, bool]]:
        """Return node and staleness of every call, as ``a`` lists them."""
        calls = (await self.at_a.get("/v1/calls")).json()["calls"]
        return {call["id"]: (call["node"], call["stale"]) for call in calls}

    async def until_listed(self, call_id: str, node: str, *, stale: bool) -> None:
        async with asyncio.timeout(45):
            while (await self.listed()).get(call_id) != (node, stale):  # noqa: ASYNC110 - a far console
                await asyncio.sleep(0.02)


@asynccontextmanager
async def two_nodes(
    folder: Path, redis: RedisServer, flow: str = FLOW, **settings: Any
) -> AsyncIterator[Pair]:
    """Two nodes of one fleet."""
    flows = folder / "flows.py"
    flows.write_text(flow, encoding="utf-8")
    async with AsyncExitStack() as stack:
        nodes: list[Any] = []
        for number, name in enumerate("ab"):
            running = await stack.enter_async_context(
                service(
                    folder / name,
                    flows=[str(flows)],
                    cluster__url=redis.url,
                    cluster__node=name,
                    cluster__secret="a secret of the fleet",
                    cluster__lease_s=4.0,  # and half of that for an answer of Redis
                    console__token=TOKEN,
                    media__port_low=30000 + 1000 * number,
                    media__port_high=30999 + 1000 * number,
                    recordings_dir=str(folder / name / "recordings"),
                    **settings,
                )
            )
            nodes.append((running, await stack.enter_async_context(operator(running))))
        (a, at_a), (b, at_b) = nodes
        yield Pair(a, b, at_a, at_b)


async def test_a_call_of_another_node_is_acted_on_followed_and_heard(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_nodes(tmp_path, redis) as pair, Phone() as phone, a_call(pair.b, phone) as (_, call_id):
        await pair.until_listed(call_id, "b", stale=False)
        # ── a wish through the other node is spoken once, whoever repeats it ──
        seen = events(pair.at_a)
        kind, _, snapshot = await anext(seen)
        assert (kind, [call["id"] for call in snapshot["calls"]]) == ("snapshot", [call_id])
        path, wish = f"/v1/calls/{call_id}/responses", {"instructions": "Say that it rains."}
        key = {"Idempotency-Key": "k1"}
        answers = [
            await client.post(path, json=wish, headers=key) for client in (pair.at_a, pair.at_b, pair.at_a)
        ]
        assert [one.status_code for one in answers] == [202] * 3
        assert len({one.json()["request_id"] for one in answers}) == 1
        asked = [one for one in pair.b.directory.call(call_id).responses if one.origin == "operator"]
        assert len(asked) == 1
        # ── whoever follows at one node goes on at the other ──
        last = ""
        async with asyncio.timeout(45):
            async for kind, event_id, event in seen:
                if kind == "response.state" and event["data"]["id"] == asked[0].id:
                    assert event["node"] == "b"
                    last = event_id
                    break
        await seen.aclose()
        await pair.at_a.post(f"/v1/calls/{call_id}/actions/note", json={"text": "A regular."})
        async with asyncio.timeout(45):
            async for kind, _, event in (resumed := events(pair.at_b, last)):
                assert kind != "snapshot", "nothing was missed"
                if kind == "transcript.line" and event["data"]["text"] == "A regular.":
                    break
            await resumed.aclose()
        # ── it is heard and taken over there ──
        async with ear(pair.a, call_id) as ws:
            heard = Heard(ws)
            assert strongest(await heard.until_loud(live_track.AGENT, 0.3)) == AGENT_HZ
            taken = await pair.at_a.post(f"/v1/calls/{call_id}/actions/take_over")
            assert taken.json()["taken_over_by"] == "console.token via api"
            speaking = asyncio.create_task(speak(ws, OPERATOR_HZ, 5.0))
            await heard.until_tone(live_track.AGENT, OPERATOR_HZ)
            speaking.cancel()
        await until(lambda: not pair.b.directory.find(call_id).listening.names)
        nodes = (await pair.at_a.get("/v1/cluster")).json()["nodes"]
        assert nodes[0]["name"] == "a"
        ended = await pair.at_a.post(f"/v1/calls/{call_id}/actions/hangup")
        assert (ended.status_code, ended.json()["state"]) == (200, "ended")


async def test_while_redis_is_away_each_node_goes_on_by_itself_and_it_heals(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with two_nodes(tmp_path, redis) as pair, Phone() as phone, a_call(pair.b, phone) as (_, call_id):
        await pair.until_listed(call_id, "b", stale=False)
        path, wish = f"/v1/calls/{call_id}/responses", {"instructions": "Say that it rains."}
        redis.kill()
        await until(lambda: pair.a.fleet.cluster.stale and pair.b.fleet.cluster.stale)
        await pair.until_listed(call_id, "b", stale=True)
        refused = await pair.at_a.post(path, json=wish)
        assert (refused.status_code, refused.json()["code"]) == (503, "cluster_down")
        assert (await pair.at_b.post(path, json=wish)).status_code == 202
        assert (await pair.at_a.get("/v1/cluster")).json()["stale"].startswith("cluster_down")
        assert (await pair.at_b.get("/readyz")).json()["ready"] is True
        seen = events(pair.at_b)
        kind, _, snapshot = await anext(seen)
        assert (kind, snapshot["cluster"]["stale"][:12]) == ("snapshot", "cluster_down")
        await pair.at_b.post(f"/v1/calls/{call_id}/actions/note", json={"text": "Alone."})
        async with asyncio.timeout(45):
            async for kind, _, event in seen:
                if kind == "transcript.line" and event["data"]["text"] == "Alone.":
                    break
            redis.start()
            async for kind, _, event in seen:
                if kind == "snapshot" and event["cluster"]["stale"] == "":
                    break
        await seen.aclose()
        await pair.until_listed(call_id, "b", stale=False)
        async with asyncio.timeout(45):  # its calls may stand there again a moment before it listens
            while (last := await pair.at_a.post(path, json=wish)).status_code != 202:
                assert last.json()["code"] == "node_gone", last.text
                await asyncio.sleep(0.1)


async def test_one_key_at_both_nodes_in_the_same_moment_calls_once(
    tmp_path: Path, redis: RedisServer
) -> None:
    taken: list[PhoneCall] = []

    def answer(call: PhoneCall) -> None:
        taken.append(call)
        call.pick_up()

    async with (
        Phone(user="callee", answer=answer) as phone,
        two_nodes(tmp_path, redis, outbound__allowed=("sip:*@127.0.0.1:*",)) as pair,
    ):
        to = f"sip:callee@127.0.0.1:{phone.address.port}"
        body = {"to": to, "flow": "talker"}
        for key in ("k1", "k2", "k3"):
            answers = await asyncio.gather(
                *(
                    client.post("/v1/calls", json=body, headers={"Idempotency-Key": key})
                    for client in (pair.at_a, pair.at_b, pair.at_a, pair.at_b)
                )
            )
            assert [one.status_code for one in answers] == [202] * 4, [one.text for one in answers]
            (call_id,) = {one.json()["call_id"] for one in answers}
            hung_up = await pair.at_b.post(f"/v1/calls/{call_id}/actions/hangup")
            assert hung_up.status_code == 200, hung_up.text
        assert len(taken) <= 3, "a call that is hung up at once may never have rung"
        ended = [*pair.a.directory.lately_ended, *pair.b.directory.lately_ended]
        assert len(ended) == 3


def knowing(folder: Path) -> list[str]:
    """The files that hold the caller's number."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return [one.name for one in files if NUMBER.encode() in one.read_bytes()]


def told_of(redis: RedisServer, word: str) -> int:
    """How often the fleet's events have a word."""
    count = """
    local found = 0
    for _, entry in ipairs(redis.call('XRANGE', 'va:ev', '-', '+')) do
      for _, part in ipairs(entry[2]) do
        if part:find(ARGV[1], 1, true) then found = found + 1 end
      end
    end
    return found
    """
    return int(redis.tell("EVAL", count, "0", word)[1:])


async def test_a_caller_is_erased_at_one_node_with_what_lies_on_the_other(
    tmp_path: Path, redis: RedisServer
) -> None:
    body = {"caller": f"+{NUMBER}"}
    async with two_nodes(tmp_path, redis, RECORDED) as pair, Phone(user=f"+{NUMBER}") as phone:
        assert pair.b.addresses is not None
        call = phone.dial(f"sip:100@{pair.b.addresses.sip}")
        await call.answered()
        await until(lambda: pair.b.directory.live)
        call_id = pair.b.directory.live[0].id
        await pair.until_listed(call_id, "b", stale=False)
        busy = await pair.at_a.post("/v1/erasures", json=body)
        assert (busy.status_code, busy.json()["code"]) == (409, "call_live")
        await call.over(45)
        await until(lambda: not pair.b.directory.live)
        await pair.b.archive.flush(45)
        assert knowing(tmp_path / "b")
        # The end is what the fleet is told last of a call; then nothing of it is still on its way there.
        await until(lambda: told_of(redis, "call.ended"))
        await until(lambda: not pair.b.fleet.cluster._place.outbox)  # type: ignore[attr-defined]
        assert told_of(redis, NUMBER)
        assert told_of(redis, call_id)
        looked = (await pair.at_a.post("/v1/erasures", json=body | {"dry_run": True})).json()
        assert [one["calls"] for one in looked["nodes"]] == [[call_id]]
        assert knowing(tmp_path / "b"), "only looked at"

        report = (await pair.at_a.post("/v1/erasures", json=body)).json()

        assert report["complete"], report
        (at_b,) = report["nodes"]
        assert (at_b["node"], at_b["result"], at_b["calls"]) == ("b", "done", [call_id])
        assert (at_b["journals"], at_b["recordings"]) == (1, 1)
        assert report["events"] > 3
        assert told_of(redis, NUMBER) == told_of(redis, call_id) == 0
        assert [name for name in knowing(tmp_path) if not name.startswith("voiceagent.db")] == []
        assert list((tmp_path / "b" / "recordings").glob("call_*")) == []
        assert (await pair.at_b.get(f"/v1/history/{call_id}")).json()["caller"] == ""
        (line,) = (await pair.at_b.get("/v1/audit?action=erasure")).json()["lines"]
        assert (line["n"], line["actor"]) == (at_b["audit_line"], "console.token")
        # ── a node that is down is named, for it has to be asked when it is back ──
        await pair.b.stop()
        again = (await pair.at_a.post("/v1/erasures", json=body)).json()
        assert not again["complete"]
        assert [(one["node"], one["result"]) for one in again["nodes"]] == [("b", "node_gone")]


async def test_a_node_that_was_cut_off_tells_once_that_its_call_lives(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    async with (
        receiver(b"HTTP/1.1 204 No Content\r\n\r\n", seen) as port,
        two_nodes(tmp_path, redis, webhooks=a_webhook(port)) as pair,
        Phone() as phone,
        a_call(pair.b, phone) as (_, call_id),
    ):

        def told() -> list[tuple[str, str]]:
            """The events of the call that its node's life is about, with the reason of an end."""
            bodies = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in seen]
            return [
                (one["type"], (one["data"].get("outcome") or {}).get("reason", ""))
                for one in bodies
                if one["type"] in ("call.ended", "call.found_again")
            ]

        await pair.until_listed(call_id, "b", stale=False)
        cluster: Any = pair.b.fleet.cluster
        with monkeypatch.context() as cut:

            async def away(*words: str | int) -> Any:
                raise LineDown("Redis cannot be reached: cut", sent=False)

            cut.setattr(cluster._line, "_ask", away)
            await until(lambda: told() == [("call.ended", "node_lost")])
        await until(lambda: len(told()) == 2)
        assert told()[1] == ("call.found_again", "")
        await pair.until_listed(call_id, "b", stale=False)
        ended = await pair.at_a.post(f"/v1/calls/{call_id}/actions/hangup")
        assert ended.status_code == 200, ended.text
        await until(lambda: len(told()) == 3)
        assert told()[2] == ("call.ended", "operator_hung_up")
        ids = {one.partition(b"webhook-id: ")[2].partition(b"\r\n")[0] for one in seen}
        assert len(ids) == len(seen), "none is dropped as known"
        history = (await pair.at_b.get(f"/v1/history/{call_id}")).json()
        assert history["reason"] == "operator_hung_up"
