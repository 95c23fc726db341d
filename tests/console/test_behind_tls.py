"""Behind a proxy that ends TLS: who asks, what cookies and pages must be; nothing else is served far."""

from __future__ import annotations

from typing import Any

import pytest

from voiceagent.console.auth import Policy, asking
from voiceagent.console.config import ConsoleConfig
from voiceagent.errors import ConfigError
from voiceagent.settings import load_settings
from voiceagent.store import Database, audit

from .fake_directory import FakeDirectory
from .kit import BEARER, TOKEN, VIEWER, a_client, an_app, hold_back_for_good
from .test_identity_attacks import lines_of

PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        (PROXY, "192.0.2.7", "192.0.2.7"),
        (PROXY, "6.6.6.6, 192.0.2.7", "192.0.2.7"),
        (PROXY, "6.6.6.6, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        (PROXY, "2001:db8::7", "2001:db8::7"),
        (PROXY, "[2001:db8::7]:4711", "2001:db8::7"),
        (PROXY, "", PROXY),
        (PROXY, "unknown", PROXY),
        (PROXY, "127.0.0.1\x00", PROXY),
        ("192.0.2.9", "127.0.0.1", "192.0.2.9"),
        ("", "127.0.0.1", ""),
    ],
)
def test_only_what_a_trusted_proxy_says_counts(peer: str, forwarded: str, who: str) -> None:
    assert asking(peer, forwarded, (PROXY, "10.0.0.2")) == who


async def test_strangers_behind_a_proxy_do_not_use_up_each_others_sign_ins(store: Database) -> None:
    app = an_app(FakeDirectory(), database=store, trusted_proxies=(PROXY,))
    hold_back_for_good(app)
    async with a_client(app, peer=PROXY) as client:
        for n in range(12):
            told = {"X-Forwarded-For": f"6.6.6.{n}, 192.0.2.66"}
            last = await client.post("/v1/session", json={"token": f"guess{n}"}, headers=told)
        assert last.status_code == 429
        mine = await client.post(
            "/v1/session", json={"token": VIEWER}, headers={"X-Forwarded-For": "192.0.2.7"}
        )
        assert mine.status_code == 200
        client.cookies.clear()
        assert (await client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 401
    await lines_of(app, store)
    peers = [line.peer for line in await store.run(lambda c: audit.read(c))]
    assert set(peers) == {"192.0.2.66", "192.0.2.7"}


@pytest.mark.parametrize(
    ("origin", "host", "secure", "ours"),
    [
        ("https://desk.example.com", "desk.example.com", True, True),
        ("http://desk.example.com", "desk.example.com", True, False),
        ("http://desk.example.com", "desk.example.com", False, True),
        ("http://localhost:8080", "localhost:8080", True, True),
    ],
)
def test_a_page_in_plain_text_is_not_ours_where_there_is_tls(
    origin: str, host: str, secure: bool, ours: bool
) -> None:
    config = ConsoleConfig(token=TOKEN, secure_cookie=secure, allowed_hosts=("desk.example.com",))
    assert Policy(config)._own_origin(origin, host) is ours


async def test_browsers_are_told_to_stay_with_tls_only_where_there_is_some() -> None:
    for secure in (True, False):
        async with a_client(an_app(FakeDirectory(), secure_cookie=secure)) as client:
            answer = await client.get("/v1/calls", headers=BEARER)
        assert ("strict-transport-security" in answer.headers) is secure


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"host": "0.0.0.0"}, "console.host"),
        ({"host": "::"}, "console.host"),
        ({"host": "192.0.2.1"}, "console.host"),
        ({"host": "desk.example.com"}, "console.host"),
        ({"host": "0.0.0.0", "tls_in_front": True}, None),
        ({"host": "0.0.0.0", "plain_http": True}, None),
        ({"host": "0.0.0.0", "enabled": False}, None),
        ({"host": "127.0.0.1"}, None),
        ({"host": "::1"}, None),
        ({"host": "localhost"}, None),
        ({"trusted_proxies": ["proxy.example.com"]}, "console.trusted_proxies"),
    ],
)
def test_nothing_is_served_far_in_plain_text_unless_it_is_said(
    settings: dict[str, Any], refused: str | None
) -> None:
    wanted = {f"console.{name}": value for name, value in settings.items()}
    if refused is None:
        load_settings(None, wanted)
        return
    with pytest.raises(ConfigError) as found:
        load_settings(None, wanted)
    assert found.value.setting == refused
