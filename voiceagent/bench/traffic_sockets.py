"""Short sessions over real sockets against the embedded provider, with jitter; I1 to I12 checked live.

The provider runs in this process with fake parts (energy detector, canned recogniser, tone voice) at full
speed. Every frame it sends is held back for 0 to 15 ms, in order, so that what crosses on the wire crosses
differently each time. Each session has its own seed: who asks for what, when the caller speaks, presses keys
or is interrupted, what is withdrawn; now and then the socket is cut.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voiceagent.errors import ProviderError
from voiceagent.realtime import model_events as me
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.frames import FrameListener, FrameTransport
from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Origin, ResponseRequest, When
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.sequencer_invariants import InvariantChecker
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.transport_websockets import open_websockets
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel

AT_ONCE = 20
JITTER_S = 0.015
STEPS = 14
LAST_WAIT_S = 60.0
"""How long a session may take to settle what it was asked for."""
_TOLERANCE_S = 1e-3
_FRAME = 160


def _tone(ms: int) -> bytes:
    """Return µ-law of a loud tone, as the caller's speech."""
    from voiceagent.media.g711 import encode

    samples = array("h", (int(12_000 * math.sin(n * 0.35)) for n in range(ms * 8)))
    return encode(samples.tobytes())


@dataclass(slots=True)
class Sessions:
    """What all sessions have seen together."""

    sessions: int = 0
    steps: int = 0
    requests: int = 0
    turns: int = 0
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    never_ended: int = 0
    broken: list[str] = field(default_factory=list[str])


class _Jitter:
    """Stands between socket and link: frames arrive late, in order."""

    def __init__(self, inner: FrameTransport, rng: random.Random) -> None:
        self._inner = inner
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._listener: FrameListener | None = None
        self._waiting: deque[bytes | str | tuple[int | None, str]] = deque()
        self._last = 0.0

    def listen(self, listener: FrameListener) -> None:
        self._listener = listener
        self._inner.listen(self)

    def frame_received(self, data: bytes | str) -> None:
        self._later(bytes(data) if not isinstance(data, str) else data)

    def transport_closed(self, code: int | None, reason: str) -> None:
        self._later((code, reason))

    def _later(self, what: bytes | str | tuple[int | None, str]) -> None:
        self._waiting.append(what)
        self._last = max(self._last, self._loop.time() + self._rng.uniform(0.0, JITTER_S))
        self._loop.call_at(self._last, self._arrive)

    def _arrive(self) -> None:
        what = self._waiting.popleft()
        if self._listener is None:
            return
        if isinstance(what, tuple):
            self._listener.transport_closed(*what)
        else:
            self._listener.frame_received(what)

    def send(self, data: bytes) -> None:
        self._inner.send(data)

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        self._inner.send_audio(data, keep=keep)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._inner.close(code, reason)

    async def wait_closed(self) -> None:
        await self._inner.wait_closed()

    @property
    def buffered(self) -> int:
        return self._inner.buffered

    @property
    def dropped(self) -> int:
        return self._inner.dropped


class _Watch:
    """Puts the trace of one session together again and feeds the checker."""

    def __init__(self) -> None:
        self.checker: InvariantChecker | None = None
        self._event: io.SequencerEvent | None = None
        self._effects: list[Any] = []
        self._now = -1.0

    def trace(self, step: object, now: float) -> None:
        if isinstance(step, SequencerConfig):
            self.checker = InvariantChecker(step, strict=False, tolerance_s=_TOLERANCE_S)
        elif isinstance(step, io.SequencerEffect) and now == self._now:
            self._effects.append(step)
        else:
            self.flush()
            self._now = now
            if isinstance(step, io.SequencerEffect):
                self._effects.append(step)
            else:
                self._event = step  # pyright: ignore[reportAttributeAccessIssue]

    def flush(self) -> None:
        if self.checker is not None and (self._event is not None or self._effects):
            self.checker.step(self._event, self._effects, self._now)
        self._event, self._effects = None, []


class _Caller:
    """One seeded session: asks, speaks, presses keys, and plays what arrives much faster than real time."""

    def __init__(self, url: str, seed: int, tally: Sessions) -> None:
        self._rng = random.Random(seed)
        self._seed = seed
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._watch = _Watch()
        self._names: list[str] = []
        self._playing: dict[str, tuple[str, int]] = {}
        model = OpenAIRealtimeWebSocketModel(
            provider="embedded",
            url=url,
            model="voiceagent-embedded",
            transport=self._open,
            trace=self._watch.trace,
        )
        config = RealtimeSessionConfig(
            playout=True,
            turn_detection={
                "type": "server_vad",
                "silence_duration_ms": 200,
                "create_response": seed % 3 == 0,
                "interrupt_response": seed % 4 != 0,
            },
        )
        self.session = RealtimeSession(model=model, config=config)
        self.session.add_listener(self._on_event)

    async def _open(self, url: str, headers: Mapping[str, str], **options: Any) -> _Jitter:
        return _Jitter(await open_websockets(url, headers, **options), self._rng)

    def _on_event(self, event: me.RealtimeModelEvent) -> None:
        match event:
            case me.RealtimeModelAudioEvent(response_id=rid, item_id=item):
                if rid not in self._playing:
                    self._playing[rid] = (item, 0)
                    self.session.playback_started(rid, item)
                self._playing[rid] = (item, self._playing[rid][1] + len(event.data) // 8)
            case me.RealtimeModelAudioDoneEvent(response_id=rid):
                self._loop.call_later(self._rng.uniform(0.0, 0.12), self._ended, rid)
            case me.RealtimeModelAudioInterruptedEvent(response_id=rid):
                self._ended(rid, cut=True)
            case me.RealtimeModelInputCommittedEvent():
                self._tally.turns += 1
                if self._seed % 3 and not self.session.closed:
                    self._ask(Origin.TURN)
            case _:
                return

    def _ended(self, rid: str, *, cut: bool = False) -> None:
        item, ms = self._playing.pop(rid, ("", 0))
        if item:
            self.session.playback_ended(rid, item, ms // 2 if cut else ms, cut=cut)

    def _ask(self, origin: Origin) -> None:
        rng = self._rng
        name = self.session.new_id()
        self._names.append(name)
        self.session.submit(
            ResponseRequest(
                id=name,
                origin=origin,
                instructions=f'Say: "{"words " * rng.randrange(1, 5)}"',
                when=rng.choices(list(When), [8, 2, 1])[0],
                barge_policy=rng.choice(list(BargePolicy)),
                coalesce="k" if rng.random() < 0.1 else None,
                deadline_s=rng.choice([None, None, 5.0]),
            )
        )

    async def live(self) -> None:
        """Live the session, let everything end, close, and count."""
        rng = self._rng
        await self.session.open()
        cut = rng.random() < 0.05
        for _ in range(STEPS):
            await asyncio.sleep(rng.uniform(0.0, 0.03))
            if self.session.closed:
                break
            await self._act(rng.random())
        if not cut:
            await self._settled()
        await self.session.close()
        self._watch.flush()
        self._count()

    async def _act(self, dice: float) -> None:
        session, rng = self.session, self._rng
        if dice < 0.5:
            self._ask(rng.choice(list(Origin)))
        elif dice < 0.75:
            session.send_audio(_tone(rng.randrange(120, 400)))
            await asyncio.sleep(rng.uniform(0.0, 0.02))
            session.send_audio(b"\xff" * 8 * 400)
        elif dice < 0.85:
            session.digit(rng.choice("123#"))
        elif dice < 0.93 and self._names:
            session.withdraw(rng.choice(self._names))
        else:
            await session.interrupt(by=rng.choice([InterruptedBy.OPERATOR, InterruptedBy.CALLER]))

    async def _settled(self) -> None:
        """Give the caller the last word: silence, so that no turn stays open; then wait for every outcome."""
        self.session.send_audio(b"\xff" * 8 * 600)
        handles = [handle for name in self._names if (handle := self.session.handle(name)) is not None]
        try:
            async with asyncio.timeout(LAST_WAIT_S):
                for handle in handles:
                    await handle.outcome()
        except TimeoutError:
            self._tally.never_ended += sum(not handle.done for handle in handles)

    def _count(self) -> None:
        tally, checker = self._tally, self._watch.checker
        tally.sessions += 1
        tally.requests += len(self._names)
        for name in self._names:
            handle = self.session.handle(name)
            result = handle.result if handle is not None else None
            kind = result.kind.value if result is not None else "none"
            tally.outcomes[kind] = tally.outcomes.get(kind, 0) + 1
        if checker is not None:
            checker.finish()
            tally.steps += checker.steps
            tally.broken += [f"session {self._seed}: {broken}" for broken in checker.broken]


async def hold_sessions(count: int, seed: int = 1, *, at_once: int = AT_ONCE) -> Sessions:
    """Hold ``count`` sessions, ``at_once`` at a time."""
    from voiceagent.engine.config import EngineConfig
    from voiceagent.engine.fakes import FakeParts, ToneVoice
    from voiceagent.engine.run import start_engine

    tally = Sessions()
    fakes = FakeParts(voice=ToneVoice(ms_per_character=20.0))
    async with await start_engine(EngineConfig(pace=0.0, speculate=False), fakes) as engine:
        await engine.ready()
        gate = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with gate:
                caller = _Caller(engine.url, seed * 1_000_000 + number, tally)
                try:
                    await caller.live()
                except ProviderError as error:
                    tally.broken.append(f"session {number}: {error}")

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))
    return tally


def run_sockets_bench(count: int, seed: int = 1) -> dict[str, Any]:
    """Hold the sessions and return what was seen; ``broken`` lists violated invariants with their seed."""
    began = time.perf_counter()
    tally = asyncio.run(hold_sessions(count, seed))
    return {
        "sessions": tally.sessions,
        "decisions_checked": tally.steps,
        "requests": tally.requests,
        "caller_turns": tally.turns,
        "outcomes": dict(sorted(tally.outcomes.items())),
        "never_ended": tally.never_ended,
        "broken": len(tally.broken),
        **({"first_broken": tally.broken[0]} if tally.broken else {}),
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
    }
