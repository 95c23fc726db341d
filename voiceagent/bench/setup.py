"""``voiceagent bench setup``: INVITE, 200, ACK, BYE at a given rate; the callers live in a second process.

Measured here, in the process under test: CPU per call from user and system time over the run. Measured by
the callers: time from INVITE to 200, failures, retransmissions. ``loss`` drops that share of datagrams in
each direction, at the callers' side, seeded. ``settle`` waits until every transaction must be over and
counts what is left; sockets are those that the calls have opened and not closed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from voiceagent.bench.stats import cpu_seconds
from voiceagent.errors import SipError
from voiceagent.loops import quiet_collector, run_loop
from voiceagent.media.sdp import Abilities, negotiate, parse_sdp
from voiceagent.sip.address import Transport
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import InviteReceived, Retransmitted, SipEvent
from voiceagent.sip.net.listen import Listen
from voiceagent.sip.net.transport import SipTransport

SETTLE_S = 40.0
"""After the last call: longer than 64·T1 and what follows it."""

LAST_S = 40.0
"""How long the last BYEs may take to be read after the callers have told their figures."""


def run_setup_bench(
    *,
    rate: float = 300.0,
    calls: int = 3000,
    loss: float = 0.0,
    seed: int = 1,
    transport: Transport = "udp",
    settle: bool = False,
) -> dict[str, Any]:
    """Run and return the figures; see the module."""
    return run_loop(lambda: _bench(rate, calls, loss, seed, transport, settle))


class _Answerer:
    """Answers every call at once, with real SDP and no media."""

    def __init__(self) -> None:
        self.transport = SipTransport(EndpointConfig(max_legs=100_000), self._on_event)
        self.retransmissions: Counter[str] = Counter()
        self.answered = 0

    def _on_event(self, event: SipEvent) -> None:
        if isinstance(event, InviteReceived):
            try:
                answer = negotiate(
                    parse_sdp(event.offer or b""), Abilities(address="127.0.0.1", port=40000)
                ).answer
            except SipError as error:
                self.transport.reject(event.leg, error.status)
                return
            self.answered += 1
            self.transport.accept(event.leg, answer.to_bytes())
        elif isinstance(event, Retransmitted):
            self.retransmissions[event.what] += 1


async def _bench(
    rate: float, calls: int, loss: float, seed: int, transport: Transport, settle: bool
) -> dict[str, Any]:
    answerer = _Answerer()
    bound = await answerer.transport.listen(
        [Listen("udp", "127.0.0.1", 0), *([Listen("tcp", "127.0.0.1", 0)] if transport == "tcp" else [])]
    )
    port = bound[-1].port
    quiet_collector()  # as the service does
    sockets, tasks = open_sockets(), len(asyncio.all_tasks())
    arguments = [str(value) for value in (port, rate, calls, loss, seed, transport)]
    callers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceagent.bench.setup_callers", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert callers.stdin is not None
    assert callers.stdout is not None
    await callers.stdout.readline()  # "ready": imports are done, the first INVITE follows
    before = cpu_seconds()
    told = await callers.stdout.readline()
    used = cpu_seconds() - before
    for _ in range(int(LAST_S / 0.05) if told else 0):
        if not answerer.transport.endpoint.figures().legs:
            break
        await asyncio.sleep(0.05)
    callers.stdin.close()
    await callers.wait()
    figures: dict[str, Any] = json.loads(told)
    left: dict[str, int] = {}
    if settle:
        await asyncio.sleep(SETTLE_S)
        live = answerer.transport.endpoint.figures()
        left = {
            "transactions": live.server_transactions + live.client_transactions,
            "dialogs": live.dialogs,
            "legs": live.legs,
            "timers": live.timers,
            "sockets": max(0, open_sockets() - sockets),
            "tasks": max(0, len(asyncio.all_tasks()) - tasks),
        }
    live = answerer.transport.endpoint.figures()
    await answerer.transport.close()
    return {
        "rate": rate,
        "calls": calls,
        "loss": loss,
        "transport": transport,
        "failed": figures["failed"],
        "retransmissions": figures["retransmissions"] + sum(answerer.retransmissions.values()),
        "setup_ms": figures["setup_ms"],
        "cpu_ms_per_call": round(used * 1000 / calls, 3),
        "reached_rate": figures["reached_rate"],
        "answered": answerer.answered,
        "legs_left": live.legs,
        **({f"left_after_{SETTLE_S:.0f}_s": left} if settle else {}),
    }


def open_sockets() -> int:
    """Return how many sockets this process has open; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return 0
    found = 0
    for name in os.listdir(folder):
        try:
            found += os.readlink(folder / name).startswith("socket:")
        except OSError:
            continue  # closed meanwhile: the listing's own
    return found
