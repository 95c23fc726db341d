"""Attacks on who somebody is: races, floods, names that look like others, and what the log keeps of them."""

from __future__ import annotations

import asyncio
import threading
from itertools import islice
from typing import Any

import pytest
from fastapi import FastAPI

from voiceagent.console import identity as identity_module
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.limits import network_of
from voiceagent.console.sessions import MAX_OF_ONE, Sessions
from voiceagent.errors import RequestRefused
from voiceagent.store import Database, audit, users

from .fake_directory import FakeDirectory, a_call, seen_by_the_console
from .kit import BASE, BEARER, PATIENCE_S, VIEWER, a_client, an_app, hold_back_for_good

PASSWORD = "correct horse battery"
FIRST = "the-token-of-the-first-run"
OURS = {"Origin": BASE, "X-Voiceagent-CSRF": "1"}


def first_run(store: Database) -> FastAPI:
    config = ConsoleConfig(token=FIRST, token_is_first_run=True)
    return create_app(seen_by_the_console(FakeDirectory()), config, database=store)


async def lines_of(app: FastAPI, store: Database) -> list[tuple[str, str, str, str]]:
    writing = asyncio.create_task(app.state.parts.audit.run())
    assert await app.state.parts.audit.flush(PATIENCE_S)
    writing.cancel()
    found = await store.run(lambda c: audit.read(c, limit=500))
    return [(line.actor, line.action, line.target, line.result) for line in reversed(found)]


async def test_of_many_who_use_the_first_token_at_once_one_becomes_admin(store: Database) -> None:
    app = first_run(store)
    async with a_client(app, headers={"Authorization": f"Bearer {FIRST}"}) as client:
        bodies = [{"name": f"user{n}", "role": "admin", "password": PASSWORD} for n in range(6)]
        answers = await asyncio.gather(*[client.post("/v1/users", json=body) for body in bodies])
        key = await client.post("/v1/keys", json={"name": "late", "role": "admin"})
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401, 401, 401]
    assert key.status_code == 401
    assert len(await store.run(users.list_users)) == 1


async def test_the_first_token_is_over_though_this_node_has_not_heard_of_the_admin(store: Database) -> None:
    app = first_run(store)
    await store.run(lambda c: users.add_user(c, "ann", "admin", None))  # the command line, another node
    async with a_client(app, headers={"Authorization": f"Bearer {FIRST}"}) as client:
        made = await client.post("/v1/keys", json={"name": "mine", "role": "admin"})
    assert made.status_code == 401
    assert not await store.run(users.list_keys)


async def test_many_who_sign_in_at_once_do_not_pile_up(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = an_app(FakeDirectory(), database=store)
    go_on, most, now = threading.Event(), 0, 0
    lock = threading.Lock()

    def slow(password: str, hashed: str | None) -> bool:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        go_on.wait(20)
        with lock:
            now -= 1
        return False

    monkeypatch.setattr(identity_module.users, "password_is", slow)
    waits = identity_module.WAITING + identity_module.HASHES_AT_ONCE
    async with a_client(app) as client:
        # Each from another address, with another name: nobody's ration is used up.
        clients = [a_client(app, peer=f"192.0.2.{n}") for n in range(waits + 20)]
        body = {"password": PASSWORD}
        trying = [
            asyncio.create_task(one.post("/v1/session", json={**body, "name": f"n{n}"}))
            for n, one in enumerate(clients)
        ]
        for early in islice(asyncio.as_completed(trying), 20):
            answer = await early
            assert (answer.status_code, answer.json()["code"]) == (503, "sign_in_busy")
            assert answer.headers["retry-after"]
        assert (await client.get("/v1/session", headers=BEARER)).status_code == 200
        go_on.set()
        statuses = [(await task).status_code for task in trying]
    assert sorted(statuses) == [401] * waits + [503] * 20
    assert most <= identity_module.HASHES_AT_ONCE


def test_whoever_has_one_address_of_a_network_is_counted_by_all_of_it() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("") == ""


async def test_another_address_of_the_same_network_does_not_begin_anew() -> None:
    app = an_app(FakeDirectory())
    hold_back_for_good(app)
    statuses: list[int] = []
    for n in range(12):
        async with a_client(app, peer=f"2001:db8::{n:x}") as client:
            statuses.append((await client.post("/v1/session", json={"token": f"guess{n}"})).status_code)
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429


async def test_signing_in_again_ends_the_session_before(store: Database) -> None:
    app = an_app(FakeDirectory(), database=store)
    async with a_client(app) as client, a_client(app) as thief:
        for value in ("planted-by-somebody", None):
            if value:
                client.cookies.set("voiceagent_session_8080", value)
            answer = await client.post("/v1/session", json={"token": VIEWER}, headers={"Origin": BASE})
            assert answer.cookies["voiceagent_session_8080"] != value
        client.cookies.clear()
        first = (await client.post("/v1/session", json={"token": VIEWER})).cookies["voiceagent_session_8080"]
        await client.post("/v1/session", json={"token": VIEWER}, headers=OURS)
        thief.cookies.set("voiceagent_session_8080", first)
        assert (await thief.get("/v1/session")).status_code == 401
        assert (await client.get("/v1/session")).status_code == 200


async def test_nobody_pushes_out_others_by_signing_in_again_and_again() -> None:
    app = an_app(FakeDirectory())
    policy = app.state.parts.policy
    other, busy = policy.by_token("operator-token-for-tests"), policy.by_token(VIEWER)
    sessions = Sessions(longest_s=1e9, idle_s=1e9, still=lambda principal: principal)
    kept = sessions.begin(other, 0.0)
    ids = [sessions.begin(busy, 1.0 + n) for n in range(2000)]
    assert sessions.get(kept, 3000.0) == other
    assert sum(sessions.get(one, 3000.0) is not None for one in ids) == MAX_OF_ONE


@pytest.mark.parametrize(
    "name", ["ann", "ANN", "ａｎｎ", "nobody", "Console.Token", "first run", "FIRST RUN"]
)
async def test_no_two_names_can_be_taken_for_one_another(store: Database, name: str) -> None:
    await store.run(lambda c: users.add_user(c, "ann", "viewer", None))
    for work in (
        lambda c: users.add_user(c, name, "admin", None),
        lambda c: users.add_key(c, name, "admin", created_by="root"),
    ):
        with pytest.raises(RequestRefused) as found:
            await store.run(work)
        assert (found.value.field, found.value.code) == ("name", "name_taken")


async def test_a_key_may_have_the_name_of_the_key_it_replaces_but_no_user_may(store: Database) -> None:
    for _ in range(2):
        await store.run(lambda c: users.add_key(c, "dialler", "operator", created_by="root"))
    with pytest.raises(RequestRefused):
        await store.run(lambda c: users.add_user(c, "Dialler", "viewer", None))


async def test_a_password_in_the_wrong_field_is_not_kept(store: Database) -> None:
    app = an_app(FakeDirectory(), database=store)
    identity = app.state.parts.identity
    await identity.change(lambda c: users.add_user(c, "ann", "viewer", None))
    async with a_client(app) as client:
        for name in (PASSWORD, "ann"):
            await client.post("/v1/session", json={"name": name, "password": "x"})
    told = await lines_of(app, store)
    assert [line[2] for line in told] == ["", "ann"]


async def test_refused_tries_of_somebody_known_are_kept_within_bounds(store: Database) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory, database=store)
    async with a_client(app, headers={"Authorization": f"Bearer {VIEWER}"}) as client:
        for _ in range(100):
            answer = await client.post("/v1/calls/c1/actions/hangup", json={})
            assert answer.status_code == 403
        await client.get("/v1/users", headers={"Authorization": "Bearer nobody-at-all-nobody"})
    told = await lines_of(app, store)
    assert set(told) == {
        ("console.viewer_token", "door.refused", "POST /v1/calls/c1/actions/hangup", "forbidden")
    }
    assert 20 <= len(told) < 50


async def test_a_forged_request_with_somebodys_cookie_is_kept(store: Database) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory, database=store)
    async with a_client(app) as client:
        await client.post("/v1/session", json={"token": VIEWER})
        await client.post("/v1/calls/c1/actions/hangup", json={}, headers={"X-Voiceagent-CSRF": "1"})
    assert (await lines_of(app, store))[-1][1:] == (
        "door.refused",
        "POST /v1/calls/c1/actions/hangup",
        "csrf",
    )


async def test_strangers_may_send_little() -> None:
    body: dict[str, Any] = {"token": "x" * 20_000}
    async with a_client(an_app(FakeDirectory())) as client:
        assert (await client.post("/v1/session", json=body)).status_code == 413


@pytest.mark.parametrize("code", ["denied_target", "target_not_allowed"])
async def test_who_wanted_somebody_called_that_may_not_be_is_kept(store: Database, code: str) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    directory.refuse = RequestRefused("to", "may not be called", code=code)
    app = an_app(directory, database=store)
    async with a_client(app, headers=BEARER) as client:
        dialled = await client.post("/v1/calls", json={"to": "+882123", "flow": "desk"})
        sent = await client.post("/v1/calls/c1/actions/transfer", json={"target": "+882123"})
    assert (dialled.status_code, sent.status_code) == (403, 403)
    assert await lines_of(app, store) == [
        ("console.token", "call.dial", "", code),
        ("console.token", "call.transfer", "c1", code),
    ]
