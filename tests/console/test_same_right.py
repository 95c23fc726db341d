"""Whatever way an address is written, the right that is asked for is that of the route it leads to."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from voiceagent.console import auth
from voiceagent.console.rights import Right, Role

from .fake_directory import FakeDirectory, a_call
from .kit import VIEWER, FakeWebhooks, a_client, an_app
from .socket_kit import socket
from .test_door import FAR, TABLE, fill

LOOKS = {"Authorization": f"Bearer {VIEWER}"}
BEYOND = [place for place, least in TABLE.items() if not Role.VIEWER.covers(Role(least))]
"""(method, route) of all that a viewer may not do."""
SPELLINGS = ["{}%0A", "{}%0D", "{}%0D%0A", "{}%00", "{}%09", "{}%7F", "{}%20", "{}%C2%85", "{}%E2%80%A8"]
SPELLINGS += ["/{}", "{}/", "{}//", "{}/.", "{}%2F", "{};a=b", "{}%3B", "{}\\"]
SPELLINGS += ["/.{}", "/%2e{}", "/x/%2e%2e{}", "/v1/%2e%2e{}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_of_an_address_gets_a_viewer_further(spelling: str) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory, webhooks=FakeWebhooks())
    async with a_client(app, peer=FAR) as client:
        for method, route in BEYOND:
            path = spelling.format(fill(route))
            if method == "WS":
                async with socket(app, unquote(path), headers=LOOKS, peer=FAR) as ws:
                    assert ws.status in (0, 403, 404), path
                    assert ws.status or ws.code  # or closed before it was opened
                continue
            answer = await client.request(method, path, headers=LOOKS, json={} if method != "GET" else None)
            leads_nowhere = {403, 404, 405}
            if route == "/v1/history/export":
                leads_nowhere.add(503)  # "export;" may be a call's id; there is no database to look it up
            assert answer.status_code in leads_nowhere, (method, path, answer.status_code)
    assert not directory.hung_up
    assert not directory.spoken


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_no_header_makes_another_method_of_it(header: str) -> None:
    directory = FakeDirectory()
    directory.put_call(a_call())
    async with a_client(an_app(directory), peer=FAR) as client:
        answer = await client.get("/v1/calls/c1", headers={**LOOKS, header: "DELETE"})
        assert answer.status_code == 200
        for method in ("OPTIONS", "TRACE", "CONNECT", "delete", "BREW"):
            answer = await client.request(method, "/v1/calls/c1", headers=LOOKS)
            assert answer.status_code == 405, method


async def test_a_route_asks_again_should_the_door_have_mistaken_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "right_needed", lambda method, path: Right.VIEW)
    directory = FakeDirectory()
    directory.put_call(a_call())
    app = an_app(directory)
    async with a_client(app, peer=FAR) as client:
        for method, route in BEYOND:
            if method == "WS":
                async with socket(app, fill(route), headers=LOOKS, peer=FAR) as ws:
                    assert ws.status == 403
                continue
            answer = await client.request(method, fill(route), headers=LOOKS)
            assert answer.status_code == 403, (method, route)
            assert answer.json()["code"] == "forbidden"
    assert not directory.hung_up
