"""``voiceagent bench console``: what the console costs the calls; how soon an operator sees and is obeyed.

A whole service in this process; phones dialled in over SIP, the scripted provider, whoever triggers and
whoever reads the live stream in a second process; Chromium, where there is one, in a third. All delays are
differences of CLOCK_MONOTONIC, which they share. What stalled readers do to the calls is measured in windows
that take turns with and without them, so that both meet the same machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voiceagent.bench.calls import LoadProcess
from voiceagent.bench.console_page import page_weights
from voiceagent.bench.console_provider import QUIET, mark_in
from voiceagent.bench.console_readers import Asker, Place
from voiceagent.bench.load_frames import spread
from voiceagent.bench.stats import cpu_seconds, resident_kb
from voiceagent.loops import run_loop

QUIET_CALLS = 8
"""Calls beside the others on which triggers are made: nobody speaks there."""
TRIGGERS_PER_S = 15.0
"""Below what one operator may."""
TOKEN = "bench-console-token"
WARM_UP_S = 4.0
TURNS = 3
"""Pairs of windows, without and with stalled readers."""
GOALS = {
    "accepted_to_create_p99_ms": 20.0,
    "wire_to_sse_p99_ms": 150.0,
    "first_page_bytes": 200_000.0,
    "first_paint_ms": 500.0,
}


def run_console_bench(
    *,
    calls: int = 100,
    readers: int = 200,
    seconds: float = 20.0,
    browser: bool = True,
    warm_up_s: float = WARM_UP_S,
) -> dict[str, Any]:
    """Run it all and return the figures.

    ``trigger``: ``accepted_to_create_ms`` from the console's handing a trigger to the call to the arrival of
    its ``response.create`` at the provider, ``post_to_create_ms`` from the POST's leaving.
    ``live``: ``wire_to_sse_ms`` from the provider's sending of the caller's words to a reader's having them.
    ``stalled_streams``, ``stalled_listeners``: pacing at the phones with and without ``readers`` who do not
    read, and the memory that they cost. ``page``: bytes. ``browser``: Chromium's paint and DOM.
    ``ratio`` is of the medians of the windows' p99.
    """
    return run_loop(lambda: _bench(calls, readers, seconds, browser, warm_up_s))


async def _bench(calls: int, readers: int, seconds: float, browser: bool, warm_up_s: float) -> dict[str, Any]:
    from voiceagent.app.service import Service
    from voiceagent.ivr.flow import Flow, FlowBook, flow
    from voiceagent.ivr.verbs import Call
    from voiceagent.observe.logs import configure_logs
    from voiceagent.settings import bare_settings

    def one(name: str) -> Flow:
        @flow(name, numbers=[name], model=f"{name}-0")
        async def talk(call: Call) -> None:
            await call.converse(turns=1000, seconds=3600, idle=(), idle_s=3600)

        return talk

    configure_logs(level="error")
    load = await LoadProcess.start("voiceagent.bench.console_load")
    try:
        with tempfile.TemporaryDirectory(prefix="voiceagent-bench-") as folder:
            prepared = await load.order(calls=calls, quiet=QUIET_CALLS)
            settings = bare_settings(
                {
                    "journal_dir": str(Path(folder) / "journals"),
                    "sip.port": 0,
                    "call.max_calls": 10_000,
                    "call.drain_limit_s": 1,
                    "call.overload_lag_ms": 10_000,
                    "console.port": 0,
                    "console.token": TOKEN,
                    "console.max_streams": readers + 20,
                    "console.max_listeners": readers + 20,
                    "console.max_connections": readers + 100,
                    "realtime.provider": "openai",
                    "realtime.api_key": "bench",
                    "realtime.url": prepared["ws"],
                    "log.level": "error",
                }
            )
            service = Service(settings)
            service.flows = FlowBook([one("script"), one(QUIET)])
            async with service:
                await _set_up(service, load, warm_up_s)
                return await _measured(service, load, calls, readers, seconds, browser)
    finally:
        await load.stop()


async def _set_up(service: Any, load: LoadProcess, warm_up_s: float) -> None:
    """Let everyone call, one reader watch, and the script begin."""
    await load.order(sip=int(service.addresses.sip.rpartition(":")[2]))
    await load.order(console=service.addresses.console, token=TOKEN)
    await asyncio.sleep(warm_up_s)


async def _measured(
    service: Any, load: LoadProcess, calls: int, readers: int, seconds: float, browser: bool
) -> dict[str, Any]:
    addresses = service.addresses
    load_at_start = os.getloadavg()[0]
    accepted = _note_acceptance(service.directory)
    before, since = cpu_seconds(), time.monotonic()
    plain = await load.order(window=seconds, triggers=TRIGGERS_PER_S)
    core = 100 * (cpu_seconds() - before) / (time.monotonic() - since)
    figures: dict[str, Any] = {
        "calls": calls,
        "readers": readers,
        "trigger": _trigger_figures(plain, accepted),
        "live": _live_figures(plain),
        "core_percent": round(core, 1),
    }
    for kind, name in (("sse", "stalled_streams"), ("listen", "stalled_listeners")):
        figures[name] = await _stalled(load, kind, readers, seconds / 2, accepted)
    asker = Asker(Place(addresses.console, TOKEN))
    figures["page"] = await page_weights(asker)
    asker.close()
    if browser:
        figures["browser"] = await _browser(addresses.console, seconds)
    await load.order(close=True)
    figures["machine"] = {
        "cores": os.cpu_count(),
        "load_1m_start": round(load_at_start, 1),
        "load_1m_end": round(os.getloadavg()[0], 1),
        "load_process_core_percent": plain["load_core_percent"],
        "load_process_lateness_p99_ms": plain["load_lateness_ms"],
    }
    figures["goals"] = GOALS
    return figures


def _note_acceptance(directory: Any) -> dict[int, int]:
    """Note when each marked trigger is handed to its call: mark → nanoseconds."""
    accepted: dict[int, int] = {}
    trigger = directory.trigger

    def noted(call_id: str, wish: Any, **more: Any) -> Any:
        sent = mark_in(wish.instructions or "")
        if sent is not None:
            accepted[sent] = time.monotonic_ns()
        return trigger(call_id, wish, **more)

    directory.trigger = noted
    return accepted


def _trigger_figures(window: Mapping[str, Any], accepted: Mapping[int, int]) -> dict[str, Any]:
    creates = {int(sent): int(at) for sent, at in window["creates"]}
    inside = [(at - accepted[sent]) / 1e6 for sent, at in creates.items() if sent in accepted]
    return {
        "accepted_to_create_ms": spread(inside, 50, 99, 100),
        "post_to_create_ms": spread([(at - sent) / 1e6 for sent, at in creates.items()], 50, 99, 100),
        "post_to_202_ms": spread(window["posts_ms"], 50, 99, 100),
        "triggers": window["triggers"],
        "creates": len(creates),
    }


def _live_figures(window: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "wire_to_sse_ms": spread(window["sse_ages_ms"], 50, 99, 100),
        "events": len(window["sse_ages_ms"]),
        "stream_bytes_per_s": window["sse_bytes_per_s"],
    }


async def _stalled(
    load: LoadProcess, kind: str, readers: int, seconds: float, accepted: Mapping[int, int]
) -> dict[str, Any]:
    """Measure without and with stalled readers, in turns."""
    without: list[dict[str, Any]] = []
    with_them: list[dict[str, Any]] = []
    memory: list[float] = []
    cores: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(TURNS):
        without.append(await _window(load, seconds, cores["without"]))
        idle = resident_kb()
        await load.order(stall=kind, readers=readers)
        with_them.append(await _window(load, seconds, cores["with"]))
        memory.append((resident_kb() - idle) / 1024)
        await load.order(release=True)
        await asyncio.sleep(1.0)
    ages = [age for window in with_them for age in window["sse_ages_ms"]]
    usual, theirs = _pacing(without), _pacing(with_them)
    return {
        "pacing_p99_ms": {"without": usual, "with": theirs},
        "ratio": round(theirs["median"] / usual["median"], 2) if usual["median"] else 0.0,
        "core_percent": {name: round(statistics.median(values), 1) for name, values in cores.items()},
        "frames_lost": {
            "without": sum(window["frames_lost"] for window in without),
            "with": sum(window["frames_lost"] for window in with_them),
        },
        "calls_lost": with_them[-1]["calls_lost"],
        "memory_mb": {"first": round(memory[0], 1), "last": round(memory[-1], 1)},
        "wire_to_sse_ms": spread(ages, 50, 99, 100),
        "accepted_to_create_ms": spread(
            [
                (int(at) - accepted[int(sent)]) / 1e6
                for window in with_them
                for sent, at in window["creates"]
                if int(sent) in accepted
            ],
            50,
            99,
            100,
        ),
    }


async def _window(load: LoadProcess, seconds: float, cores: list[float]) -> dict[str, Any]:
    before, since = cpu_seconds(), time.monotonic()
    seen = await load.order(window=seconds, triggers=TRIGGERS_PER_S)
    cores.append(100 * (cpu_seconds() - before) / (time.monotonic() - since))
    return seen


def _pacing(windows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    values = [window["pacing"]["p99"] for window in windows]
    return {"median": round(statistics.median(values), 2), "min": min(values), "max": max(values)}


async def _browser(url: str, seconds: float) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voiceagent.bench.console_browser",
        url,
        TOKEN,
        str(seconds),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaint = await child.communicate()
    if child.returncode:
        return {"skipped": f"the browser failed: {complaint.decode().strip().splitlines()[-1:]}"}
    figures: dict[str, Any] = json.loads(told)
    return figures
