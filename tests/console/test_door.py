"""Who comes in: every route against every credential, and every kind of forged request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from voiceagent.console.app import create_app
from voiceagent.console.auth import Access, Policy, access_needed, cookie_name, new_token
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.limits import KEYS, RateLimit
from voiceagent.console.problems import Problem
from voiceagent.errors import ConfigError

from .fake_directory import FakeDirectory, a_call
from .kit import BASE, BEARER, TOKEN, VIEWER, FakeWebhooks, a_client, an_app, streaming

FAR = "192.0.2.7"
OPEN = ("pass", "pass", "pass", "pass")
VIEW = (401, 401, "pass", "pass")
ACT = (401, 401, 403, "pass")

TABLE: dict[tuple[str, str], tuple[object, ...]] = {
    # (method, route): what nobody, a wrong token, a viewer and an operator get from far away.
    ("GET", "/livez"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/"): OPEN,
    ("GET", "/favicon.ico"): OPEN,
    ("GET", "/static/{name}"): OPEN,
    ("GET", "/v1/openapi.json"): OPEN,
    ("POST", "/v1/session"): OPEN,
    ("GET", "/v1/session"): VIEW,
    ("DELETE", "/v1/session"): VIEW,
    ("GET", "/metrics"): VIEW,
    ("GET", "/v1/events"): VIEW,
    ("GET", "/v1/trunks"): VIEW,
    ("GET", "/v1/flows"): VIEW,
    ("POST", "/v1/flows/reload"): ACT,
    ("GET", "/v1/calls"): VIEW,
    ("POST", "/v1/calls"): ACT,
    ("GET", "/v1/calls/{call_id}"): VIEW,
    ("GET", "/v1/calls/{call_id}/responses"): VIEW,
    ("GET", "/v1/calls/{call_id}/responses/{response_id}"): VIEW,
    ("POST", "/v1/calls/{call_id}/responses"): ACT,
    ("DELETE", "/v1/calls/{call_id}/responses/{response_id}"): ACT,
    ("POST", "/v1/calls/{call_id}/actions/hangup"): ACT,
    ("POST", "/v1/calls/{call_id}/actions/hold"): ACT,
    ("POST", "/v1/calls/{call_id}/actions/resume"): ACT,
    ("POST", "/v1/calls/{call_id}/actions/transfer"): ACT,
    ("POST", "/v1/calls/{call_id}/actions/send_digits"): ACT,
    # Its signature is the credential: never a 401 for want of a token.
    ("POST", "/webhooks/realtime"): OPEN,
}
CREDENTIALS = ("nobody", "wrong", "viewer", "operator")


def fill(path: str) -> str:
    return path.replace("{call_id}", "c1").replace("{response_id}", "r1").replace("{name}", "index.html")


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for path, item in app.openapi()["paths"].items():
        found |= {(method.upper(), path) for method in item}
    for route in walk(app.router.routes):
        methods: set[str] = getattr(route, "methods", None) or set()
        found |= {(method, route.path) for method in methods if method != "HEAD"}
    return found


def walk(routes: list[Any]) -> list[Any]:
    """Flatten routers; newer FastAPI keeps an included router as one entry."""
    flat: list[Any] = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        if isinstance(route, APIRoute) or hasattr(route, "path"):
            flat.append(route)
        elif inner is not None:
            flat += walk(inner.routes)
        else:
            raise AssertionError(f"a route that this test cannot see into: {route!r}")
    return flat


def test_every_route_is_in_the_table() -> None:
    assert routes_of(an_app(FakeDirectory(), webhooks=FakeWebhooks())) == set(TABLE)


def test_without_secrets_there_is_no_webhook_route() -> None:
    assert routes_of(an_app(FakeDirectory())) == set(TABLE) - {("POST", "/webhooks/realtime")}


@pytest.mark.parametrize("via", ["bearer", "cookie"])
@pytest.mark.parametrize("who", CREDENTIALS)
async def test_every_route_for_every_credential(who: str, via: str) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory, metrics=lambda: "up 1\n", webhooks=FakeWebhooks())
    shown = {"nobody": None, "wrong": "wrong-token-wrong-token", "viewer": VIEWER, "operator": TOKEN}[who]
    for (method, route), expected in TABLE.items():
        async with a_client(app, peer=FAR) as client:
            headers: dict[str, str] = {}
            if shown is not None and via == "bearer":
                headers["Authorization"] = f"Bearer {shown}"
            elif shown is not None:
                signed = await client.post("/v1/session", json={"token": shown}, headers={"Origin": BASE})
                assert signed.status_code in (200, 401, 429)
                if who == "wrong":
                    client.cookies.set("voiceagent_session_8080", "wrong-session", domain="localhost.local")
                app.state.parts.sign_ins._buckets.clear()
                headers |= {"Origin": BASE, "X-Voiceagent-CSRF": "1"}
            if route == "/v1/events" and expected[CREDENTIALS.index(who)] == "pass":
                cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
                given = {"Authorization": headers.get("Authorization", ""), "Cookie": cookies}
                status = await stream_status(app, {key: value for key, value in given.items() if value})
            else:
                body = {"token": TOKEN} if route == "/v1/session" else {}
                answer = await client.request(
                    method, fill(route), json=body if method == "POST" else None, headers=headers
                )
                status = answer.status_code
            want = expected[CREDENTIALS.index(who)]
            if want == "pass":
                assert status not in (401, 403, 421), (method, route, who, via, status)
            else:
                assert status == want, (method, route, who, via, status)
    acted = who == "operator"
    assert bool(directory.spoken) is acted
    assert bool(directory.hung_up) is acted


async def stream_status(app: FastAPI, headers: dict[str, str]) -> int:
    async with streaming(app, headers={"authorization": "", **headers}) as reader:
        await reader.raw()
        return reader.status


def test_whatever_is_not_named_needs_a_credential() -> None:
    assert access_needed("GET", "/anything") is Access.VIEW
    assert access_needed("BREW", "/v1/calls") is Access.ACT
    assert access_needed("GET", "/livez/") is Access.VIEW
    assert access_needed("POST", "/v1/session/") is Access.ACT


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
        assert (await client.get("/v1/session")).json() == {"role": "operator", "via": "cookie"}
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
    policy.sign_out(session)
    chunks = [chunk async for chunk in stream.chunks()]
    assert b"signed_out" in chunks[-1]


def loop_now() -> float:
    return asyncio.get_running_loop().time()


def test_sessions_end_by_age_and_by_idleness() -> None:
    policy = Policy(ConsoleConfig(token=TOKEN, session_s=1000, session_idle_s=100))
    found = policy.sign_in(TOKEN, 0.0)
    assert found is not None
    headers = {"host": "localhost", "cookie": f"voiceagent_session={found[0]}"}
    for now in range(0, 1000, 90):
        assert policy.admit("GET", "/v1/calls", headers, FAR, float(now)).via == "cookie"
    with pytest.raises(Problem):
        policy.admit("GET", "/v1/calls", headers, FAR, 1001.0)
    other = policy.sign_in(TOKEN, 2000.0)
    assert other is not None
    with pytest.raises(Problem):
        policy.admit("GET", "/v1/calls", {**headers, "cookie": f"voiceagent_session={other[0]}"}, FAR, 2101.0)


async def test_sign_ins_are_rationed() -> None:
    async with a_client(an_app(FakeDirectory())) as client:
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
        create_app(FakeDirectory(), ConsoleConfig())
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
