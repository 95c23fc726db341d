"""Endpoints asked over real sockets of this machine."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.kit.certificates import Authority
from voiceagent.ivr.toml.endpoints import EndpointFailed, EndpointRules, ask_endpoint

pytestmark = pytest.mark.loopback
HERE = EndpointRules()


@asynccontextmanager
async def server(answer: bytes, seen: list[bytes], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
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
