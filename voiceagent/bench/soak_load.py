"""The load process of ``voiceagent bench soak``: callers, their phones, the provider; driven by JSON lines.

    in   {"prepare": true}                                          out  {"ws": "ws://127.0.0.1:…"}
    in   {"sip": port, "calls": 8640, "rate": 30, "hold_s": 1.0}    out  {figures}, when every call is over
End of input ends the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from voiceagent.bench.load_phones import Phone, PhoneFigures
from voiceagent.bench.load_provider import ANSWER_FRAMES, DELTA_FRAMES, ProviderFigures, ScriptedSession
from voiceagent.bench.load_server import LoadProvider
from voiceagent.bench.orders import serve_orders
from voiceagent.bench.stats import cpu_seconds, percentile
from voiceagent.loops import quiet_collector, run_loop
from voiceagent.media.sdp import Abilities, make_offer, parse_sdp
from voiceagent.media.wheel import MediaWheel
from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Answered, Ended, Retransmitted, SipEvent
from voiceagent.sip.net.transport import SipTransport

PATIENCE_S = 40.0
"""After the last INVITE: longer than every transaction timer (64 * T1 = 32 s)."""
LAST = ANSWER_FRAMES - DELTA_FRAMES
GRACE_S = 15.0
"""So long a caller waits to be greeted, and for a flow that is to hang up itself."""
STAYS, LEAVES = "stays", "leaves"
"""Whom the callers dial, in turns: one talks until the caller hangs up, the other hangs up itself."""


class BriefSession(ScriptedSession):
    """A scripted session on which the caller does not speak, and whose answers are 200 ms long."""

    def _caller_speaks(self) -> None:
        """Never."""

    def _delta(self, answer: int, response_id: str, item_id: str, first: int, wish: dict[str, Any]) -> None:
        super()._delta(answer, response_id, item_id, max(first, LAST), wish)


class BriefProvider(LoadProvider):
    """Gives every connection a brief session; whose call it is, nobody needs to know."""

    def __init__(self, anyone: Phone) -> None:
        super().__init__([anyone], ProviderFigures())

    def _begin(self, path: str, send: Callable[[bytes], None]) -> ScriptedSession:
        session = BriefSession(self._phones[0], self._figures, send, 0.0)
        self.sessions.add(session)
        return session


class GreetedPhone(Phone):
    """A phone that tells when it first hears the agent."""

    greeted: Callable[[], None] | None = None

    def _packet(self, data: bytes, arrival: int) -> None:
        super()._packet(data, arrival)
        if self.heard and self.greeted is not None:
            greeted, self.greeted = self.greeted, None
            greeted()


class Callers:
    """Places calls at a steady rate. Half of them hang up themselves, ``hold_s`` after they were greeted."""

    def __init__(self, port: int, calls: int, rate: float, hold_s: float, wheel: MediaWheel) -> None:
        self._target = Address("127.0.0.1", port, "udp")
        self._calls = calls
        self._rate = rate
        self._hold_s = hold_s
        self._wheel = wheel
        self._transport = SipTransport(EndpointConfig(max_legs=100_000), self._on_event)
        self._figures = PhoneFigures()
        self._phones: dict[str, GreetedPhone] = {}
        self._asked: dict[str, float] = {}
        self._patient: set[str] = set()
        """Calls that the flow is to hang up."""
        self._talking: set[str] = set()
        self._setup: list[float] = []
        self._counts = dict.fromkeys(
            ("answered", "heard", "ended", "ended_by_service", "failed", "retransmissions"), 0
        )
        self._refused: dict[str, int] = {}
        self._all_over = asyncio.Event()

    async def run(self) -> dict[str, Any]:
        """Place all calls and wait for their ends."""
        loop = asyncio.get_running_loop()
        bound = await self._transport.start("127.0.0.1", 0)
        quiet_collector()
        began, cpu = loop.time(), cpu_seconds()
        for number in range(self._calls):
            await asyncio.sleep(max(0.0, began + number / self._rate - loop.time()))
            phone = GreetedPhone(number, self._wheel, self._figures)
            now = time.perf_counter()
            leg = self._transport.invite(
                f"sip:{LEAVES if number % 2 else STAYS}@127.0.0.1:{self._target[1]}",
                from_uri=f"sip:caller-{number}@127.0.0.1:{bound[1]}",
                sdp=make_offer(Abilities(address="127.0.0.1", port=phone.port)).to_bytes(),
                destination=self._target,
            )
            self._phones[leg], self._asked[leg] = phone, now
            if number % 2:
                self._patient.add(leg)
        placed_s = loop.time() - began
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._all_over.wait()
        except TimeoutError:
            self._counts["failed"] += len(self._phones)
            self._refused["never ended"] = len(self._phones)
            for phone in self._phones.values():
                phone.close()
        took_s, used = loop.time() - began, cpu_seconds() - cpu
        await self._transport.close()
        return {
            **self._counts,
            "why_failed": self._refused,
            "seconds": round(took_s, 1),
            "reached_rate": round((self._calls - 1) / placed_s, 1) if self._calls > 1 else 0.0,
            "setup_ms": {
                "p50": round(percentile(self._setup, 0.5) * 1000, 3),
                "p99": round(percentile(self._setup, 0.99) * 1000, 3),
            },
            "packets_sent": self._figures.sent,
            "packets_received": self._figures.received,
            "load_core_percent": round(100 * used / took_s, 1),
        }

    def _on_event(self, event: SipEvent) -> None:
        if isinstance(event, Answered) and event.sdp is not None:
            self._setup.append(time.perf_counter() - self._asked.pop(event.leg))
            self._counts["answered"] += 1
            self._talking.add(event.leg)
            self._talk(event.leg, parse_sdp(event.sdp).media[0].port)
        elif isinstance(event, Ended):
            self._over(event.leg, event)
        elif isinstance(event, Retransmitted):
            self._counts["retransmissions"] += 1

    def _talk(self, leg: str, port: int) -> None:
        later = asyncio.get_running_loop().call_later
        phone = self._phones[leg]

        def greeted() -> None:
            later(self._hold_s, self._hang_up, leg)

        if leg not in self._patient:
            phone.greeted = greeted
        phone.start(port)
        later(GRACE_S, self._hang_up, leg)

    def _hang_up(self, leg: str) -> None:
        if leg in self._talking:
            self._transport.hang_up(leg)

    def _over(self, leg: str, event: Ended) -> None:
        phone = self._phones.pop(leg, None)
        if phone is None:
            return
        self._asked.pop(leg, None)
        self._patient.discard(leg)
        self._counts["ended"] += 1
        self._counts["heard"] += bool(phone.heard)
        phone.close()
        if leg in self._talking:
            self._talking.discard(leg)
            self._counts["ended_by_service"] += event.by == "peer"
        else:
            self._counts["failed"] += 1
            why = f"{event.by} {event.status or ''} {event.reason}".strip()
            self._refused[why] = self._refused.get(why, 0) + 1
        if self._counts["ended"] == self._calls:
            self._all_over.set()


class Load:
    """Callers, phones and provider."""

    def __init__(self) -> None:
        self._wheel = MediaWheel(tick_ms=2)
        self._provider = BriefProvider(Phone(0, self._wheel, PhoneFigures()))

    async def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what one line says and return the answer."""
        if "prepare" in order:
            await self._provider.start()
            return {"ws": f"ws://127.0.0.1:{self._provider.port}/v1/realtime?model={{model}}"}
        callers = Callers(
            int(order["sip"]), int(order["calls"]), float(order["rate"]), float(order["hold_s"]), self._wheel
        )
        return await callers.run()


async def serve() -> None:
    """Take orders until the input ends."""
    await serve_orders(Load())


if __name__ == "__main__":
    run_loop(serve)
