"""Endpoints asked over real sockets of this machine."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.certificates import Authority
from voiceagent import egress
from voiceagent.egress import Resolve, is_public
from voiceagent.ivr.modules import FlowModules
from voiceagent.ivr.toml import endpoints
from voiceagent.ivr.toml.endpoints import EndpointFailed, EndpointRules, ask_endpoint, prepare
from voiceagent.ivr.toml.load import flow_of
from voiceagent.ivr.toml.read import parse_toml_flow

pytestmark = pytest.mark.loopback
HERE = EndpointRules()


@asynccontextmanager
async def server(answer: bytes, seen: list[bytes], tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """Answer one request per connection with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
        )
        seen.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


async def test_the_answer_of_a_real_server_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy in the environment is for others: this machine is asked directly.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    seen: list[bytes] = []
    async with server(http(b'{"a": [1]}', headers="Content-Type: application/json\r\n"), seen) as url:
        answer = await ask_endpoint("POST", f"{url}/x", {"X-Own": "y"}, {"account": "481516"}, HERE)
        assert answer == {"a": [1]}
        assert await ask_endpoint("GET", f"{url}/x", {}, {"a": "b c", "n": 1}, HERE) == {"a": [1]}

    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1")
    assert b"x-own: y" in head.lower()
    assert json.loads(body) == {"account": "481516"}
    assert seen[1].startswith(b"GET /x?a=b+c&n=1 HTTP/1.1") or seen[1].startswith(
        b"GET /x?a=b%20c&n=1 HTTP/1.1"
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (http(b"", "500 Internal Server Error"), "status 500"),
        (http(b"x" * 65_537), "more than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", "could not be asked"),
        (b"nonsense\r\n\r\n", "could not be asked"),
        (http(b"\xff"), "not what it says"),
    ],
    ids=["status", "much", "cut", "nonsense", "no text"],
)
async def test_an_answer_that_is_none_is_told(answer: bytes, told: str) -> None:
    async with server(answer, []) as url:
        with pytest.raises(EndpointFailed, match=told):
            await ask_endpoint("POST", url, {}, {}, HERE)


async def test_nobody_there_is_told_and_so_is_a_missing_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(http(b"7"), []) as url:
        pass
    with pytest.raises(EndpointFailed, match="could not be asked"):
        await ask_endpoint("POST", url, {}, {}, HERE)
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    with pytest.raises(EndpointFailed, match="needs the environment variable SHOP_TOKEN"):
        await ask_endpoint("POST", url, {"X-Token": "env:SHOP_TOKEN"}, {}, HERE)
    with pytest.raises(EndpointFailed, match="not allowed"):
        await ask_endpoint("POST", "https://api.example.com/", {}, {}, HERE)


async def test_https_without_a_certificate_that_counts_is_refused(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("localhost", "localhost", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    seen: list[bytes] = []
    async with server(http(b"7"), seen, context) as url:
        with pytest.raises(EndpointFailed, match="could not be asked"):
            await ask_endpoint("POST", url.replace("http:", "https:"), {}, {}, HERE)
    assert seen == []


async def test_a_redirect_is_not_followed() -> None:
    elsewhere: list[bytes] = []
    seen: list[bytes] = []
    async with server(http(b"7"), elsewhere) as target:
        moved = http(b"", "302 Found", f"Location: {target}/\r\n")
        async with server(moved, seen) as url:
            with pytest.raises(EndpointFailed, match="status 302"):
                await ask_endpoint("GET", url, {}, {}, HERE)
    assert (len(seen), elsewhere) == (1, [])


# ── * means the internet ────────────────────────────────────────────────────────────────────────
ANYWHERE = EndpointRules(("*", "10.0.0.7", "http://192.168.0.9:8080", "*.intern.example"))


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.2", "0.0.0.0", "169.254.169.254", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "::", "::1", "fc00::1", "fe80::1", "fe80::1%eth0", "ff02::1"),
        *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::"),
        *(
            "::10.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b:1::7f00:1",
            "fec0::1",
            "3fff::1",
            "5f00::1",
        ),
        *("2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:7f00:1", "192.88.99.1"),
    ],
)
def test_an_address_of_a_network_of_ones_own_is_not_public(address: str) -> None:
    assert not is_public(address)
    shown = f"[{address}]" if ":" in address else address
    if "%" not in address:
        assert "private" in (ANYWHERE.refusal(f"https://{shown}/") or "") or address == "::1"


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "2606:2800::1", "::ffff:93.184.215.14", "64:ff9b::808:808", "2606:4700::5efe:808:808"],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["https://10.0.0.7/", "http://192.168.0.9:8080/", "https://a.intern.example/", "https://localhost/"],
)
def test_what_is_named_may_be_anywhere(url: str) -> None:
    assert ANYWHERE.refusal(url) is None
    assert not ANYWHERE.public_only(url)


def at(*addresses: str, asked: list[tuple[str, int]] | None = None) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if asked is not None:
            asked.append((host, port))
        return addresses

    return resolve


@pytest.mark.parametrize("others", [(), ("93.184.215.14",)])
@pytest.mark.parametrize("host", ["evil.example", "127.1", "2130706433", "localhost.localdomain"])
async def test_a_name_that_leads_to_a_private_address_is_not_asked(
    host: str, others: tuple[str, ...]
) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with pytest.raises(EndpointFailed, match="private address"):
        await ask_endpoint(
            "GET",
            f"https://{host}/",
            {},
            {},
            EndpointRules(("*",)),
            httpx.MockTransport(never),
            at(*others, "127.0.0.1"),
        )


async def test_a_name_is_asked_at_the_very_address_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path)
    pair = authority.sign("api.example.com", "api.example.com")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(pair.certificate, pair.key)
    ours = ssl.create_default_context(cafile=authority.ca)

    async def trusting() -> ssl.SSLContext:
        return ours

    monkeypatch.setattr(endpoints, "prepared", trusting)
    monkeypatch.setattr(egress, "is_public", lambda address: True)  # there is no other address here
    seen: list[bytes] = []
    asked: list[tuple[str, int]] = []
    async with server(http(b"7"), seen, theirs) as url:
        port = int(url.rpartition(":")[2])
        where = at("127.0.0.2", "127.0.0.1", asked=asked)  # nobody is at the first
        url = f"https://api.example.com:{port}/x"
        assert await ask_endpoint("GET", url, {}, {}, EndpointRules(("*",)), None, where) == "7"
        other = f"https://other.example.com:{port}/x"
        with pytest.raises(EndpointFailed, match="could not be asked"):  # its certificate is another's
            await ask_endpoint("GET", other, {}, {}, EndpointRules(("*",)), None, where)
    assert asked == [("api.example.com", port), ("other.example.com", port)]
    (head,) = seen
    assert f"host: api.example.com:{port}\r\n".encode() in head.lower()


# ── nothing dear on the loop ────────────────────────────────────────────────────────────────────
@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Thread]]:
    """In which threads contexts of TLS are made."""
    made: list[threading.Thread] = []
    make = ssl.create_default_context

    def told(*given: Any, **more: Any) -> ssl.SSLContext:
        made.append(threading.current_thread())
        return make(*given, **more)

    monkeypatch.setattr(ssl, "create_default_context", told)
    prepare.cache_clear()
    yield made
    prepare.cache_clear()


async def test_the_context_of_tls_is_made_once_and_not_on_the_loop(contexts: list[threading.Thread]) -> None:
    async with server(http(b"7"), []) as url:
        for _ in range(2):
            assert await ask_endpoint("GET", url, {}, {}, HERE) == "7"
    assert len(contexts) == 1
    assert contexts[0] is not threading.current_thread()


ASKS = """
[flow]
name = "a"
[steps.x]
type = "call"
url = "http://localhost:1/"
next = "y"
otherwise = "y"
[steps.y]
type = "hangup"
"""


def test_it_is_made_when_a_flow_that_asks_is_loaded(contexts: list[threading.Thread]) -> None:
    flow_of(parse_toml_flow(ASKS), FlowModules(), EndpointRules(offline=True))
    assert contexts == []
    flow_of(parse_toml_flow(ASKS), FlowModules(), HERE)
    assert len(contexts) == 1
