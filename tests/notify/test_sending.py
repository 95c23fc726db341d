"""One attempt over real sockets: bounded in time and size, no redirects, no way into private networks."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kit.certificates import Authority
from tests.notify.kit import an_endpoint
from tests.notify.server import receiver
from voiceagent import egress
from voiceagent.notify import sending
from voiceagent.notify.sending import send

pytestmark = pytest.mark.loopback
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


async def test_what_goes_out() -> None:
    seen: list[bytes] = []
    async with receiver(b"HTTP/1.1 204 No Content\r\n\r\n", seen) as port:
        endpoint = an_endpoint(url=f"http://127.0.0.1:{port}/in?a=b")
        answer = await send(endpoint, {"webhook-id": "msg_1", "Content-Type": "application/json"}, b"{}")
    assert (answer.status, answer.error) == (204, "")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /in?a=b HTTP/1.1\r\n")
    assert b"webhook-id: msg_1" in head
    assert b"application/json" in head
    assert b"User-Agent: voiceagent/" in head
    assert body == b"{}"


async def test_a_redirect_is_a_failure_and_leads_nowhere() -> None:
    seen: list[bytes] = []
    sentinel: list[bytes] = []
    async with receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", sentinel) as inner:
        told = f"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:{inner}/\r\nContent-Length: 0\r\n\r\n".encode()
        async with receiver(told, seen) as port:
            answer = await send(an_endpoint(url=f"http://localhost:{port}/"), {}, b"{}")
    assert answer.status == 307
    assert (len(seen), len(sentinel)) == (1, 0)


async def test_time_to_try_again_is_read() -> None:
    told = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n"
    async with receiver(told, []) as port:
        answer = await send(an_endpoint(url=f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert (answer.status, answer.retry_after_s) == (429, 17.0)


async def test_an_endless_answer_is_not_read() -> None:
    async with receiver(b"HTTP/1.1 200 endless\r\nContent-Length: 99999999999\r\n\r\n", []) as port:
        answer = await send(an_endpoint(url=f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert answer.status == 200


async def test_silence_ends() -> None:
    async with receiver(b"", []) as port:
        answer = await send(an_endpoint(url=f"http://127.0.0.1:{port}/", timeout_s=0.3), {}, b"{}")
    assert (answer.status, answer.error) == (None, "no answer within 0.3 s")


@pytest.mark.parametrize("told", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_what_is_no_http_is_no_answer(told: bytes) -> None:
    async with receiver(told, []) as port:
        answer = await send(an_endpoint(url=f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert answer.status is None
    assert "RemoteProtocolError" in answer.error


async def test_nobody_there() -> None:
    async with receiver(b"", []) as port:
        pass
    answer = await send(an_endpoint(url=f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert answer.status is None


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["203.0.113.9", "10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fd00::1"],
        ["0.0.0.0"],
        ["192.168.1.1"],
        ["100.64.0.1"],
    ],
)
async def test_a_name_that_leads_inside_is_not_followed(found: Sequence[str]) -> None:
    seen: list[bytes] = []
    async with receiver(b"HTTP/1.1 200 OK\r\n\r\n", seen) as port:

        async def resolve(host: str, at: int) -> Sequence[str]:
            return found

        answer = await send(an_endpoint(url=f"https://hooks.example.com:{port}/"), {}, b"{}", resolve=resolve)
    assert answer.status is None
    assert "private" in answer.error
    assert seen == []


async def test_a_name_is_asked_at_the_very_address_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("hooks.example.com", "hooks.example.com")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(pair.certificate, pair.key)
    ours = ssl.create_default_context(cafile=authority.ca)

    async def trusting() -> ssl.SSLContext:
        return ours

    monkeypatch.setattr(sending, "prepared", trusting)
    monkeypatch.setattr(egress, "is_public", lambda address: True)  # there is no other address here
    asked: list[str] = []

    async def resolve(host: str, at: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    seen: list[bytes] = []
    async with receiver(b"HTTP/1.1 204 x\r\n\r\n", seen, theirs) as port:
        right = await send(an_endpoint(url=f"https://hooks.example.com:{port}/"), {}, b"{}", resolve=resolve)
        wrong = await send(an_endpoint(url=f"https://other.example.com:{port}/"), {}, b"{}", resolve=resolve)
    assert right.status == 204
    assert b"Host: hooks.example.com:%d" % port in seen[0]
    assert (wrong.status, len(seen)) == (None, 1)  # its certificate is another's
    assert asked == ["hooks.example.com", "other.example.com"]
