"""``voiceagent bench calls``: N calls at once in this process, phones and provider in another one.

Each call is what a running service has between its phone and its model: a :class:`MediaPort` on the shared
wheel, and a realtime session over a WebSocket, G.711 on both sides. SIP is left out (the ports are told
directly). All delays are measured by stamps inside the audio, all counts at the phones and the provider:
nothing is asked of the code under test but its CPU time and memory.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from voiceagent.bench.usage import Used, others_core_percent, used_now
from voiceagent.errors import MediaError
from voiceagent.loops import loop_factory
from voiceagent.media.port import MediaPath, MediaPort
from voiceagent.media.wheel import MediaWheel
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_events import (
    RealtimeModelAudioDoneEvent,
    RealtimeModelAudioEvent,
    RealtimeModelAudioInterruptedEvent,
    RealtimeModelEvent,
    RealtimeModelInputCommittedEvent,
    RealtimeModelTurnEndedEvent,
)
from voiceagent.realtime.providers import ProviderProfile
from voiceagent.realtime.requests import ResponseRequest
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel, TransportName

WARM_UP_S = 6.0
"""Between the last set-up and the window: a whole period of the provider's script."""
CONCURRENT_SETUPS = 20
LOAD_CORE_LIMIT = 85.0
"""Above this share of a core the load process itself is the bottleneck: the run is invalid."""
OTHERS_LIMIT = 25.0
"""Above this share of a core, taken by other programs, delays are theirs and not ours."""


class CallUnderTest(Protocol):
    """One running call, as the bench drives it."""

    rtp_port: int
    """Where the phone sends."""

    async def close(self) -> None: ...


ComposeCall = Callable[[int, MediaWheel, str, int], Awaitable[CallUnderTest]]
"""Makes one call: its number, the wheel, the provider's URL with ``{model}``, the phone's port."""


class MediaAndSession:
    """A call of media and session only: asks for a response at the end of each turn, obeys the barge-in."""

    def __init__(self, wheel: MediaWheel, session: RealtimeSession) -> None:
        self._session = session
        self.on_audio = session.send_audio
        self.on_playback_started = session.playback_started
        self._port = MediaPort(wheel, self)
        session.add_listener(self._model_says)
        self.rtp_port = self._port.open("127.0.0.1")[1]

    def start(self, phone_port: int) -> None:
        """Let the packets flow."""
        self._port.connect(MediaPath(("127.0.0.1", phone_port)))

    async def close(self) -> None:
        self._port.close()
        await self._session.close()

    def on_digit(self, digit: str) -> None:
        self._session.digit(digit)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        self._session.playback_ended(response_id, item_id, heard_ms, cut=cut)

    def on_media_lost(self, silence_s: float) -> None:
        return

    def on_media_failed(self, error: MediaError) -> None:
        raise error

    def _model_says(self, event: RealtimeModelEvent) -> None:
        if type(event) is RealtimeModelAudioEvent:
            self._port.play(event.data, event.response_id, event.item_id)
        elif isinstance(event, (RealtimeModelAudioDoneEvent, RealtimeModelTurnEndedEvent)):
            self._port.play_end(event.response_id)
        elif isinstance(event, RealtimeModelAudioInterruptedEvent):
            for heard in self._port.stop_playing():
                self._session.playback_ended(heard.response_id, heard.item_id, heard.heard_ms, cut=heard.cut)
        elif isinstance(event, RealtimeModelInputCommittedEvent):
            self._session.submit(ResponseRequest(id=self._session.new_id(), instructions="Go on."))


def media_and_session_over(transport: TransportName) -> ComposeCall:
    """Return the composition of media and session with this WebSocket client."""

    async def compose(number: int, wheel: MediaWheel, url: str, phone_port: int) -> CallUnderTest:
        profile = ProviderProfile(name="load", url=url, auth="none", session_minutes=None)
        model = OpenAIRealtimeWebSocketModel(provider=profile, model=f"call-{number}", transport=transport)
        session = RealtimeSession(model=model, config=RealtimeSessionConfig(playout=True))
        await session.open()
        call = MediaAndSession(wheel, session)
        call.start(phone_port)
        return call

    return compose


media_and_session = media_and_session_over("auto")
"""The composition that the bench measures unless it is given another one."""


class LoadProcess:
    """The other process, spoken to in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls,
        module: str = "voiceagent.bench.load_main",
        *,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
    ) -> LoadProcess:
        """Start ``module`` as a process of its own, perhaps with another Python."""
        process = await asyncio.create_subprocess_exec(
            python,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**22,
            env=env,
        )
        return cls(process)

    async def order(self, **order: Any) -> dict[str, Any]:
        """Send one order, return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load process ended with code {await self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def stop(self) -> None:
        """End it: by the end of its input, by force after 5 s."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def measure_calls(
    calls: int,
    seconds: float,
    *,
    compose: ComposeCall = media_and_session,
    warm_up_s: float | None = None,
    freeze: bool = True,
) -> dict[str, Any]:
    """Run the bench on the running loop; see :func:`run_calls_bench`.

    ``freeze`` takes what stands after the set-up out of the garbage collector's sight.
    """
    load = await LoadProcess.start()
    wheel = MediaWheel()
    running: list[CallUnderTest] = []
    try:
        prepared = await load.order(calls=calls)
        # A first call, so that imports and caches count neither as memory nor as set-up time of the others.
        await (await compose(0, wheel, prepared["ws"], prepared["phones"][0])).close()
        gc.collect()
        before = used_now()
        gate = asyncio.Semaphore(CONCURRENT_SETUPS)
        slots: list[CallUnderTest | None] = [None] * calls

        async def set_up(number: int) -> None:
            async with gate:
                call = await compose(number, wheel, prepared["ws"], prepared["phones"][number])
                slots[number] = call
                running.append(call)

        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                group.create_task(set_up(number))
        await load.order(ports=[call.rtp_port for call in slots if call is not None])
        set_up_s = time.monotonic() - before.at
        if freeze:
            gc.collect()
            gc.freeze()
        await asyncio.sleep(WARM_UP_S if warm_up_s is None else warm_up_s)
        wheel.lateness.clear()
        await load.order(measure=True)
        start = used_now()
        await asyncio.sleep(seconds)
        end = used_now()
        seen = await load.order(report=True)
        lateness = wheel.lateness
        figures = _figures(calls, before, start, end, seen)
        figures["wheel"] = {
            "timer": wheel.timer,
            "lateness_ms": {
                "p50": lateness.percentile(50),
                "p99": lateness.percentile(99),
                "max": round(lateness.max_ms, 2),
            },
            "errors": wheel.errors,
        }
        figures["set_up_ms_per_call"] = round(1000 * set_up_s / calls, 2)
        figures["loop"] = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        return figures
    finally:
        # All at once: where the machine is too slow for so many calls, those that wait would keep it so.
        await asyncio.gather(*[call.close() for call in running])
        wheel.close()
        await load.stop()
        if freeze:
            gc.unfreeze()


def _figures(calls: int, before: Used, start: Used, end: Used, seen: dict[str, Any]) -> dict[str, Any]:
    window = end.at - start.at
    core = 100 * (end.cpu_s - start.cpu_s) / window
    expected = calls * 50 * seen["seconds"]
    others = others_core_percent(start, end, seen["load_core_percent"])
    reasons = machine_reasons(others, seen)
    if seen["sessions"] != calls:
        reasons.append(f"{seen['sessions']} of {calls} sessions were alive at the end")
    if seen["packets_received"] < 0.99 * expected:
        reasons.append(f"the phones received {seen['packets_received']} of {expected:.0f} packets")
    if not seen["answers"]:
        reasons.append("the window was too short for an answer")
    if not seen["interruptions"]:
        reasons.append("the window was too short for an interruption")
    return {
        "calls": calls,
        "seconds": round(window, 2),
        "core_percent": round(core, 2),
        "core_percent_per_call": round(core / calls, 4),
        "cpu_ms_per_call_second": round(10 * core / calls, 3),
        "pacing_ms": seen["pacing_ms"],
        "uplink_ms": seen["uplink_ms"],
        "downlink_ms": seen["downlink_ms"],
        "barge_in_stop_ms": seen["barge_in_stop_ms"],
        "memory_kb_per_call": round((end.resident_kb - before.resident_kb) / calls, 1),
        "base_memory_mb": round(before.resident_kb / 1024, 1),
        "frames_lost": seen["frames_lost_down"] + seen["frames_lost_up"],
        "others_core_percent": round(others, 1),
        "valid": not reasons,
        "invalid_because": reasons,
        "truncate_ms": seen["truncate_ms"],
        "truncate_error_ms": seen["truncate_error_ms"],
        "load": {
            key: value if not isinstance(value, float) else round(value, 2)
            for key, value in seen.items()
            if key
            not in {
                "pacing_ms",
                "uplink_ms",
                "downlink_ms",
                "barge_in_stop_ms",
                "truncate_ms",
                "truncate_error_ms",
            }
        },
    }


def machine_reasons(others: float, seen: Mapping[str, Any]) -> list[str]:
    """Return why the machine or the load process has set the figures; empty when they have not."""
    reasons: list[str] = []
    if others > OTHERS_LIMIT:
        reasons.append(f"others on this machine used {others:.0f} % of a core")
    if seen["load_core_percent"] > LOAD_CORE_LIMIT:
        reasons.append(f"the load process used {seen['load_core_percent']:.0f} % of a core")
    if seen["load_lateness_ms"]["p99"] > 5:
        reasons.append(f"the load process was late: p99 {seen['load_lateness_ms']['p99']:.1f} ms")
    return reasons


def run_calls_bench(
    calls: int,
    seconds: float,
    *,
    compose: ComposeCall = media_and_session,
    warm_up_s: float | None = None,
    uvloop: bool = True,
) -> dict[str, Any]:
    """Run ``calls`` calls, measure for ``seconds`` and return the figures.

    Stable keys: ``calls``, ``core_percent_per_call``, ``pacing_ms`` (p50, p99, p99.9, max), ``uplink_ms``
    and ``downlink_ms`` (p50, p99), ``barge_in_stop_ms`` (p50, p99, max), ``memory_kb_per_call``,
    ``frames_lost``. ``valid`` is False, with ``invalid_because``, when the load process or the machine
    rather than the code under test set the figures.
    """
    with asyncio.Runner(loop_factory=loop_factory() if uvloop else None) as runner:
        return runner.run(measure_calls(calls, seconds, compose=compose, warm_up_s=warm_up_s))
