"""The calls REST beside the WebSocket: what is refused, and how."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine_hosted.kit import SESSION, hosting
from voiceagent.engine.config import EngineConfig
from voiceagent.engine.hosted_door import BadRequest, HttpAnswer, body_length, read_head

pytestmark = pytest.mark.loopback


async def test_a_forged_key_changes_nothing() -> None:
    async with hosting(config=EngineConfig(seed=1, api_key="right")) as host:
        call, call_id = await host.offered()
        for value in ("Bearer wrong", "right", "", "bearer right", "Bearer right"):
            path = f"/v1/realtime/calls/{call_id}/accept"
            given_headers = {"Authorization": value}
            answer = await host.rest.post(path, json=SESSION, headers=given_headers)
            expected = 200 if value == "Bearer right" else 401
            assert answer.status_code == expected, value
            if expected == 401:
                assert answer.json()["error"]["code"] == "invalid_api_key"
                assert not call.figures.setup_ms
        await call.answered()


BROKEN: list[tuple[Any, str, str | None]] = [
    ({}, "missing_required_parameter", "type"),
    ({"type": "transcription"}, "invalid_value", "type"),
    ({"type": "realtime", "nonsense": 1}, "unknown_parameter", "nonsense"),
    ({"type": "realtime", "instructions": 5}, "invalid_type", "instructions"),
    (
        {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "psychic"}}}},
        "invalid_value",
        "audio.input.turn_detection.type",
    ),
    ({"type": "realtime", "output_modalities": ["smell"]}, "invalid_value", "output_modalities[0]"),
    ([], "invalid_type", ""),
]


@pytest.mark.parametrize(("body", "code", "param"), BROKEN)
async def test_a_broken_configuration_is_refused_and_the_call_rings_on(
    body: Any, code: str, param: str | None
) -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        answer = await host.post(call_id, "accept", body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")
        assert error["message"]
        await host.accept(call_id)
        await call.answered()


async def test_other_broken_requests() -> None:
    async with hosting() as host:
        _, call_id = await host.offered()
        base = f"/v1/realtime/calls/{call_id}"
        for verb, body, status in (
            ("reject", {"status_code": 200}, 400),
            ("reject", {"status_code": "486"}, 400),
            ("refer", {}, 400),
            ("refer", {"target_uri": "https://example.com"}, 400),
            ("refer", {"target_uri": "sip:a@b\r\nX-Evil: 1"}, 400),
            ("refer", {"target_uri": "sip:a@b>;evil"}, 400),
            ("refer", {"target_uri": "sip:a@b"}, 409),
            ("hangup", {}, 409),
        ):
            answer = await host.post(call_id, verb, body)
            assert answer.status_code == status, (verb, body)
        assert (await host.rest.post(f"{base}/accept", content=b"{")).json()["error"][
            "code"
        ] == "invalid_json"
        assert (await host.rest.post(f"{base}/accept", content=b"[" * 100_000)).status_code == 400
        assert (await host.rest.post(f"{base}/explode")).status_code == 404
        assert (await host.rest.post("/v1/realtime/calls//accept")).status_code == 404
        assert (await host.rest.post("/elsewhere")).status_code == 404
        put = await host.rest.put(f"{base}/accept")
        assert (put.status_code, put.headers["allow"]) == (405, "POST")
        assert (await host.post("rtc_unknown", "accept", SESSION)).status_code == 404


async def test_call_ids_may_be_percent_encoded() -> None:
    async with hosting() as host:
        call, call_id = await host.offered()
        answer = await host.post(call_id.replace("_", "%5F"), "accept", SESSION)
        assert answer.status_code == 200
        await call.answered()


async def raw_http(host: str, data: bytes) -> bytes:
    """Send bytes to the listener, and read until it closes."""
    address, _, port = host.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(45):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_garbage_on_the_listener() -> None:
    dice = random.Random(7)
    cases: list[tuple[bytes, bytes]] = [
        (b"POST / HTTP/2.0\r\n\r\n", b"400"),
        (b"POST /\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nA : b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\n folded: b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", b"431"),
        (b"POST /x HTTP/1.0\r\n\r\n", b"404"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhi", b""),
        (b"PO", b""),
    ]
    async with hosting() as host:
        base = str(host.rest.base_url).rstrip("/")
        for data, status in cases:
            answer = await raw_http(base, data)
            assert answer.split(b" ", 2)[1:2] == ([status] if status else []), data[:60]
        for _ in range(200):
            await raw_http(base, dice.randbytes(dice.randrange(1, 400)))
        call, call_id = await host.offered()
        await host.accept(call_id)
        await call.answered()


async def test_requests_share_a_connection() -> None:
    async with hosting() as host:
        base = str(host.rest.base_url).rstrip("/")
        data = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST /b HTTP/1.1\r\nConnection: close\r\n\r\n"
        assert (await raw_http(base, data)).count(b"HTTP/1.1 404") == 2


@given(st.binary(max_size=300))
def test_any_head_is_read_or_refused(head: bytes) -> None:
    try:
        length = body_length(read_head(b"POST " + head + b"\r\n\r\n"))
    except BadRequest as bad:
        answer = HttpAnswer(bad.status).to_bytes(last=True)
    else:
        answer = HttpAnswer(200, {"length": length}).to_bytes(last=False)
    assert answer.startswith(b"HTTP/1.1 ")
