"""A real caller is erased from a running service: no file and no answer of it knows them any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import events, operator, service, until
from voiceagent.phone.phone import Phone
from voiceagent.store import Database, audit

pytestmark = pytest.mark.loopback

FLOW = """
from voiceagent.ivr import Call, flow

@flow("canary", numbers=["100"])
async def canary(call: Call) -> None:
    await call.record("zither")
    await call.say("Zither number seven.")
    await call.hangup("Bye.")
"""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NUMBER = "442079460958"
CANARIES = (NUMBER.encode(), b"zither", b"Zither")


def holding(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "flows.py"]
    bodies = {path.name: path.name.encode() + path.read_bytes() for path in files}
    return sorted(name for name, body in bodies.items() if any(word in body for word in CANARIES))


async def test_a_caller_is_erased(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOW, encoding="utf-8")
    hooks: list[dict[str, Any]] = [{"name": "crm", "url": "http://127.0.0.1:9/", "secret": SECRET}]
    async with (
        service(
            tmp_path,
            flows=[str(tmp_path / "flows.py")],
            recordings_dir=str(tmp_path / "recordings"),
            webhooks=hooks,
        ) as running,
        Phone(user=f"+{NUMBER}") as phone,
        Phone(user="+4930111111") as other,
        operator(running) as client,
    ):
        assert running.addresses is not None
        target = f"sip:100@{running.addresses.sip}"
        seen = events(client)
        await anext(seen)
        elses = other.dial(target)
        call = phone.dial(target)
        await call.answered()
        await until(lambda: len(running.directory.live) == 2)
        mine = next(one.id for one in running.directory.live if NUMBER in one.info.caller)
        theirs = next(one.id for one in running.directory.live if one.id != mine)
        body = {"caller": "+44 20 7946 0958"}
        busy = await client.post("/v1/erasures", json=body)
        assert (busy.status_code, busy.json()["code"]) == (409, "call_live")
        await client.post(f"/v1/calls/{mine}/tags", json={"tag": "zither"})
        await client.post(f"/v1/calls/{mine}/actions/note", json={"text": f"Zither, {NUMBER}"})
        await call.over(45)
        await elses.over(45)
        await until(lambda: not running.directory.live)
        _, first, _ = await anext(seen)
        async for kind, _, told in seen:
            if kind == "call.ended" and told["call_id"] == mine:
                break
        await seen.aclose()
        await running.archive.flush(45)
        assert len(holding(tmp_path)) >= 4

        report = (await client.post("/v1/erasures", json=body)).json()

        assert report["complete"], report
        assert [one["call_id"] for one in report["calls"]] == [mine]
        assert (await client.get(f"/v1/calls/{mine}")).status_code == 404
        back = events(client, after=first)
        kind, _, told = await anext(back)
        assert kind == "snapshot", "what was told before is not given out again"
        assert NUMBER not in json.dumps(told)
        await back.aclose()
        kept = (await client.get(f"/v1/history/{mine}")).json()
        assert (kept["caller"], kept["transcript"], kept["responses"], kept["recordings"]) == ("", [], [], [])
        assert kept["outcome"] == "success"
        assert (await client.get(f"/v1/history/{theirs}")).json()["caller"] == "+4930111111"
        assert (await client.get(f"/v1/calls/{theirs}")).status_code == 200
        assert (await client.get("/v1/audit/verify")).json()["whole"]
        # The other caller heard the same words; theirs stay. All else is the erased one's.
        left = [name for name in holding(tmp_path) if theirs not in name]
        assert all(name.startswith(("voiceagent.db", "recordings.jsonl")) for name in left), left
        for name in ("voiceagent.db", "voiceagent.db-wal"):
            assert NUMBER.encode() not in (tmp_path / "journals" / name).read_bytes()
        erase_other = await client.post("/v1/erasures", json={"caller": "+4930111111"})
        assert erase_other.json()["complete"]
        assert holding(tmp_path) == []
    store = Database(f"sqlite:///{tmp_path}/journals/voiceagent.db")
    store.open_now()
    lines = store.run_now(lambda c: audit.read(c, action="erasure"))
    store.close_now()
    assert [line.result for line in lines] == ["done", "done", "call_live"]
    assert json.loads(lines[1].detail)["sha256"] == report["sha256"]
    assert holding(tmp_path) == [], "nor did anything come back at the end"
