"""Every act leaves a line in the audit log: each route beyond looking is really used once, and looked up."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.store.kit import record
from voiceagent.console.rights import RULES, Right
from voiceagent.store import Database, audit, history, users
from voiceagent.store.audit import AuditLine, Deed

from .fake_directory import FakeDirectory, a_call
from .kit import BASE, BEARER, PATIENCE_S, FakeDrain, a_client, an_app
from .socket_kit import socket
from .test_deliveries import FakeOutgoing, filled
from .test_phone import FakePhones

_CALL = "/v1/calls/{call_id}"
JUST_LOOKING = {
    # To read the log is not written into it; neither is the list of users or keys.
    ("GET", "/v1/audit"),
    ("GET", "/v1/audit/verify"),
    ("GET", "/v1/users"),
    ("GET", "/v1/keys"),
    ("GET", "/v1/session"),
    # Programs' own: the provider's, proved by its signature, and kept in the call's journal.
    ("POST", "/webhooks/realtime"),
    # Another node's own, proved by its ticket; the node that the operator has asked keeps the line.
    ("WS", "/v1/cluster/calls/{call_id}/listen"),
}
ACTS = [
    (method, path)
    for method, path, right in RULES
    if (method != "GET" or right not in (Right.OPEN, Right.METRICS, Right.VIEW))
    and (method, path) not in JUST_LOOKING
]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/calls": {"to": "+442079460018", "flow": "desk"},
    "/v1/phone": {"sdp": "v=0 offer"},
    f"{_CALL}/responses": {"instructions": "Say hello."},
    f"{_CALL}/tags": {"tag": "later"},
    f"{_CALL}/actions/transfer": {"target": "+442079460018"},
    f"{_CALL}/actions/send_digits": {"digits": "1"},
    f"{_CALL}/actions/note": {"text": "A regular."},
    "/v1/presets": {"name": "other", "instructions": "Say it."},
    "/v1/presets/{preset_id}": {"name": "another", "instructions": "Say it."},
    "/v1/users": {"name": "ben", "role": "viewer", "password": "correct horse battery"},
    "/v1/users/{user_id}": {"role": "operator"},
    "/v1/erasures": {"caller": "+442079460018"},
    "/v1/keys": {"name": "ben's", "role": "viewer"},
    "/v1/session": {"token": BEARER["Authorization"].removeprefix("Bearer ")},
}


class FakeErasures:
    """Writes the line that a real one writes within its transaction."""

    def __init__(self, store: Database) -> None:
        self._store = store

    async def erase(self, caller: str, *, dry_run: bool, by: Deed) -> dict[str, Any]:
        assert not dry_run
        line = replace(by, action="erasure", detail={"calls": []})
        await self._store.run(lambda c: audit.append(c, [line]))
        return {"calls": []}


async def console(store: Database, tmp_path: Path) -> FastAPI:
    for name in ("recordings", "journals"):
        (tmp_path / name).mkdir()
    (tmp_path / "recordings" / "c1.wav").write_bytes(b"sound")
    (tmp_path / "journals" / "c1.ndjson").write_bytes(b"{}\n")
    await store.run(lambda c: history.write(c, record("c1", recording="c1.wav", journal="c1.ndjson")))
    await filled(store)
    directory = FakeDirectory()
    directory.put_call(a_call(recording={"state": "running", "files": ["c1.wav"]}))
    return an_app(
        directory,
        database=store,
        outgoing=FakeOutgoing(),
        phones=FakePhones(),
        drainer=FakeDrain(),
        erasures=FakeErasures(store),
        recordings_dir=str(tmp_path / "recordings"),
        journal_dir=str(tmp_path / "journals"),
    )


async def ids(app: FastAPI, client: httpx.AsyncClient) -> dict[str, str]:
    identity = app.state.parts.identity
    user = await identity.change(lambda c: users.add_user(c, "cat", "viewer", None))
    key, _ = await identity.change(lambda c: users.add_key(c, "dialler", "viewer", created_by="root"))
    preset = (await client.post("/v1/presets", json={"name": "one", "instructions": "Say it."})).json()["id"]
    waiting = (await client.post("/v1/calls/c1/responses", json={"instructions": "x"})).json()["id"]
    found = {"call_id": "c1", "response_id": waiting, "tag": "later", "n": "1"}
    return {**found, "preset_id": preset, "user_id": user.id, "key_id": key.id}


async def lines(app: FastAPI, store: Database) -> list[AuditLine]:
    writing = asyncio.create_task(app.state.parts.audit.run())
    assert await app.state.parts.audit.flush(PATIENCE_S)
    writing.cancel()
    return list(await store.run(lambda c: audit.read(c, limit=500)))


@pytest.mark.parametrize(("method", "route"), ACTS)
async def test_the_act_has_its_line(method: str, route: str, store: Database, tmp_path: Path) -> None:
    app = await console(store, tmp_path)
    async with a_client(app, headers=BEARER) as client:
        known = await ids(app, client)
        before = len(await lines(app, store))
        path = route.format(**known)
        if method == "WS":
            async with socket(app, path, headers=BEARER) as ws:
                assert ws.status == 101
        elif route == "/v1/session/password":
            await own_password(app, client)
            before += 1  # the sign-in's
        else:
            body = None if method in ("GET", "DELETE") else BODIES.get(route, {})
            answer = await client.request(method, path, json=body)
            assert answer.status_code < 300, answer.text
    after = await lines(app, store)
    new = after[: len(after) - before]
    assert len(new) == (2 if method == "WS" else 1), (method, route, new)
    for line in new:
        assert line.peer == "127.0.0.1"
        assert line.actor in ("console.token", "ann")
        for secret in ("correct horse", "v=0 offer", *BODIES["/v1/session"].values()):
            assert secret not in json.dumps([line.target, line.detail])


async def own_password(app: FastAPI, client: httpx.AsyncClient) -> None:
    identity = app.state.parts.identity
    hashed = await identity.hashed("correct horse battery")
    await identity.change(lambda c: users.add_user(c, "ann", "viewer", hashed))
    ours = {"Origin": BASE, "X-Voiceagent-CSRF": "1"}
    async with a_client(app, headers=ours) as page:
        assert (
            await page.post("/v1/session", json={"name": "ann", "password": "correct horse battery"})
        ).is_success
        body = {"current": "correct horse battery", "new": "correct horse battery staple"}
        assert (await page.put("/v1/session/password", json=body)).status_code == 204
