"""The load process of ``voiceagent bench console``, driven by lines of JSON.

    in  {"calls": 100, "quiet": 8}            out {"ws": "ws://127.0.0.1:…"}
    in  {"sip": port}                         out {"talking": 108}
    in  {"console": "http://…", "token": "…"} out {"watching": true}
    in  {"stall": "sse" | "listen", "readers": 200}   out {"stalled": 200}
    in  {"release": true}                     out {"stalled": 0}
    in  {"window": seconds, "triggers": 16}   out {figures of the window}
    in  {"close": true}                       out {"closed": true}
End of input ends the process.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from typing import Any

from voiceagent.bench.console_callers import Callers
from voiceagent.bench.console_provider import QUIET, MarkingProvider, mark, mark_in
from voiceagent.bench.console_readers import Asker, Place, Stalled, Watcher
from voiceagent.bench.load_frames import spread
from voiceagent.bench.load_phones import Phone, PhoneFigures
from voiceagent.bench.load_provider import ProviderFigures
from voiceagent.bench.orders import serve_orders
from voiceagent.bench.stats import cpu_seconds
from voiceagent.media.wheel import MediaWheel

PER_CALL = 16
"""Listeners that one call takes."""


class Load:
    """Phones, provider, readers and their figures."""

    def __init__(self) -> None:
        self._wheel = MediaWheel(tick_ms=2)
        self._figures = PhoneFigures()
        self._phones: list[Phone] = []
        self._quiet = 0
        self._provider: MarkingProvider | None = None
        self._callers = Callers()
        self._place = Place("http://127.0.0.1", "")
        self._watcher = Watcher(self._place)
        self._asker = Asker(self._place)
        self._stalled = Stalled()
        self._turn = 0

    async def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what one line says and return the answer."""
        if "calls" in order:
            return await self._prepare(int(order["calls"]), int(order["quiet"]))
        if "sip" in order:
            numbers = [QUIET if phone.number < self._quiet else "script" for phone in self._phones]
            await self._callers.dial(int(order["sip"]), list(zip(self._phones, numbers, strict=True)))
            for phone in self._phones:
                phone.measuring = True
            gc.collect()
            gc.freeze()
            return {"talking": len(self._phones)}
        if "console" in order:
            self._place = Place(order["console"], order["token"])
            self._asker, self._watcher = Asker(self._place), Watcher(self._place)
            await self._watcher.open()
            return {"watching": True}
        if "stall" in order:
            await self._stalled.open(self._place, await self._requests(order["stall"], int(order["readers"])))
            return {"stalled": order["readers"]}
        if "release" in order:
            self._stalled.close()
            return {"stalled": 0}
        if "window" in order:
            return await self._window(float(order["window"]), float(order["triggers"]))
        self._stalled.close()
        self._watcher.close()
        self._asker.close()
        await self._callers.close()
        return {"closed": True}

    async def _prepare(self, calls: int, quiet: int) -> dict[str, Any]:
        self._quiet = quiet
        # The pacing of those counts that are like any call; the others serve the triggers.
        apart = PhoneFigures()
        self._phones = [
            Phone(number, self._wheel, apart if number < quiet else self._figures)
            for number in range(calls + quiet)
        ]
        self._provider = MarkingProvider(self._phones, ProviderFigures())
        await self._provider.start()
        return {"ws": f"ws://127.0.0.1:{self._provider.port}/v1/realtime"}

    async def _calls(self, flow: str) -> list[str]:
        _, _, body = await self._asker.ask("GET", "/v1/calls")
        return [one["id"] for one in json.loads(body)["calls"] if one["flow"] == flow and not one["outcome"]]

    async def _requests(self, kind: str, readers: int) -> list[bytes]:
        if kind == "sse":
            return [self._place.request("GET", "/v1/events")] * readers
        calls = await self._calls("script")
        return [
            self._place.upgrade(f"/v1/calls/{calls[number // PER_CALL % len(calls)]}/listen")
            for number in range(readers)
        ]

    async def _window(self, seconds: float, triggers: float) -> dict[str, Any]:
        assert self._provider is not None
        self._figures.pacing = type(self._figures.pacing)("d")
        self._wheel.lateness.clear()
        self._watcher.ages.clear()
        self._provider.created.clear()
        octets, lost, cpu, since = (
            self._watcher.octets,
            self._figures.lost,
            cpu_seconds(),
            time.monotonic(),
        )
        told: dict[int, float] = {}
        if triggers:
            told = await self._trigger(seconds, triggers)
        else:
            await asyncio.sleep(seconds)
        spent = time.monotonic() - since
        created = dict(self._provider.created)
        return {
            "seconds": round(spent, 2),
            "pacing": spread(self._figures.pacing, 50, 99, 99.9, 100),
            "packets": len(self._figures.pacing),
            "frames_lost": self._figures.lost - lost,
            "calls_lost": self._callers.lost,
            "sse_ages_ms": [round(age, 3) for age in self._watcher.ages],
            "sse_bytes_per_s": round((self._watcher.octets - octets) / spent),
            "creates": [[sent, at] for sent, at in created.items()],
            "posts_ms": [round(ms, 3) for ms in told.values()],
            "triggers": len(told),
            "load_core_percent": round(100 * (cpu_seconds() - cpu) / spent, 1),
            "load_lateness_ms": self._wheel.lateness.percentile(99),
        }

    async def _trigger(self, seconds: float, rate: float) -> dict[int, float]:
        """Trigger on one quiet call after the other; return ms from POST to its 202, by mark."""
        calls = await self._calls(QUIET)
        told: dict[int, float] = {}
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
            words = mark()
            body = {"instructions": f"Say one word; {words}", "when": "now"}
            self._turn += 1
            path = f"/v1/calls/{calls[self._turn % len(calls)]}/responses"
            sent = mark_in(words) or 0
            status, _, content = await self._asker.ask("POST", path, body)
            if status != 202:
                raise RuntimeError(f"a trigger was refused: {content.decode()}")
            told[sent] = (time.monotonic_ns() - sent) / 1e6
        await asyncio.sleep(0.5)
        return told


async def serve() -> None:
    """Take orders until the input ends."""
    await serve_orders(Load())


def main() -> None:
    """Serve until told to stop."""
    from voiceagent.loops import run_loop

    run_loop(serve)


if __name__ == "__main__":
    main()
