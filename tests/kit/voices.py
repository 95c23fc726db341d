"""Two voices never overlap: a checker for simulated calls, and a bench that plays one call with it.

What goes to the caller's line is watched frame by frame: while anything of one voice (a response, a recorded
line, a played file, the comfort sound) is still to be heard, nothing of another may be handed to the line.
On the provider's wire no response is asked for while another one is being made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from voiceagent.call.apology import RESPONSE_ID as APOLOGY
from voiceagent.call.leg import Heard
from voiceagent.call.local_lines import is_local
from voiceagent.call.sounds import SOUND
from voiceagent.ivr.flow import Flow
from voiceagent.simulate.loop import SimulationLoop, new_runner
from voiceagent.simulate.scenario import Scenario
from voiceagent.simulate.sim_call import SimCall
from voiceagent.simulate.virtual_loop import VirtualDeadlock

BYTES_PER_S = 8000
COMFORT_AHEAD_S = 0.31
WITH_MUSIC = (APOLOGY, SOUND)
"""Of our own lines, what may be said to a caller who hears music: it is an answer, no filler."""
WIRE_S = 0.02
"""After the caller's hang-up: what was already on its way to the provider."""


class Voices:
    """Watches the line and the wire of one simulated call; ``faults`` says what was wrong."""

    def __init__(self, sim: SimCall) -> None:
        self.faults: list[str] = []
        self._sim = sim
        self._loop = asyncio.get_running_loop()
        self._voice = ""
        self._before: set[str] = set()
        """Voices that the line still has to play before that one."""
        self._until = 0.0
        """The line is busy with that voice until then (its own time, which a hold stops)."""
        self._left = 0.0
        """… or for so long, while the caller holds us."""
        self._held = False
        self._music = False
        """We hold the caller, or the caller waits in a queue."""
        self._gone_at: float | None = None
        self._watch_leg()
        self._watch_wire()

    # ── the line ────────────────────────────────────────────────────────────────────────────────
    def _watch_leg(self) -> None:
        leg: Any = self._sim.leg
        play, stop, hold, over = leg.play, leg.stop_playing, leg.caller_holds, leg.over
        ours, music = leg.hold, leg.play_music

        def played(audio: bytes, *, response_id: str, item_id: str) -> None:
            self._sounds(response_id, len(audio) / BYTES_PER_S)
            play(audio, response_id=response_id, item_id=item_id)

        def stopped() -> Sequence[Heard]:
            self._until = self._left = 0.0
            return stop()

        def held(on: bool) -> None:
            now = self._loop.time()
            if on and not self._held:
                self._left = max(0.0, self._until - now)
            elif not on and self._held:
                self._until = now + self._left
            self._held = on
            hold(on)

        async def held_by_us(on: bool) -> bool:
            if on and not self._held and self._until > self._loop.time() + COMFORT_AHEAD_S:
                self._fault(f"we hold the caller who hears {self._voice}")
            self._music = on
            return await ours(on)

        def with_music(on: bool) -> None:
            self._music = on  # of a queue: it waits for what is heard
            music(on)

        def ended(*args: Any) -> None:
            if self._gone_at is None:
                self._gone_at = self._loop.time()
            over(*args)

        leg.play, leg.stop_playing, leg.caller_holds, leg.over = played, stopped, held, ended
        leg.hold, leg.play_music = held_by_us, with_music

    def _sounds(self, voice: str, seconds: float) -> None:
        now = self._loop.time()
        if self._gone_at is not None and now > self._gone_at + WIRE_S:
            self._fault(f"{voice} is played after the end")
        if self._music and is_local(voice) and not voice.startswith(WITH_MUSIC):
            self._fault(f"{voice} is played over music")
        left = self._left if self._held else max(0.0, self._until - now)
        if voice != self._voice:
            if left > 1e-6 and not may_follow(voice, self._voice, left):
                self._fault(f"{voice} is put behind {self._voice}, which has {left:.2f} s to go")
            if left > 1e-6 and voice in self._before:
                self._fault(f"{voice} goes on after {self._voice} was put behind it")
            self._before = {*self._before, self._voice} if left > 1e-6 else set()
        self._voice = voice
        self._left = left + seconds
        self._until = now + self._left

    # ── the wire ────────────────────────────────────────────────────────────────────────────────
    def _watch_wire(self) -> None:
        provider: Any = self._sim.provider
        create = provider._acts["response.create"]

        def created(event: dict[str, Any]) -> None:
            if provider._active is not None:
                self._fault(f"a response is asked for while {provider._active} is being made")
            if self._gone_at is not None and self._loop.time() > self._gone_at + WIRE_S:
                self._fault("a response is asked for after the end")
            create(event)

        provider._acts = {**provider._acts, "response.create": created}

    def _fault(self, what: str) -> None:
        self.faults.append(f"{self._sim.now:.3f}: {what}")


def may_follow(voice: str, before: str, left_s: float) -> bool:
    """Return whether ``voice`` may be handed to the line with ``left_s`` of ``before`` still to be heard.

    Responses are queued one behind the other: the sequencer lets the next one be made while the last one is
    heard. The comfort sound is handed over in small pieces. Nothing else waits behind something else.
    """
    if is_local(voice) or is_local(before):
        return left_s <= COMFORT_AHEAD_S  # a line that began behind the comfort sound ends so much later
    return True


Act = Callable[[SimCall], Awaitable[None]]
"""What the caller, the operator or the world does."""


def after_ms(ms: int, act: Act) -> Act:
    """Have ``act`` done so long after the call was answered."""

    async def later(sim: SimCall) -> None:
        while sim.call.answered_at is None:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)
        await asyncio.sleep(ms / 1000)
        if not sim.over:
            await act(sim)

    return later


@dataclass
class Played:
    """One call that was played: what the checkers found, and the call's record."""

    faults: list[str] = field(default_factory=list)
    sim: Any = None
    outcome: str = ""

    @property
    def journal(self) -> list[dict[str, Any]]:
        return self.sim.record.journal

    def entries(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.journal if one["type"] == kind]


def play_call(
    flow: Flow,
    act: Act,
    *,
    scenario: Scenario | None = None,
    limit_s: float = 400.0,
) -> Played:
    """Play one call: the flow, and beside it ``act``. Everything that must hold of every call is checked."""
    found = Played()
    loops: list[SimulationLoop] = []

    async def run() -> None:
        sim = found.sim = SimCall(flow, scenario or Scenario())
        voices = Voices(sim)
        found.faults = voices.faults
        sim.start()
        acting = asyncio.create_task(act(sim), name="the act")
        life: Any = sim._life
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.wait({life})
        except TimeoutError:
            found.faults.append(f"the call is not over after {limit_s} s (step {sim.record.step})")
            await sim.give_up()
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        if sim.crash is not None:
            found.faults.append(f"the call handler failed: {sim.crash!r}")

    try:
        with new_runner(loops) as runner:
            runner.run(run())
    except VirtualDeadlock as error:
        found.faults.append(f"waits for ever: {error}")
        return found
    found.faults += one_outcome_each(found)
    found.faults += heard_is_a_beginning(found)
    found.faults += [f"{e['type']}: {e}" for e in found.journal if e["type"] in ("task.failed", "task.stuck")]
    found.outcome = str((found.sim.record.ended or {}).get("reason", ""))
    return found


def one_outcome_each(played: Played) -> list[str]:
    """Every request to speak has ended, exactly once."""
    ended = [one["request_id"] for one in played.entries("response.ended")]
    faults = [f"{one} has ended {ended.count(one)} times" for one in set(ended) if ended.count(one) != 1]
    faults += [f"{one} never ended" for one in played.sim.record.asked if one not in ended]
    return faults


def heard_is_a_beginning(played: Played) -> list[str]:
    """What the caller heard of a response is the beginning of its text."""
    return [
        f"{one['request_id']}: {outcome.heard_text!r} is no beginning of {outcome.text!r}"
        for one in played.entries("response.ended")
        if (outcome := one["outcome"]).text and not outcome.text.startswith(outcome.heard_text)
    ]
