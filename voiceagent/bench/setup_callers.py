"""The callers of ``voiceagent bench setup``: a process of its own, so that its CPU is not counted."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from voiceagent.bench.stats import percentile
from voiceagent.loops import quiet_collector, run_loop
from voiceagent.media.sdp import Abilities, make_offer
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Answered, Ended, Retransmitted, SendDatagram, SipEvent
from voiceagent.sip.net.transport import SipTransport

PATIENCE_S = 40.0
"""After the last INVITE: longer than every transaction timer (64 * T1 = 32 s)."""


IN_A_ROW = 16
"""Calls placed at once when the callers are behind their rate."""


class LossyTransport(SipTransport):
    """Drops datagrams on purpose: sent ones here, received ones before they are read by the core."""

    loss = 0.0
    dice = random.Random(1)

    def _send(self, order: SendDatagram) -> None:
        if self.dice.random() >= self.loss:
            super()._send(order)

    def drops_received(self) -> bool:
        """Whether the datagram that has come is lost."""
        return self.dice.random() < self.loss


class Callers:
    """Places calls at a steady rate and hangs each up as soon as it is answered."""

    def __init__(
        self, port: int, rate: float, calls: int, loss: float, seed: int, transport: Transport = "udp"
    ) -> None:
        self._target = Address("127.0.0.1", port, transport)
        self._rate = rate
        self._calls = calls
        self._transport = LossyTransport(EndpointConfig(max_legs=100_000), self._on_event)
        self._transport.loss = loss
        self._transport.dice = random.Random(seed)
        self._sent: dict[str, float] = {}
        self._setup: list[float] = []
        self._ended = 0
        self._answered: set[str] = set()
        self._failed = 0
        self._retransmitted = 0
        self._all_over = asyncio.Event()

    async def run(self, told: Callable[[dict[str, Any]], None]) -> None:
        """Place all calls, wait for their ends and tell the figures; then wait for the end of the input.

        A connection that is closed before the answers to the last BYEs are read is reset, and takes those
        BYEs with it: whoever counts legs says when he has read them.
        """
        loop = asyncio.get_running_loop()
        bound = await self._transport.start("127.0.0.1", 0)
        if self._transport.loss:
            self._lose_received()
        offer = make_offer(Abilities(address="127.0.0.1", port=41000)).to_bytes()
        quiet_collector()
        print("ready", flush=True)
        began = loop.time()
        for number in range(self._calls):
            due = began + number / self._rate
            ahead = due - loop.time()
            if ahead > 0 or number % IN_A_ROW == 0:  # behind time, what has come meanwhile is still read
                await asyncio.sleep(max(0.0, ahead))
            now = time.perf_counter()  # the loop rounds to milliseconds on uvloop
            leg = self._transport.invite(
                f"sip:{number}@127.0.0.1:{self._target[1]}",
                from_uri=f"sip:bench@127.0.0.1:{bound[1]}",
                sdp=offer,
                destination=self._target,
            )
            self._sent[leg] = now
        spent = loop.time() - began
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._all_over.wait()
        except TimeoutError:
            self._failed += self._calls - self._ended
        told(
            {
                "failed": self._failed,
                "retransmissions": self._retransmitted,
                "setup_ms": {
                    "p50": round(percentile(self._setup, 0.5) * 1000, 3),
                    "p95": round(percentile(self._setup, 0.95) * 1000, 3),
                },
                "reached_rate": round(self._calls / spent, 1) if spent else 0.0,
            }
        )
        await asyncio.to_thread(sys.stdin.read)
        await self._transport.close()

    def _lose_received(self) -> None:
        endpoint = self._transport.endpoint
        receive = endpoint.receive

        def lossy(data: bytes, source: Address, now: float) -> Any:
            return [] if self._transport.drops_received() else receive(data, source, now)

        endpoint.receive = lossy  # type: ignore[method-assign]

    def _on_event(self, event: SipEvent) -> None:
        if isinstance(event, Answered):
            self._setup.append(time.perf_counter() - self._sent[event.leg])
            self._answered.add(event.leg)
            self._transport.hang_up(event.leg)
        elif isinstance(event, Ended):
            self._ended += 1
            # A BYE whose 200 got lost for good still ended an answered call; only the unanswered have failed.
            if event.leg not in self._answered:
                self._failed += 1
            if self._ended == self._calls:
                self._all_over.set()
        elif isinstance(event, Retransmitted):
            self._retransmitted += 1


def main() -> None:
    """Read the arguments of :mod:`voiceagent.bench.setup` and print the figures as JSON."""
    port, rate, calls, loss, seed, transport = sys.argv[1:]

    async def work() -> None:
        kind: Transport = "tcp" if transport == "tcp" else "udp"
        callers = Callers(int(port), float(rate), int(calls), float(loss), int(seed), kind)
        await callers.run(lambda figures: print(json.dumps(figures), flush=True))

    run_loop(work)


if __name__ == "__main__":
    main()
