"""Call offers under fire: mutated ones must never act, genuine ones must lead to an accept at once.

Mutations go through the very desk and route that serve; what acts is seen by a provider's REST of our own, on
a real socket, which notes every request. Latency is from the moment an offer was verified until the last byte
of its accept has left (``webhook_accept_seconds`` of the metrics counts the same), over HTTP both ways.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceagent.bench.stats import percentile
from voiceagent.realtime.webhook_signature import webhook_signature

Offer = tuple[str, str, str, bytes]
"""webhook-id, webhook-timestamp, webhook-signature, body."""

GOAL_MS = 50.0
RATE = 50.0
"""Genuine offers per second, each delivered twice. Client, service and REST share one process and loop."""
AT_ONCE = 32


class FakeRest:
    """A provider's REST that knows no call: it answers 404 and counts the accepts."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.other: list[str] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen and return the base URL."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = 0
                for line in head.split("\r\n")[1:]:
                    name, _, value = line.partition(":")
                    if name == "content-length":
                        length = int(value)
                await reader.readexactly(length)
                path = head.split(" ", 2)[1]
                call_id, verb = path.rsplit("/", 2)[1:]
                (self.accepted if verb == "accept" else self.other).append(call_id)
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def new_offer(secret: str, number: int, now: float) -> Offer:
    """Return a genuine, signed offer."""
    headers = [
        {"name": "From", "value": f'"Caller" <sip:+1415555{number:06d}@carrier.example>;tag=a{number}'},
        {"name": "To", "value": "<sip:100@sip.example.com>"},
        {"name": "Call-ID", "value": f"{number}@carrier.example"},
    ]
    event = {
        "object": "event",
        "id": f"evt_{number:08d}",
        "type": "realtime.call.incoming",
        "created_at": int(now),
        "data": {"call_id": f"rtc_{number:08d}", "sip_headers": headers},
    }
    body = json.dumps(event, separators=(",", ":")).encode()
    webhook_id = f"wh_{number:08d}"
    return webhook_id, str(int(now)), webhook_signature(secret, webhook_id, int(now), body), body


def mutated(offer: Offer, rng: random.Random) -> tuple[str, Offer]:
    """Return the kind of one mutation and the offer that it makes; never the offer itself."""
    kind = rng.choice(
        ("bit", "bit", "bit", "bits", "byte", "cut", "twice", "swap", "time", "body", "version")
    )
    parts = [offer[0].encode(), offer[1].encode(), offer[2].encode(), offer[3]]
    index = rng.randrange(4)
    part = bytearray(parts[index])
    if kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else rng.randint(2, 12)):
            part[rng.randrange(len(part))] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        part[rng.randrange(len(part))] = rng.randrange(256)
    elif kind == "cut":
        del part[rng.randrange(len(part)) :]
    elif kind == "twice":
        part += part[: rng.randint(1, len(part))]
    elif kind == "swap":
        other = rng.randrange(4)
        parts[index], parts[other] = parts[other], parts[index]
        part = bytearray(parts[index])
    elif kind == "time":
        index, part = 1, bytearray(str(int(offer[1]) + rng.choice((-1, 1)) * rng.randint(1, 10**6)).encode())
    elif kind == "body":
        index, part = 3, bytearray(offer[3].replace(b"rtc_", b"rtc-", 1))
    else:
        index, part = 2, bytearray(b"v" + str(rng.randint(2, 9)).encode() + parts[2][2:])
    parts[index] = bytes(part)
    made = (*(each.decode("latin-1") for each in parts[:3]), parts[3])
    return (kind, made) if made != offer else mutated(offer, rng)  # type: ignore[return-value]


async def measure(mutations: int, over_http: int, offers: int, seed: int) -> dict[str, Any]:
    """See :func:`run_webhook_bench`."""
    import httpx

    from voiceagent.app.hosted import HostedDesk
    from voiceagent.app.service import Service
    from voiceagent.realtime.webhook_signature import WebhookRefused
    from voiceagent.settings import load_settings

    rng = random.Random(seed)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    rest = FakeRest()
    base = await rest.start()
    with tempfile.TemporaryDirectory() as folder:
        flags: dict[str, Any] = {
            "journal_dir": str(Path(folder) / "journals"),
            "sip.port": 0,
            "console.port": 0,
            "hosted.webhook_secrets": [secret],
            "hosted.api_base": base,
            "realtime.provider": "openai",
            "realtime.api_key": "bench",
            "log.level": "error",
            "call.max_calls": 10_000,
        }
        async with Service(load_settings(None, flags)) as service:
            desk, addresses = service.hosted, service.addresses
            assert isinstance(desk, HostedDesk)
            assert addresses is not None
            assert addresses.console is not None
            refused: Counter[str] = Counter()
            acted: list[str] = []
            genuine = new_offer(secret, 0, time.time())
            started = time.perf_counter()
            for number in range(mutations):
                if number % 1000 == 0:
                    genuine = new_offer(secret, 0, time.time())
                    await asyncio.sleep(0)
                kind, offer = mutated(genuine, rng)
                try:
                    taken = desk.take(*offer)
                    acted.append(f"{kind}: {taken.outcome}")
                except WebhookRefused as error:
                    refused[f"{error.status} {error.code}"] += 1
            spent = time.perf_counter() - started
            limits = httpx.Limits(max_connections=AT_ONCE)
            async with httpx.AsyncClient(
                base_url=addresses.console, limits=limits, timeout=60, trust_env=False
            ) as client:
                statuses = await _over_http(client, secret, over_http, rng)
                for _ in range(200):
                    if not service.directory.live:
                        break
                    await asyncio.sleep(0.01)
                acted_on = len(rest.accepted) + len(rest.other)
                times = await _genuine(client, service, desk, rest, secret, offers)
            repeats = len(rest.accepted) - len(set(rest.accepted))
    await rest.close()
    return {
        "mutations": mutations,
        "mutations_taken": len(acted),
        "mutations_over_http": over_http,
        "over_http_answers": dict(sorted(statuses.items())),
        "requests_to_the_provider_by_mutations": acted_on,
        "refusals": dict(sorted(refused.items())),
        "us_per_refusal": round(spent / max(1, mutations) * 1e6, 1),
        "offers": offers,
        "offers_per_second": RATE,
        "accepts": len(set(rest.accepted)),
        "accepted_twice": repeats,
        "verified_to_accept_sent_ms": times,
        "goal_ms": GOAL_MS,
        "ok": not acted
        and acted_on == 0
        and repeats == 0
        and len(set(rest.accepted)) == offers
        and times["p99"] <= GOAL_MS
        and all(status.startswith("4") for status in statuses),
        "seed": seed,
    }


def _request(offer: Offer) -> dict[str, Any]:
    names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    headers = [(name, value.encode("latin-1")) for name, value in zip(names, offer[:3], strict=True)]
    return {"content": offer[3], "headers": [(b"content-type", b"application/json"), *headers]}


async def _over_http(client: Any, secret: str, count: int, rng: random.Random) -> Mapping[str, int]:
    """Send mutations through the socket; what HTTP itself forbids in a header is left to the desk."""
    statuses: Counter[str] = Counter()
    while sum(statuses.values()) < count:
        _, offer = mutated(new_offer(secret, 0, time.time()), rng)
        fits = all(value and value.isprintable() and value == value.strip() for value in offer[:3])
        if fits:
            answer = await client.post("/webhooks/realtime", **_request(offer))
            statuses[str(answer.status_code)] += 1
    return statuses


async def _genuine(
    client: Any, service: Any, desk: Any, rest: FakeRest, secret: str, count: int
) -> dict[str, float]:
    """Deliver genuine offers, each twice; return the quantiles of verified → accept sent."""
    times: list[float] = []
    observe = service.metrics.webhook_accepted

    def note(seconds: float) -> None:
        times.append(seconds * 1000)
        observe(seconds)

    service.metrics.webhook_accepted = note

    async def deliver(number: int) -> None:
        await asyncio.sleep(number / RATE)
        offer = new_offer(secret, number, time.time())
        first = await client.post("/webhooks/realtime", **_request(offer))
        again = await client.post("/webhooks/realtime", **_request(offer))
        assert (first.json()["outcome"], again.json()["outcome"]) == ("taken", "duplicate")

    await asyncio.gather(*(deliver(number) for number in range(1, count + 1)))
    async with asyncio.timeout(60):
        while service.directory.live or len(rest.accepted) < count:  # noqa: ASYNC110 - far side of a socket
            await asyncio.sleep(0.01)
    return {name: round(percentile(times, at), 2) for name, at in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def run_webhook_bench(
    mutations: int = 100_000, *, over_http: int = 2000, offers: int = 500, seed: int = 1
) -> dict[str, Any]:
    """Mutate, count what acted (none may), time genuine offers; ``ok`` when all goals are kept."""
    from voiceagent.observe.logs import configure_logs

    configure_logs(level="error")
    return asyncio.run(measure(mutations, over_http, offers, seed))
