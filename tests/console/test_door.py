"""Who comes in: every route against every credential, and every kind of forged request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from voiceagent.console.app import create_app, routes_of
from voiceagent.console.auth import Policy, cookie_name, new_token
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.limits import KEYS, RateLimit
from voiceagent.console.problems import Problem
from voiceagent.console.rights import LEAST_ROLE, RULES, Right, Role, right_needed, rights_of
from voiceagent.errors import ConfigError
from voiceagent.store import Database, users

from .fake_directory import FakeDirectory, a_call, seen_by_the_console
from .kit import BASE, BEARER, TOKEN, FakeWebhooks, a_client, an_app, hold_back_for_good, streaming
from .socket_kit import socket

FAR = "192.0.2.7"
ROLES = [Role.NOBODY, Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR, Role.ADMIN]
VIAS = ["key", "cookie", "password"]

TABLE: dict[tuple[str, str], str] = {
    # (method, route): the least role that gets in from far away. Written out: a rule that slips is seen.
    ("GET", "/livez"): "nobody",
    ("GET", "/readyz"): "nobody",
    ("GET", "/"): "nobody",
    ("GET", "/favicon.ico"): "nobody",
    ("GET", "/static/{name}"): "nobody",
    ("GET", "/v1/openapi.json"): "nobody",
    ("POST", "/v1/session"): "nobody",
    ("GET", "/v1/session"): "viewer",
    ("DELETE", "/v1/session"): "viewer",
    ("PUT", "/v1/session/password"): "viewer",
    ("GET", "/metrics"): "viewer",
    ("GET", "/v1/events"): "viewer",
    ("GET", "/v1/trunks"): "viewer",
    ("GET", "/v1/flows"): "viewer",
    ("POST", "/v1/flows/reload"): "supervisor",
    ("GET", "/v1/deliveries"): "viewer",
    ("GET", "/v1/alerts"): "viewer",
    ("GET", "/v1/drain"): "viewer",
    ("POST", "/v1/drain"): "admin",
    ("DELETE", "/v1/drain"): "admin",
    ("GET", "/v1/cluster"): "viewer",
    ("POST", "/v1/erasures"): "admin",
    ("POST", "/v1/deliveries/{n}/retry"): "supervisor",
    ("GET", "/v1/calls"): "viewer",
    ("WS", "/v1/calls/{call_id}/listen"): "supervisor",
    ("WS", "/v1/cluster/calls/{call_id}/listen"): "nobody",
    ("POST", "/v1/calls"): "operator",
    ("POST", "/v1/phone"): "operator",
    ("GET", "/v1/calls/{call_id}"): "viewer",
    ("GET", "/v1/calls/{call_id}/timeline"): "viewer",
    ("GET", "/v1/calls/{call_id}/responses"): "viewer",
    ("GET", "/v1/calls/{call_id}/responses/{response_id}"): "viewer",
    ("POST", "/v1/calls/{call_id}/responses"): "operator",
    ("DELETE", "/v1/calls/{call_id}/responses/{response_id}"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/hangup"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/hold"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/resume"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/transfer"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/send_digits"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/take_over"): "supervisor",
    ("POST", "/v1/calls/{call_id}/actions/hand_back"): "supervisor",
    ("POST", "/v1/calls/{call_id}/actions/note"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/pause_recording"): "operator",
    ("POST", "/v1/calls/{call_id}/actions/resume_recording"): "operator",
    ("POST", "/v1/calls/{call_id}/tags"): "operator",
    ("DELETE", "/v1/calls/{call_id}/tags/{tag}"): "operator",
    ("GET", "/v1/presets"): "viewer",
    ("POST", "/v1/presets"): "supervisor",
    ("PUT", "/v1/presets/{preset_id}"): "supervisor",
    ("DELETE", "/v1/presets/{preset_id}"): "supervisor",
    ("GET", "/v1/history"): "viewer",
    ("GET", "/v1/history/export"): "supervisor",
    ("GET", "/v1/history/{call_id}"): "viewer",
    ("GET", "/v1/history/{call_id}/recording"): "supervisor",
    ("GET", "/v1/history/{call_id}/journal"): "supervisor",
    ("GET", "/v1/audit"): "supervisor",
    ("GET", "/v1/audit/verify"): "supervisor",
    ("GET", "/v1/audit/export"): "supervisor",
    ("GET", "/v1/users"): "admin",
    ("POST", "/v1/users"): "admin",
    ("PATCH", "/v1/users/{user_id}"): "admin",
    ("DELETE", "/v1/users/{user_id}"): "admin",
    ("GET", "/v1/keys"): "admin",
    ("POST", "/v1/keys"): "admin",
    ("DELETE", "/v1/keys/{key_id}"): "admin",
    # Its signature is the credential: never a 401 for want of a token.
    ("POST", "/webhooks/realtime"): "nobody",
}


def fill(path: str) -> str:
    for name, value in {"call_id": "c1", "response_id": "r1", "name": "index.html"}.items():
        path = path.replace(f"{{{name}}}", value)
    return re.sub(r"\{\w+\}", "none", path)


def test_every_route_is_in_the_table_and_every_rule_has_a_route() -> None:
    served = routes_of(an_app(FakeDirectory(), webhooks=FakeWebhooks()))
    assert served == set(TABLE)
    assert served == {(method, path) for method, path, _ in RULES}
    told = {(method, path): LEAST_ROLE[right].value for method, path, right in RULES}
    assert told == TABLE


def test_each_role_has_the_rights_of_those_before_it() -> None:
    rights = [set(rights_of(role)) for role in ROLES]
    for less, more in pairwise(rights):
        assert less < more or (less == more)
    assert rights[0] == set()
    assert set(Right) - {Right.OPEN} == rights[-1]


def test_without_secrets_there_is_no_webhook_route() -> None:
    assert routes_of(an_app(FakeDirectory())) == set(TABLE) - {("POST", "/webhooks/realtime")}


@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize("role", ROLES)
async def test_every_route_for_every_role_and_transport(role: Role, via: str, store: Database) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory, metrics=lambda: "up 1\n", webhooks=FakeWebhooks(), database=store)
    async with entered(app, role, via) as (client, headers):
        for (method, route), least in TABLE.items():
            if (method, route) == ("DELETE", "/v1/session"):
                continue  # last
            status = await status_of(app, client, method, route, headers)
            if role.covers(Role(least)):
                assert status not in (401, 403, 421), (method, route, role, via, status)
            else:
                assert status == (401 if role is Role.NOBODY else 403), (method, route, role, via, status)
        ended = await status_of(app, client, "DELETE", "/v1/session", headers)
        assert ended == (401 if role is Role.NOBODY else 204)
    may_act = role.covers(Role.OPERATOR)
    assert bool(directory.spoken) is may_act
    assert bool(directory.hung_up) is may_act


async def status_of(
    app: FastAPI, client: httpx.AsyncClient, method: str, route: str, headers: dict[str, str]
) -> int:
    if route == "/v1/events":
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        given = {"Authorization": headers.get("Authorization", ""), "Cookie": cookies}
        return await stream_status(app, given)
    if method == "WS":
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        async with socket(app, fill(route), headers={**headers, "Cookie": cookies}, peer=FAR) as ws:
            return ws.status
    sends = method in ("POST", "PUT", "PATCH")
    answer = await client.request(method, fill(route), json={} if sends else None, headers=headers)
    app.state.parts.sign_ins._buckets.clear()
    return answer.status_code


@asynccontextmanager
async def entered(
    app: FastAPI, role: Role, via: str
) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str]]]:
    """A client from far away with a credential of ``role``, and the headers that it shows."""
    identity = app.state.parts.identity
    ours = {"Origin": BASE, "X-Voiceagent-CSRF": "1"}
    # Another admin, so that the table may try to remove one.
    await identity.change(lambda c: users.add_user(c, "root", "admin", None))
    async with a_client(app, peer=FAR) as client:
        if role is Role.NOBODY:
            if via == "key":
                yield client, {"Authorization": "Bearer wrong-token-wrong-token"}
            else:
                client.cookies.set("voiceagent_session_8080", "wrong-session", domain="localhost.local")
                yield client, ours if via == "cookie" else {}
            return
        if via == "password":
            hashed = await identity.hashed("correct horse battery")
            await identity.change(lambda c: users.add_user(c, "ann", role.value, hashed))
            proof = {"name": "ann", "password": "correct horse battery"}
        else:
            _, key = await identity.change(
                lambda c: users.add_key(c, "dialler", role.value, created_by="root")
            )
            proof = {"token": key}
        if via == "key":
            yield client, {"Authorization": f"Bearer {proof['token']}"}
            return
        signed = await client.post("/v1/session", json=proof, headers={"Origin": BASE})
        assert signed.json()["role"] == role.value
        yield client, ours


async def stream_status(app: FastAPI, headers: dict[str, str]) -> int:
    async with streaming(app, headers=headers) as reader:
        await reader.raw()
        return reader.status


def test_whatever_is_not_named_needs_a_credential() -> None:
    for method, path in [
        ("GET", "/anything"),
        ("BREW", "/v1/calls"),
        ("GET", "/livez/"),
        ("POST", "/v1/session/"),
    ]:
        assert right_needed(method, path) is Right.VIEW
    assert right_needed("GET", "/static/a/b") is Right.VIEW
    assert right_needed("HEAD", "/v1/users") is Right.ADMIN
    assert right_needed("POST", "/v1/calls/c%2F1/responses") is Right.ACT


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer é",
    ],
)
async def test_malformed_credentials_are_no_credentials(value: str) -> None:
    async with a_client(an_app(FakeDirectory())) as client:
        answer = await client.get("/v1/calls", headers={"Authorization": value.encode()})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


@asynccontextmanager
async def signed_in(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(app) as client:
        answer = await client.post("/v1/session", json={"token": TOKEN}, headers={"Origin": BASE})
        assert answer.status_code == 200
        yield client


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": BASE, "X-Voiceagent-CSRF": "1"}, 202, None),
        ({"X-Voiceagent-CSRF": "1"}, 403, "csrf"),
        ({"Origin": BASE}, 403, "csrf"),
        ({"Origin": "http://evil.example", "X-Voiceagent-CSRF": "1"}, 403, "foreign_origin"),
        ({"Origin": "null", "X-Voiceagent-CSRF": "1"}, 403, "foreign_origin"),
        ({"Origin": "http://localhost:9999", "X-Voiceagent-CSRF": "1"}, 403, "foreign_origin"),
        ({"Origin": "http://localhost:8080.evil.example", "X-Voiceagent-CSRF": "1"}, 403, "foreign_origin"),
        ({"Origin": "http://localhost:bad", "X-Voiceagent-CSRF": "1"}, 403, "foreign_origin"),
        ({"Origin": "https://desk.example.com", "X-Voiceagent-CSRF": "1"}, 202, None),
    ],
)
async def test_a_page_must_prove_itself(headers: dict[str, str], status: int, code: str | None) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    async with signed_in(an_app(directory, allowed_origins=("https://desk.example.com",))) as client:
        answer = await client.post("/v1/calls/c1/responses", json={}, headers=headers)
    assert answer.status_code == status
    assert (status == 202) is bool(directory.spoken)
    if code is not None:
        assert answer.json()["code"] == code


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("console.example.com", True),
        ("evil.example:8080", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("[::2]", False),
        ("", False),
    ],
)
async def test_names_that_are_not_ours_are_turned_away(host: str, passes: bool) -> None:
    app = an_app(FakeDirectory(), allowed_hosts=("console.example.com",))
    async with a_client(app, headers=BEARER) as client:
        answer = await client.get("/v1/calls", headers={"Host": host})
        probe = await client.get("/livez", headers={"Host": host})
    assert answer.status_code == (200 if passes else 421)
    assert probe.status_code == 200


async def test_doubled_headers_are_refused() -> None:
    async with a_client(an_app(FakeDirectory())) as client:
        doubled = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
        assert (await client.get("/v1/calls", headers=doubled)).status_code == 400


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    app = an_app(FakeDirectory(), secure_cookie=True)
    async with a_client(app) as client:
        answer = await client.post("/v1/session", json={"token": TOKEN})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" in cookie
        assert TOKEN not in cookie


def test_consoles_on_other_ports_have_cookies_of_their_own() -> None:
    names = [
        cookie_name(host) for host in ("localhost:8080", "LOCALHOST:8081", "[::1]:8080", "localhost", "a:b")
    ]
    assert names == [
        "voiceagent_session_8080",
        "voiceagent_session_8081",
        "voiceagent_session_8080",
        "voiceagent_session",
        "voiceagent_session",
    ]


async def test_signing_out_ends_the_session() -> None:
    app = an_app(FakeDirectory())
    async with signed_in(app) as client:
        assert (await client.get("/v1/session")).json() == {
            "name": "console.token",
            "kind": "token",
            "role": "admin",
            "via": "cookie",
            "rights": ["metrics", "view", "act", "listen", "manage", "admin"],
            "first_run": False,
        }
        kept = dict(client.cookies)
        ours = {"Origin": BASE, "X-Voiceagent-CSRF": "1"}
        assert (await client.delete("/v1/session", headers=ours)).status_code == 204
        client.cookies.update(kept)
        assert (await client.get("/v1/session")).status_code == 401


async def test_signing_out_ends_the_live_stream_at_its_next_beat() -> None:
    app = an_app(FakeDirectory(), heartbeat_s=0.01)
    async with signed_in(app) as client:
        session = client.cookies["voiceagent_session_8080"]
    policy: Policy = app.state.parts.policy
    visitor = policy.admit(
        "GET",
        "/v1/calls",
        {"host": "localhost:8080", "cookie": f"voiceagent_session_8080={session}"},
        "::1",
        loop_now(),
    )
    stream = app.state.parts.streams.open(None, lambda: policy.still_welcome(visitor, loop_now()))
    policy.sessions.end(session)
    chunks = [chunk async for chunk in stream.chunks()]
    assert b"signed_out" in chunks[-1]


def loop_now() -> float:
    return asyncio.get_running_loop().time()


def test_sessions_end_by_age_and_by_idleness() -> None:
    policy = Policy(ConsoleConfig(token=TOKEN, session_s=1000, session_idle_s=100))
    principal = policy.by_token(TOKEN)
    assert principal is not None
    headers = {"host": "localhost", "cookie": f"voiceagent_session={policy.sessions.begin(principal, 0.0)}"}
    for now in range(0, 1000, 90):
        assert policy.admit("GET", "/v1/calls", headers, FAR, float(now)).via == "cookie"
    with pytest.raises(Problem):
        policy.admit("GET", "/v1/calls", headers, FAR, 1001.0)
    other = policy.sessions.begin(principal, 2000.0)
    with pytest.raises(Problem):
        policy.admit("GET", "/v1/calls", {**headers, "cookie": f"voiceagent_session={other}"}, FAR, 2101.0)


async def test_sign_ins_are_rationed() -> None:
    app = an_app(FakeDirectory())
    hold_back_for_good(app)
    async with a_client(app) as client:
        statuses = [
            (await client.post("/v1/session", json={"token": f"guess{n}"})).status_code for n in range(12)
        ]
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429


async def test_metrics_open_here_closed_elsewhere() -> None:
    closed = an_app(FakeDirectory(), metrics=lambda: "up 1\n")
    opened = an_app(FakeDirectory(), metrics=lambda: "up 1\n", metrics_open=True)
    async with (
        a_client(closed) as here,
        a_client(closed, peer=FAR) as far,
        a_client(opened, peer=FAR) as let_in,
    ):
        assert (await here.get("/metrics")).text == "up 1\n"
        assert (await here.get("/metrics", headers={"X-Forwarded-For": FAR})).status_code == 401
        assert (await far.get("/metrics")).status_code == 401
        assert (await let_in.get("/metrics")).status_code == 200


async def test_readiness_keeps_details_from_strangers() -> None:
    directory = FakeDirectory()
    app = an_app(directory)
    async with a_client(app) as here, a_client(app, peer=FAR) as far:
        assert (await here.get("/readyz")).json()["parts"]["sip"] == "listening"
        assert (await far.get("/readyz")).json() == {"ready": True}
        assert "parts" in (await far.get("/readyz", headers=BEARER)).json()
        directory.is_ready = False
        answer = await far.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False})


async def test_large_bodies_are_refused_declared_or_not() -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory, body_limit=1000)

    async def drip() -> Any:
        for _ in range(11):
            yield b"x" * 100

    async with a_client(app, headers={**BEARER, "Content-Type": "application/json"}) as client:
        declared = await client.post("/v1/calls/c1/responses", content=b"x" * 1001)
        chunked = await client.post("/v1/calls/c1/responses", content=drip())
    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert declared.json()["code"] == "body_too_large"


async def test_a_body_that_breaks_off_has_no_effect() -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"{}", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_message: dict[str, Any]) -> None: ...

    headers = {"host": "localhost", "authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/calls/c1/responses",
        "raw_path": b"",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (FAR, 1),
    }
    await app(scope, receive, send)
    assert messages == []
    assert directory.spoken == []


async def test_a_body_that_never_ends_is_given_up() -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory, body_deadline_s=0.01)

    async def stall() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    async with a_client(app, headers={**BEARER, "Content-Type": "application/json"}) as client:
        answer = await client.post("/v1/calls/c1/responses", content=stall())
    assert answer.status_code == 408
    assert directory.spoken == []


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/v1/calls", "/v1/nothing", "/livez"])
async def test_security_headers_go_out_with_every_answer(path: str) -> None:
    async with a_client(an_app(FakeDirectory())) as client:
        answer = await client.get(path)
    policy = answer.headers["content-security-policy"]
    for part in ("script-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e/app.py", "nothing.js", "__init__.py", ".", "%00"])
async def test_only_the_page_is_served_as_the_page(name: str) -> None:
    async with a_client(an_app(FakeDirectory())) as client:
        assert (await client.get(f"/static/{name}")).status_code in (401, 404)


async def test_the_page_is_sent_once_and_then_confirmed() -> None:
    async with a_client(an_app(FakeDirectory())) as client:
        first = await client.get("/static/main.js")
        assert first.headers["content-type"].startswith("text/javascript")
        again = await client.get("/static/main.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"token": "short"}, "console.token"),
        ({"token": "with spaces in the token"}, "console.token"),
        ({"token": TOKEN, "viewer_token": TOKEN}, "console.viewer_token"),
        ({"port": 70000}, "console.port"),
        ({"host": ""}, "console.host"),
        ({"allowed_origins": ("desk.example.com",)}, "console.allowed_origins"),
        ({"allowed_hosts": ("*",)}, "console.allowed_hosts"),
        ({"body_limit": 0}, "console.body_limit"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as found:
        ConsoleConfig(**settings)
    assert found.value.setting == named


def test_an_open_console_is_never_served() -> None:
    with pytest.raises(ConfigError) as found:
        create_app(seen_by_the_console(FakeDirectory()), ConsoleConfig())
    assert found.value.setting == "console.token"
    assert ConsoleConfig(token=new_token()).token != new_token()


def test_the_bucket_refills_and_forgets() -> None:
    limit = RateLimit(2.0, 2.0)
    assert [limit.take("a", 0.0) for _ in range(2)] == [0.0, 0.0]
    assert limit.take("a", 0.0) == pytest.approx(0.5)
    assert limit.take("a", 0.5) == 0.0
    for n in range(2 * KEYS):
        limit.take(f"k{n}", 1.0)
    assert len(limit._buckets) == KEYS
