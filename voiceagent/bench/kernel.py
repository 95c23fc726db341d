"""``voiceagent bench kernel``: what the system calls of a running call cost here, and nothing else.

A floor: whatever speaks RTP to phones and a WebSocket to a provider makes these calls, so many a second. They
are made as the wheel makes them, in bursts over the sockets of many calls, towards a second process that
reads (and so is woken).
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

from voiceagent.bench.calls import LoadProcess
from voiceagent.loops import run_loop

Kind = Literal["rtp_send", "rtp_receive", "append_send", "frame_receive"]
RATES: Mapping[Kind, int] = {"rtp_send": 50, "rtp_receive": 50, "append_send": 25, "frame_receive": 18}
"""Calls of each kind per second of a phone call: packets of 20 ms, appends of 40 ms, and a provider's frames
while it speaks and is silent by turns."""
SIZES: Mapping[Kind, int] = {"rtp_send": 172, "rtp_receive": 172, "append_send": 500, "frame_receive": 700}
"""Bytes."""
CALLS = 25
PAUSE_S = 0.005


class _Ends:
    """Our sockets, each with its fellow in the other process."""

    def __init__(self, udp: Sequence[socket.socket], tcp: Sequence[socket.socket], load: LoadProcess) -> None:
        self._udp, self._tcp, self._load = udp, tcp, load

    async def burst(self, kind: Kind) -> float:
        """Send, or read what has come, once on each socket; return the CPU seconds that it took."""
        over = "udp" if kind.startswith("rtp") else "tcp"
        ends, size = (self._udp if over == "udp" else self._tcp), SIZES[kind]
        if kind.endswith("send"):
            data = bytes(size)
            await asyncio.sleep(PAUSE_S)
            began = time.process_time_ns()
            for end in ends:
                end.send(data)
        else:
            await self._load.order(size=size, over=over)
            began = time.process_time_ns()
            for end in ends:
                end.recv(size)
        return (time.process_time_ns() - began) / 1e9


async def _connected(load: LoadProcess, stack: ExitStack) -> _Ends:
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=CALLS))
    udp = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(CALLS)]
    for end in udp:
        end.bind(("127.0.0.1", 0))
    there = await load.order(udp=[end.getsockname()[1] for end in udp], tcp=server.getsockname()[1])
    for end, port in zip(udp, there["udp"], strict=True):
        end.connect(("127.0.0.1", port))
    tcp = [stack.enter_context(server.accept()[0]) for _ in range(CALLS)]
    for end in tcp:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for end in (*udp, *tcp):
        end.setblocking(False)
    return _Ends(udp, tcp, load)


async def _measure(bursts: int) -> dict[Kind, float]:
    load = await LoadProcess.start("voiceagent.bench.kernel_peer")
    took: dict[Kind, list[float]] = {kind: [] for kind in RATES}
    try:
        with ExitStack() as stack:
            ends = await _connected(load, stack)
            for _ in range(bursts):
                for kind, times in took.items():
                    times.append(await ends.burst(kind))
    finally:
        await load.stop()
    return {kind: 1e6 * statistics.median(times) / CALLS for kind, times in took.items()}


def run_kernel_bench(bursts: int = 200) -> dict[str, Any]:
    """Return microseconds by kind, and what they make per call and second (ms of CPU, % of a core).

    Medians over ``bursts`` bursts of each kind.
    """
    each = run_loop(lambda: _measure(bursts))
    ms = sum(each[kind] * rate for kind, rate in RATES.items()) / 1000
    return {
        "bursts": bursts,
        "us": {kind: round(us, 2) for kind, us in each.items()},
        "per_call_second": dict(RATES),
        "cpu_ms_per_call_second": round(ms, 3),
        "core_percent_per_call": round(ms / 10, 4),
    }
