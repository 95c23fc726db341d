"""The load process of ``voiceagent bench calls``: phones and provider, driven by lines of JSON.

    in   {"calls": 300}            out  {"ws": "ws://127.0.0.1:…", "phones": [port, …]}
    in   {"ports": [port, …]}      out  {"talking": 300}
    in   {"measure": true}         out  {"measuring": true}
    in   {"report": true}          out  {figures}
End of input ends the process.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from voiceagent.bench.load_frames import spread
from voiceagent.bench.load_phones import Phone, PhoneFigures
from voiceagent.bench.load_provider import ProviderFigures
from voiceagent.bench.load_server import LoadProvider
from voiceagent.bench.orders import serve_orders
from voiceagent.bench.stats import cpu_seconds
from voiceagent.media.wheel import MediaWheel


class Load:
    """Phones, provider and their figures."""

    def __init__(self) -> None:
        self._wheel = MediaWheel(tick_ms=2)
        self._phones: list[Phone] = []
        self._phone_figures = PhoneFigures()
        self._provider_figures = ProviderFigures()
        self._provider: LoadProvider | None = None
        self._cpu = 0.0
        self._since = 0.0
        self._sent = 0
        self._received = 0

    async def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what one line says and return the answer."""
        if "calls" in order:
            return await self._prepare(int(order["calls"]))
        if "ports" in order:
            for phone, port in zip(self._phones, order["ports"], strict=True):
                phone.start(int(port))
            return {"talking": len(self._phones)}
        if "measure" in order:
            return self._measure()
        return self._report()

    async def _prepare(self, calls: int) -> dict[str, Any]:
        self._phones = [Phone(number, self._wheel, self._phone_figures) for number in range(calls)]
        self._provider = LoadProvider(self._phones, self._provider_figures)
        await self._provider.start()
        gc.collect()
        gc.freeze()
        return {
            "ws": f"ws://127.0.0.1:{self._provider.port}/v1/realtime?model={{model}}",
            "phones": [phone.port for phone in self._phones],
        }

    def _measure(self) -> dict[str, Any]:
        assert self._provider is not None
        self._provider.measure()
        for phone in self._phones:
            phone.measuring = True
        self._wheel.lateness.clear()
        self._cpu = cpu_seconds()
        self._since = time.monotonic()
        self._sent = self._phone_figures.sent
        self._received = self._phone_figures.received
        return {"measuring": True}

    def _report(self) -> dict[str, Any]:
        assert self._provider is not None
        for phone in self._phones:
            phone.measuring = False
        phones, provider = self._phone_figures, self._provider_figures
        seconds = time.monotonic() - self._since
        return {
            "seconds": seconds,
            "load_core_percent": 100 * (cpu_seconds() - self._cpu) / seconds,
            "load_lateness_ms": {
                "p50": self._wheel.lateness.percentile(50),
                "p99": self._wheel.lateness.percentile(99),
                "max": self._wheel.lateness.max_ms,
            },
            "load_server": self._provider.kind,
            "pacing_ms": spread(phones.pacing, 50, 99, 99.9, 100),
            "downlink_ms": spread(phones.first_audio, 50, 99),
            "uplink_ms": spread(provider.uplink, 50, 99),
            "uplink_oldest_ms": spread(provider.uplink_oldest, 50, 99),
            "uplink_onset_ms": spread(provider.uplink_onset, 50, 99),
            "uplink_silence_ms": spread(provider.uplink_silence, 50, 99),
            "barge_in_stop_ms": spread(provider.barge_in_stop, 50, 99, 100),
            "truncate_ms": spread(provider.truncate, 50, 99),
            "truncate_error_ms": spread(provider.truncate_error, 50, 99, 100),
            "packets_sent": phones.sent - self._sent,
            "packets_received": phones.received - self._received,
            "packets_loud": phones.loud,
            "packets_bunched": phones.bunched,
            "frames_lost_down": phones.lost,
            "frames_lost_up": provider.lost,
            "frames_made_up": provider.made_up,
            "appends": provider.appends,
            "appended_s": round(provider.appended_s, 1),
            "answers": provider.answers,
            "interruptions": provider.interruptions,
            "interruptions_unanswered": provider.unanswered,
            "sessions": len(self._provider.sessions),
        }


async def serve() -> None:
    """Take orders until the input ends."""
    await serve_orders(Load())


def main() -> None:
    """Serve until told to stop."""
    from voiceagent.loops import run_loop

    run_loop(serve)


if __name__ == "__main__":
    main()
