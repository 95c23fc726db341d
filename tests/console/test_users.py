"""Users, keys and the audit log through the API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from fastapi import FastAPI

from voiceagent.console import audit_log
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.store import Database, users
from voiceagent.store.tables import audit as table

from .fake_directory import FakeDirectory, a_call, seen_by_the_console
from .kit import BASE, PATIENCE_S, a_client, an_app

PASSWORD = "correct horse battery"
OURS = {"Origin": BASE, "X-Voiceagent-CSRF": "1"}
FIRST = "the-token-of-the-first-run"


@pytest_asyncio.fixture
async def app(store: Database) -> AsyncIterator[FastAPI]:
    directory = FakeDirectory()
    directory.put_call(a_call())
    console = create_app(
        seen_by_the_console(directory), ConsoleConfig(token=FIRST, token_is_first_run=True), database=store
    )
    writer = asyncio.create_task(console.state.parts.audit.run())
    yield console
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)


def admin(app: FastAPI) -> httpx.AsyncClient:
    return a_client(app, headers={"Authorization": f"Bearer {FIRST}"})


@asynccontextmanager
async def signed_in(app: FastAPI, name: str, password: str = PASSWORD) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(app, headers=OURS) as client:
        answer = await client.post("/v1/session", json={"name": name, "password": password})
        assert answer.status_code == 200, answer.text
        yield client


async def made(app: FastAPI, name: str, role: str) -> dict[str, Any]:
    identity = app.state.parts.identity
    hashed = await identity.hashed(PASSWORD)
    user = await identity.change(lambda c: users.add_user(c, name, role, hashed))
    return {"id": user.id}


async def log(app: FastAPI) -> list[tuple[str, str, str, str]]:
    assert await app.state.parts.audit.flush(PATIENCE_S)
    async with signed_in(app, "ann") as client:
        lines = (await client.get("/v1/audit")).json()["lines"]
    return [(line["actor"], line["action"], line["target"], line["result"]) for line in reversed(lines)]


async def test_the_first_run_makes_an_admin_and_is_over(app: FastAPI) -> None:
    async with admin(app) as client:
        who = (await client.get("/v1/session")).json()
        assert (who["first_run"], who["role"]) == (True, "admin")
        body = {"name": "ann", "role": "admin", "password": PASSWORD}
        answer = await client.post("/v1/users", json=body)
        assert answer.status_code == 201
        assert "hash" not in answer.text
        assert (await client.get("/v1/session")).status_code == 401, "the token is over"
    async with signed_in(app, "ann") as client:
        who = (await client.get("/v1/session")).json()
        assert (who["name"], who["kind"], who["first_run"]) == ("ann", "user", False)
        assert [user["name"] for user in (await client.get("/v1/users")).json()["users"]] == ["ann"]


@pytest.mark.parametrize(
    ("proof", "status", "field"),
    [
        ({"name": "ann", "password": "not the password"}, 401, "password"),
        ({"name": "nobody", "password": PASSWORD}, 401, "password"),
        ({"name": "ANN", "password": PASSWORD}, 401, "password"),
        ({"token": "va_wrong"}, 401, "token"),
        ({"name": "ann"}, 422, "body"),
        ({"name": "ann", "password": PASSWORD, "token": "x"}, 422, "body"),
        ({"name": "ann", "password": 1}, 422, "password"),
        ({}, 422, "body"),
    ],
)
async def test_a_wrong_proof_is_refused_and_kept(
    app: FastAPI, proof: dict[str, Any], status: int, field: str
) -> None:
    await made(app, "ann", "admin")
    async with a_client(app, headers=OURS) as client:
        answer = await client.post("/v1/session", json=proof)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert "set-cookie" not in answer.headers
    refusals = [line for line in await log(app) if line[3] == "unauthenticated"]
    assert len(refusals) == (1 if status == 401 else 0)


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"password": PASSWORD + "!"}, {"disabled": True}])
async def test_a_changed_user_is_signed_out_at_once(app: FastAPI, change: dict[str, Any]) -> None:
    await made(app, "root", "admin")
    ben = await made(app, "ben", "operator")
    async with signed_in(app, "root") as root, signed_in(app, "ben") as client:
        assert (await client.get("/v1/calls")).status_code == 200
        assert (await root.patch(f"/v1/users/{ben['id']}", json=change)).status_code == 200
        assert (await client.get("/v1/calls")).status_code == 401


async def test_one_changes_the_own_password_and_stays(app: FastAPI) -> None:
    await made(app, "ann", "admin")
    async with signed_in(app, "ann") as client, signed_in(app, "ann") as elsewhere:
        wrong = await client.put("/v1/session/password", json={"current": "x", "new": PASSWORD})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "current")
        short = await client.put("/v1/session/password", json={"current": PASSWORD, "new": "short"})
        assert (short.status_code, short.json()["field"]) == (422, "new")
        body = {"current": PASSWORD, "new": PASSWORD * 2}
        assert (await client.put("/v1/session/password", json=body)).status_code == 204
        assert (await client.get("/v1/session")).status_code == 200
        assert (await elsewhere.get("/v1/session")).status_code == 401
    async with signed_in(app, "ann", PASSWORD * 2):
        pass


async def test_the_last_admin_cannot_be_lost(app: FastAPI) -> None:
    ann = await made(app, "ann", "admin")
    async with signed_in(app, "ann") as client:
        for answer in (
            await client.patch(f"/v1/users/{ann['id']}", json={"role": "viewer"}),
            await client.patch(f"/v1/users/{ann['id']}", json={"disabled": True}),
            await client.delete(f"/v1/users/{ann['id']}"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
        assert (await client.get("/v1/session")).status_code == 200


async def test_a_key_works_until_it_is_revoked(app: FastAPI) -> None:
    await made(app, "ann", "admin")
    async with signed_in(app, "ann") as client:
        answer = await client.post("/v1/keys", json={"name": "dialler", "role": "operator"})
        key = answer.json()
        assert (answer.status_code, key["created_by"]) == (201, "ann")
        async with a_client(app, headers={"Authorization": f"Bearer {key['key']}"}) as program:
            spoken = await program.post("/v1/calls/c1/responses", json={"instructions": "Hello"})
            assert spoken.status_code == 202
            low = await program.get("/v1/users")
            assert (low.status_code, low.json()["needs"], low.json()["least_role"]) == (403, "admin", "admin")
            listed = await client.get("/v1/keys")
            assert key["key"] not in listed.text
            assert listed.json()["keys"][0]["used_at"] is not None
            assert (await client.delete(f"/v1/keys/{key['id']}")).json()["revoked_at"] is not None
            assert (await program.get("/v1/calls")).status_code == 401
        assert (await client.delete("/v1/keys/key_none")).status_code == 404
        past = await client.post("/v1/keys", json={"name": "old", "role": "viewer", "expires_at": 5.0})
        assert (past.status_code, past.json()["field"]) == (422, "expires_at")
    told = await log(app)
    assert ("dialler", "call.respond", "c1", "done") in told
    assert [line[1] for line in told if line[1].startswith("key.")] == ["key.add", "key.revoke"]


async def test_every_deed_has_its_line_and_the_chain_is_whole(app: FastAPI) -> None:
    await made(app, "ann", "admin")
    async with signed_in(app, "ann") as client:
        await client.post("/v1/calls/c1/actions/hold", json={})
        await client.post("/v1/calls/c1/actions/hangup", json={})
        assert await app.state.parts.audit.flush(PATIENCE_S)
        verdict = (await client.get("/v1/audit/verify")).json()
        lines = (await client.get("/v1/audit", params={"action": "call."})).json()["lines"]
        export = (await client.get("/v1/audit/export")).text.splitlines()
        bad = await client.get("/v1/audit", params={"limit": 0})
    assert (verdict["whole"], verdict["lines"]) == (True, 3)
    assert verdict["last_hash"] == lines[0]["hash"]
    assert [line["action"] for line in lines] == ["call.hang_up", "call.hold"]
    assert lines[0]["peer"] == "127.0.0.1"
    assert len(export) == 3
    assert (bad.status_code, bad.json()["field"]) == (422, "limit")


async def test_while_the_database_is_away_calls_can_be_ended_and_nothing_is_forgotten(
    app: FastAPI, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voiceagent.store import DatabaseDown

    await made(app, "ann", "admin")
    away = asyncio.Event()
    run = store.run

    async def flaky(work: Any) -> Any:
        if not away.is_set():
            raise DatabaseDown("database is locked")
        return await run(work)

    async with signed_in(app, "ann") as client:
        monkeypatch.setattr(store, "run", flaky)
        monkeypatch.setattr("voiceagent.console.audit.RETRY_S", 0.0)
        assert (await client.post("/v1/calls/c1/actions/hangup", json={})).status_code == 200
        refused = await client.get("/v1/users")
        assert (refused.status_code, refused.json()["code"]) == (503, "database_down")
        away.set()
    assert ("ann", "call.hang_up", "c1", "done") in await log(app)


async def test_without_a_database_the_tokens_of_the_settings_are_the_way_in() -> None:
    async with a_client(an_app(FakeDirectory()), headers=OURS) as client:
        answer = await client.post("/v1/session", json={"name": "ann", "password": PASSWORD})
        assert answer.status_code == 401


def test_a_name_that_nobody_has_is_tried_like_any_other() -> None:
    """A hash that cannot be read would be refused at once, and the time would tell which names there are."""
    hasher = PasswordHasher()
    assert not hasher.check_needs_rehash(users._NOBODYS)
    with pytest.raises(VerifyMismatchError):
        hasher.verify(users._NOBODYS, "correct horse battery")


async def test_a_long_log_is_read_page_by_page(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "PAGE", 2)
    await made(app, "ann", "admin")
    async with signed_in(app, "ann") as client:
        for _ in range(6):
            await client.post("/v1/calls/c1/actions/hold", json={})
        assert await app.state.parts.audit.flush(PATIENCE_S)
        verdict = (await client.get("/v1/audit/verify")).json()
        export = [json.loads(line) for line in (await client.get("/v1/audit/export")).text.splitlines()]
        assert (verdict["whole"], verdict["lines"]) == (True, 7)
        assert [line["n"] for line in export] == [1, 2, 3, 4, 5, 6, 7]
        assert verdict["last_hash"] == export[-1]["hash"]
        assert await app.state.parts.audit.flush(PATIENCE_S)
        spoil = table.update().where(table.c.n == 4).values(actor="somebody else")
        await app.state.parts.identity.read(lambda c: c.execute(spoil))
        verdict = (await client.get("/v1/audit/verify")).json()
    assert (verdict["whole"], verdict["problem"]) == (False, "line 4 has been changed")
    assert verdict["last_hash"] == export[2]["hash"]
