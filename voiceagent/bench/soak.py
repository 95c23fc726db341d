"""``voiceagent bench soak``: thousands of short calls through a whole service, and what they leave behind.

A whole service in this process: SIP, RTP, a realtime session over a WebSocket, flows, journals, metrics,
the database (SQLite), the console. Callers with phones, and the scripted provider, live in a second process.
Every call is INVITE, 200, ACK, RTP both ways, a greeting by the model, BYE; every second one is hung up by
the flow.

Resident memory is sampled twice a second against the number of calls that have ended. The slope is that of
the line of least squares through the samples after the first quarter, at least after the first 32 s, for so
long a SIP transaction stays in memory, and after 1,500 calls, when all that is kept up to a limit is full.
What waits for a full turn of the garbage collector counts in full: a service has made them rare, and nothing
of an ended call should wait for one. What is left is counted after ``settle`` seconds of silence.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceagent.bench.calls import LoadProcess
from voiceagent.bench.soak_figures import goals, invalid_because, memory_of
from voiceagent.bench.soak_load import LEAVES, STAYS
from voiceagent.bench.stats import tell
from voiceagent.bench.usage import others_core_percent, used_now
from voiceagent.loops import run_loop

if TYPE_CHECKING:
    from voiceagent.app.service import Service
    from voiceagent.call.sip_gateway import SipGateway
    from voiceagent.ivr.flow import FlowBook

HOLD_S = 1.0
"""How long after the greeting's first sound the caller hangs up, where it is he who does."""
SAMPLE_S = 0.5
TELL_S = 10.0
WRITTEN_S = 60.0
"""How long after the last call its record may take."""

Samples = list[tuple[float, float]]


def run_soak_bench(
    *,
    calls: int = 8640,
    rate: float = 30.0,
    settle: float = 40.0,
    hold_s: float = HOLD_S,
    shed: bool = True,
    say: Callable[[str], None] = tell,
) -> dict[str, Any]:
    """Run it all and return the figures; ``say`` is told how far it is.

    With ``shed`` the service turns calls away while its loop lags, as it does by default: they have failed.

    Stable keys: ``failed``, ``heard`` (calls in which the phone heard the model), ``before``, ``after`` and
    ``more`` (``tasks``, ``descriptors``, ``threads``), ``memory`` (``kb_per_call``, ``samples`` as pairs of
    ended calls and kB), ``left`` (``transactions``, ``dialogs``, ``legs``, ``timers``, ``rtp_ports``,
    ``calls``, ``archive``), ``new_tasks`` (what runs that did not before, by name), ``database_calls``,
    ``journals``, ``cpu_ms_per_call``, ``goals``, ``valid`` and ``invalid_because``.
    """
    return run_loop(lambda: _bench(calls, rate, settle, hold_s, shed, say))


def _flows() -> FlowBook:
    from voiceagent.ivr.flow import FlowBook, flow
    from voiceagent.ivr.verbs import Call

    @flow(STAYS, numbers=[STAYS], model="soak-0")
    async def stays(call: Call) -> None:
        await call.say("Thank you for calling.")
        await call.converse(turns=10, seconds=60, idle=(), idle_s=60)

    @flow(LEAVES, numbers=[LEAVES], model="soak-0")
    async def leaves(call: Call) -> None:
        await call.say("Thank you for calling, goodbye.")

    return FlowBook([stays, leaves])


async def _bench(
    calls: int, rate: float, settle: float, hold_s: float, shed: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    from voiceagent.app.service import Service
    from voiceagent.observe.logs import configure_logs
    from voiceagent.settings import bare_settings

    configure_logs(level="error")
    load = await LoadProcess.start("voiceagent.bench.soak_load")
    try:
        with tempfile.TemporaryDirectory(prefix="voiceagent-soak-") as folder:
            prepared = await load.order(prepare=True)
            journals = Path(folder) / "journals"
            settings = bare_settings(
                {
                    "journal_dir": str(journals),
                    "recordings_dir": str(Path(folder) / "recordings"),
                    "sip.port": 0,
                    "media.port_low": 10_000,
                    "media.port_high": 29_999,
                    "call.max_calls": 10_000,
                    "call.drain_limit_s": 1,
                    **({} if shed else {"call.overload_lag_ms": 0}),
                    "console.port": 0,
                    "console.token": "bench-soak-token",
                    "realtime.provider": "openai",
                    "realtime.api_key": "bench",
                    "realtime.url": prepared["ws"],
                    "log.level": "error",
                }
            )
            service = Service(settings)
            service.flows = _flows()
            async with service:
                return await _measured(service, load, journals, calls, rate, settle, hold_s, say)
    finally:
        await load.stop()


class _Watch:
    """Counts the calls that end, and samples memory against them."""

    def __init__(self, service: Service, calls: int, say: Callable[[str], None]) -> None:
        self.ended = 0
        self.samples: Samples = []
        self.full_turns: list[int] = []
        """Calls that had ended whenever the garbage collector looked at everything."""
        self._calls = calls
        self._say = say
        self._service = service
        keep = service.directory.ended

        def counted(call: Any) -> None:
            self.ended += 1
            keep(call)

        service.directory.ended = counted

    def collected(self, phase: str, info: Mapping[str, int]) -> None:
        """Hear of a turn of the garbage collector."""
        if phase == "stop" and info["generation"] == 2:
            self.full_turns.append(self.ended)

    async def run(self) -> None:
        """Sample until cancelled."""
        gc.callbacks.append(self.collected)
        try:
            await self._sample()
        finally:
            gc.callbacks.remove(self.collected)

    async def _sample(self) -> None:
        told = asyncio.get_running_loop().time()
        while True:
            memory = used_now().resident_kb
            self.samples.append((self.ended, memory))
            now = asyncio.get_running_loop().time()
            if now - told >= TELL_S:
                told = now
                live = self._service.admission.live
                self._say(f"{self.ended:,} of {self._calls:,} calls over, {live} now, {memory / 1024:.0f} MB")
            await asyncio.sleep(SAMPLE_S)


async def _measured(
    service: Service,
    load: LoadProcess,
    journals: Path,
    calls: int,
    rate: float,
    settle: float,
    hold_s: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    assert service.addresses is not None
    port = int(service.addresses.sip.rpartition(":")[2])
    watch = _Watch(service, calls, say)
    standing = asyncio.all_tasks()
    before, start = _holds(), used_now()
    sampling = asyncio.create_task(watch.run())
    seen = await load.order(sip=port, calls=calls, rate=rate, hold_s=hold_s)
    end = used_now()
    sampling.cancel()
    await asyncio.wait([sampling])
    await _all_written(service)
    if settle:
        say(f"waiting {settle:g} s for everything to be forgotten")
        await asyncio.sleep(settle)
    after = _holds()
    figures = {
        "calls": calls,
        "rate": rate,
        "settle_s": settle,
        **seen,
        "cpu_ms_per_call": round(1000 * (end.cpu_s - start.cpu_s) / calls, 2),
        "core_percent": round(100 * (end.cpu_s - start.cpu_s) / (end.at - start.at), 1),
        "before": before,
        "after": after,
        "more": {name: after[name] - before[name] for name in before},
        "memory": memory_of(watch.samples, calls, rate, watch.full_turns),
        "left": _left(service),
        "new_tasks": _names(asyncio.all_tasks() - standing - {sampling}),
        "database_calls": await _rows(service),
        "journals": await asyncio.to_thread(_whole_journals, journals),
        "others_core_percent": round(others_core_percent(start, end, seen["load_core_percent"]), 1),
    }
    figures["goals"] = goals(figures)
    reasons = invalid_because(figures, start)
    return {**figures, "valid": not reasons, "invalid_because": reasons}


def _holds() -> dict[str, int]:
    folder = Path("/proc/self/fd")
    descriptors = len(os.listdir(folder)) - 1 if folder.is_dir() else 0  # without the listing's own
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": descriptors,
        "threads": threading.active_count(),
    }


async def _all_written(service: Service) -> None:
    """Wait until no call lives and every record is written, but not for ever."""
    for _ in range(int(WRITTEN_S / 0.05)):
        if not _busy(service):
            return
        await asyncio.sleep(0.05)


async def _rows(service: Service) -> int:
    """Return how many calls the database knows."""
    from sqlalchemy import func, select

    from voiceagent.store.tables import calls as table

    rows = await service.database.run(
        lambda connection: connection.execute(select(func.count()).select_from(table)).scalar()
    )
    return int(rows or 0)


def _names(tasks: Iterable[asyncio.Task[Any]]) -> dict[str, int]:
    """Count tasks by what they run."""
    return dict(Counter(getattr(task.get_coro(), "__qualname__", task.get_name()) for task in tasks))


def _busy(service: Service) -> int:
    return service.admission.live + len(service.archive) + len(_gateway(service))


def _gateway(service: Service) -> SipGateway:
    gateway = service.gateway
    assert gateway is not None
    return gateway


def _left(service: Service) -> dict[str, int]:
    assert service.sip is not None
    gateway = _gateway(service)
    live = service.sip.endpoint.figures()
    return {
        "transactions": live.server_transactions + live.client_transactions,
        "dialogs": live.dialogs,
        "legs": max(live.legs, len(gateway)),
        "timers": live.timers,
        "rtp_ports": gateway.rtp_ports_in_use,
        "calls": service.admission.live,
        "archive": len(service.archive),
    }


def _whole_journals(folder: Path) -> int:
    """Count the journals whose last entry is the end of the call."""
    whole = 0
    for path in folder.glob("*.jsonl"):
        last = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
        whole += json.loads(last)["type"] == "call.ended"
    return whole
