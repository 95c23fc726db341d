"""Damaged datagrams to a whole service over a real socket, beside a canary call that must not notice.

The sender waits after each batch until an OPTIONS is answered, so that no datagram is lost in a full buffer
and every one was looked at. The canary is a call of our own phone: it presses a key now and then, and each
must arrive exactly once.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from voiceagent.app.service import Service
from voiceagent.bench.mutate import Mutator
from voiceagent.bench.sip_peer import Peer
from voiceagent.bench.stats import percentile
from voiceagent.ivr.flow import Flow, FlowBook, flow
from voiceagent.ivr.verbs import Call
from voiceagent.loops import run_loop
from voiceagent.observe.logs import configure_logs
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.settings import bare_settings
from voiceagent.sip.address import Address

BATCH = 50
PRESS_EVERY = 20
"""Batches between two keys of the canary."""
_PATIENCE_S = 60.0
_MOST_CALLS = 40


class Sender(asyncio.DatagramProtocol):
    """A socket that sends what it is told and counts the answers by status."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self._transport: asyncio.DatagramTransport | None = None
        self._wanted = b""
        self._came = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Count an answer; wake who waits for it."""
        self.answers[
            data[8:11].decode("ascii", "replace") if data.startswith(b"SIP/2.0 ") else "request"
        ] += 1
        if self._wanted and self._wanted in data:
            self._came.set()

    def error_received(self, exc: Exception) -> None:
        """A refused datagram is a lost one."""

    def send(self, data: bytes) -> None:
        """Send one datagram to the service."""
        assert self._transport is not None
        self._transport.sendto(data)

    async def ask(self, request: bytes, branch: str) -> float:
        """Send ``request`` until its answer comes; return the seconds. Raises TimeoutError."""
        self._wanted = branch.encode()
        self._came.clear()
        began = time.perf_counter()
        async with asyncio.timeout(_PATIENCE_S):
            while not self._came.is_set():
                self.send(request)
                try:
                    async with asyncio.timeout(0.5):
                        await self._came.wait()
                except TimeoutError:
                    continue
        return time.perf_counter() - began


def _flow() -> Flow:
    @flow("anyone", numbers=["*"])
    async def anyone(call: Call) -> None:
        await call.say("Hi.")
        await asyncio.Event().wait()

    return anyone


async def fuzz_service(messages: int, seed: int, seeds: Sequence[bytes]) -> dict[str, Any]:
    """Send ``messages`` damaged datagrams to a service of our own; see the module."""
    with tempfile.TemporaryDirectory(prefix="voiceagent-bench-") as folder:
        settings = bare_settings(
            {
                "journal_dir": folder,
                "sip.port": 0,
                "console.enabled": False,
                "realtime.provider": "embedded",
                "engine.voice": "tone",
                "engine.recogniser": "canned",
                "engine.vad": "energy",
                "call.max_calls": _MOST_CALLS * 2,
                "call.overload_lag_ms": 0,
                "media.port_low": 34000,
                "media.port_high": 35999,
            }
        )
        service = Service(settings)
        service.flows = FlowBook([_flow()])
        async with service, Phone() as phone:
            await service.ready()
            assert service.addresses is not None
            canary = phone.dial(f"sip:100@{service.addresses.sip}")
            await canary.answered(_PATIENCE_S)
            await canary.until_speaking(_PATIENCE_S)
            return await _pour(service, canary, Mutator(seeds, seed), messages)


async def _pour(service: Service, canary: PhoneCall, mutator: Mutator, messages: int) -> dict[str, Any]:
    assert service.addresses is not None
    assert service.sip is not None
    host, _, port = service.addresses.sip.rpartition(":")
    loop = asyncio.get_running_loop()
    transport, sender = await loop.create_datagram_endpoint(Sender, remote_addr=(host, int(port)))
    asker = Peer("asker", "asker-tag", Address(*transport.get_extra_info("sockname")[:2]))
    live = service.directory.live[0]
    waits: list[float] = []
    pressed = 0
    began = time.perf_counter()
    try:
        for start in range(0, messages, BATCH):
            for _ in range(min(BATCH, messages - start)):
                sender.send(mutator.next())
            branch = asker.branch()
            waits.append(await sender.ask(asker.request("OPTIONS", branch=branch), branch))
            if (start // BATCH) % PRESS_EVERY == 0:
                await canary.press("5")
                pressed += 1
            calls = [call for call in service.directory.live if call is not live]
            for call in calls[_MOST_CALLS:]:
                call.end("cleared")
        seconds = time.perf_counter() - began
        async with asyncio.timeout(_PATIENCE_S):
            while live.digits_pressed < pressed:  # noqa: ASYNC110 - the keys come over RTP
                await asyncio.sleep(0.02)
    except TimeoutError:
        seconds = time.perf_counter() - began
    finally:
        transport.close()
    counts = service.sip.endpoint.figures().counts
    return {
        "messages": messages,
        "seconds": round(seconds, 1),
        "unanswered_questions": (messages + BATCH - 1) // BATCH - len(waits),
        "answer_ms": {
            "p50": round(percentile(waits, 0.5) * 1000, 2),
            "p99": round(percentile(waits, 0.99) * 1000, 2),
        },
        "answers_by_status": dict(sorted(sender.answers.items())),
        "dropped": sum(count for name, count in counts.items() if name.startswith("drop_")),
        "internal_errors": service.sip.errors["internal"] + service.sip.errors["listener"],
        "canary_alive": not canary.ended.done(),
        "canary_keys_pressed": pressed,
        "canary_keys_heard": live.digits_pressed,
    }


def run_fuzz_service(messages: int, seed: int, seeds: Sequence[bytes]) -> dict[str, Any]:
    """Run :func:`fuzz_service` in a loop of its own."""
    configure_logs(level="error")
    return run_loop(lambda: fuzz_service(messages, seed, seeds))
