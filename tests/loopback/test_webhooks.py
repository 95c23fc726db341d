"""A real call, told to a receiver over HTTP; and what waited is sent by the next process."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import operator, service, until
from tests.notify.kit import SECRET
from tests.notify.server import receiver
from voiceagent.phone.phone import Phone
from voiceagent.realtime.webhook_signature import WebhookVerifier

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("short", numbers=["100"])
async def short(call: Call) -> None:
    await call.hangup("Bye.")

@flow("sleeper", numbers=["200"])
async def sleeper(call: Call) -> None:
    await call.say("Hi.")
    await asyncio.Event().wait()
"""
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


def verified(request: bytes) -> dict[str, Any]:
    """Return the body of a webhook that is genuine, with its id."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
    headers = {name.decode().lower(): value.decode() for name, _, value in lines}
    given = headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]
    WebhookVerifier([SECRET]).verify(*given, body, time.time())
    return {"id": headers["webhook-id"], **json.loads(body)}


def a_webhook(port: int, **changes: Any) -> list[dict[str, Any]]:
    return [{"name": "crm", "url": f"http://127.0.0.1:{port}/in/s3cret", "secret": SECRET, **changes}]


@pytest.fixture
def flows(tmp_path: Path) -> list[str]:
    path = tmp_path / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


async def test_a_call_is_told_from_its_start_to_its_end(tmp_path: Path, flows: list[str]) -> None:
    seen: list[bytes] = []
    async with (
        receiver(TAKEN, seen) as port,
        service(tmp_path, flows=flows, webhooks=a_webhook(port)) as running,
        Phone() as phone,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.over(45)
        await until(lambda: len(seen) >= 3)
        async with operator(running) as client:
            listed = (await client.get("/v1/deliveries")).json()
            ended_id = verified(seen[-1])["data"]["id"]
            history = await client.get(f"/v1/history/{ended_id}")
    told = [verified(one) for one in seen]
    assert [one["type"] for one in told] == ["call.started", "response.finished", "call.ended"]
    assert len({one["id"] for one in told}) == 3
    assert told[0]["data"]["id"] == ended_id
    assert told[1]["data"]["outcome"]["kind"] == "completed"
    assert told[2]["data"]["outcome"]["kind"] == "success"
    assert told[2]["data"]["called"]
    assert history.status_code == 200
    assert listed["endpoints"][0]["url"] == f"http://127.0.0.1:{port}"
    assert "s3cret" not in json.dumps(listed)


async def test_an_alert_is_told_everywhere(tmp_path: Path, flows: list[str]) -> None:
    seen: list[bytes] = []
    async with receiver(TAKEN, seen) as port:
        hooks = a_webhook(port, events=["alert.raised", "alert.cleared"])
        settings: dict[str, Any] = {"call__max_calls": 1, "alerts__calm_s": 0.0}
        async with service(tmp_path, flows=flows, webhooks=hooks, **settings) as running, Phone() as phone:
            assert running.addresses is not None
            call = phone.dial(f"sip:200@{running.addresses.sip}")
            await until(lambda: seen)
            async with operator(running) as client:
                (listed,) = (await client.get("/v1/alerts")).json()["alerts"]
                figures = (await client.get("/metrics")).text
            call.hang_up()
            await until(lambda: len(seen) == 2)
    raised, cleared = (verified(one) for one in seen)
    assert (raised["type"], cleared["type"]) == ("alert.raised", "alert.cleared")
    assert raised["data"] == listed
    assert (listed["kind"], listed["text"]) == ("capacity", "1 of 1 calls.")
    assert cleared["data"]["id"] == listed["id"]
    assert 'voiceagent_alerts{kind="capacity"} 1.0' in figures
    assert 'voiceagent_provider_up{provider="embedded"} 1.0' in figures


async def test_the_next_process_sends_what_waited(tmp_path: Path, flows: list[str]) -> None:
    refused: list[bytes] = []
    taken: list[bytes] = []
    waits = {"waits_s": [0.0] * 20, "events": ["call.ended"]}
    async with receiver(b"HTTP/1.1 500 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", refused) as port:
        hooks = a_webhook(port, **(waits | {"waits_s": [3600.0]}))
        async with service(tmp_path, flows=flows, webhooks=hooks) as running, Phone() as phone:
            assert running.addresses is not None
            await phone.dial(f"sip:100@{running.addresses.sip}").over(45)
            await until(lambda: refused)
    first = verified(refused[0])
    database = tmp_path / "journals" / "voiceagent.db"
    assert database.is_file()
    _now_due(database)
    async with (
        receiver(TAKEN, taken) as port,
        service(tmp_path, flows=flows, webhooks=a_webhook(port, **waits)),
    ):
        await until(lambda: taken)
    again = verified(taken[0])
    assert again == first


def _now_due(path: Path) -> None:
    """Let the hour pass."""
    import sqlite3

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE outbox SET next_at = 0")
    connection.close()
