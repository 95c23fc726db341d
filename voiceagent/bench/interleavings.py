"""Orders of events: all of them to a depth, and very many at random. I1 to I12 are checked after each step.

*Exhaustive*: a breadth-first walk. Ten sources can act at any moment; every order of them is tried to the
stated depth, except that an order which leads to a state seen before is not followed further (states are
compared by :func:`~voiceagent.bench.world_state.fingerprint`). Every newly found state of the last depth
can also be *healed*: with no more faults and a silent caller, everything accepted must end by itself.

*Random*: short lives of a world with every vice, from counted seeds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voiceagent.bench.world import World
from voiceagent.bench.world_state import START, fingerprint
from voiceagent.errors import VoiceAgentError
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import BargePolicy, Origin, ResponseRequest, When
from voiceagent.realtime.sequencer import Sequencer

KINDS: Mapping[str, Mapping[str, Any]] = {
    "flow answers": {},
    "provider answers": {"auto_create": True},
    "provider plays": {"owns_output_buffer": True},
}
"""The kinds of session of the exhaustive walk: direct with our turns, with automatic replies, and hosted."""

RANDOM_KINDS: Sequence[Mapping[str, Any]] = (
    {},
    {"auto_create": True},
    {"auto_create": True, "auto_interrupt": False},
    {"owns_output_buffer": True},
    {"owns_output_buffer": True, "auto_create": True},
    {"owns_output_buffer": True, "auto_interrupt": False},
    {"metadata_echo": False, "uncorrelated": True},
    {"overlap": "supersede", "auto_create": True},
)
LIFE_STEPS = 16
HEAL_EVERY = 10
FAULTS = ("none", "swallow", "lost_created", "lost_done", "anonymous")
"""One of these waits in the provider at the beginning of an exhaustive walk."""


class OrderBroken(VoiceAgentError):
    """An order of events that breaks a promise, with what is needed to live through it again."""

    code = "sequencer_promise_broken"

    def __init__(self, order: str, broken: BaseException) -> None:
        super().__init__(f"{broken} after {order}")
        self.order = order
        self.broken = broken


# ── sources ─────────────────────────────────────────────────────────────────────────────────────
def _submit(world: World, **request: Any) -> None:
    world.count += 1
    world.submit(ResponseRequest(f"Q{world.count}", **request))


def _flow(world: World) -> None:
    _submit(world, origin=Origin.IVR, instructions="Say it.", barge_policy=BargePolicy.DROP)


def _operator(world: World) -> None:
    _submit(world, origin=Origin.OPERATOR, instructions="Say it.", when=When.NOW)


def _tool(world: World) -> None:
    if world.items:
        world.feed(io.ItemAcked(world.items.pop()))
        return
    item = f"item{world.count + 1}"
    world.items.append(item)
    _submit(world, origin=Origin.TOOL, follow_up_of="resp_0", needs=frozenset({item}))


def _caller(world: World) -> None:
    _ = world.speak() or world.hush()


def _provider(world: World) -> None:
    if world.auto_reply():
        return
    if world.active is not None and not world.active.audio:
        world.audio()
    else:
        world.done()


def _clock(world: World) -> None:
    """Let time pass to the next deadline, or for a second when nothing is due."""
    due = world.seq.wake_at()
    world.advance(1.0 if due is None else max(due - world.now, 0.001))


SOURCES: Mapping[str, Callable[[World], object]] = {
    "flow": _flow,
    "operator": _operator,
    "tool": _tool,
    "caller": _caller,
    "provider": _provider,
    "frame up": World.serve,
    "event down": World.deliver,
    "ear": lambda world: world.ear_start() or world.ear_end(),
    "clock": _clock,
    "link": lambda world: world.reattach() or world.drop(),
}
"""Who may act next. What each does depends on the state alone, so an order names one life."""
_NAMES = tuple(SOURCES)
_ACTS = tuple(SOURCES.values())


# ── every order ─────────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class Walked:
    """What an exhaustive walk has seen."""

    kind: str
    fault: str
    depth: int
    states: int = 0
    orders: int = 0
    """Orders lived through: each state followed by each source."""
    merged: int = 0
    """Orders that led to a state seen before."""
    healed: int = 0
    new_states: list[int] = field(default_factory=list[int])
    """States first seen at each depth."""
    seconds: float = 0.0


def replay_order(
    order: bytes, kind: str = "flow answers", fault: str = "none", machine: type[Sequencer] = Sequencer
) -> World:
    """Return the world after the sources named by ``order`` (their places in :data:`SOURCES`) have acted."""
    world = World(machine=machine, start=START, jitter=_no_jitter, **KINDS[kind])
    if fault != "none":
        world.faults.add(fault)
    _submit(world, origin=Origin.TURN, instructions="Say it.")
    for act in order:
        _ACTS[act](world)
    return world


def _no_jitter(_event_id: str) -> float:
    return 0.0


def walk_exhaustively(
    depth: int,
    kind: str = "flow answers",
    fault: str = "none",
    *,
    heal_every: int = 7,
    machine: type[Sequencer] = Sequencer,
    progress: Callable[[Walked], None] | None = None,
) -> Walked:
    """Try every order of the sources to ``depth``; raises :class:`OrderBroken` with the shortest bad one."""
    walked = Walked(kind, fault, depth)
    began = time.perf_counter()
    seen = {fingerprint(replay_order(b"", kind, fault, machine))}
    frontier = [b""]
    for _ in range(depth):
        found: list[bytes] = []
        for before in frontier:
            for act in range(len(_ACTS)):
                order = before + bytes((act,))
                walked.orders += 1
                try:
                    world = replay_order(order, kind, fault, machine)
                    state = fingerprint(world)
                    if state in seen:
                        walked.merged += 1
                        continue
                    seen.add(state)
                    found.append(order)
                    if len(seen) % heal_every == 0:
                        world.heal()
                        walked.healed += 1
                except Exception as error:
                    raise OrderBroken(" → ".join(_NAMES[act] for act in order), error) from error
        frontier = found
        walked.new_states.append(len(found))
        walked.states = len(seen)
        walked.seconds = time.perf_counter() - began
        if progress is not None:
            progress(walked)
    return walked


# ── very many orders ────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class Lived:
    """What random lives have seen."""

    lives: int = 0
    steps: int = 0
    requests: int = 0
    healed: int = 0
    seconds: float = 0.0


def one_life(seed: int, *, steps: int = LIFE_STEPS, machine: type[Sequencer] = Sequencer) -> World:
    """Live one random life; the seed decides the kind of session and everything that happens."""
    world = World(machine=machine, **RANDOM_KINDS[seed % len(RANDOM_KINDS)])
    rng = random.Random(seed)
    for _ in range(steps):
        world.step(rng)
    return world


def live_randomly(
    lives: int,
    seed: int = 1,
    *,
    steps: int = LIFE_STEPS,
    heal_every: int = HEAL_EVERY,
    machine: type[Sequencer] = Sequencer,
) -> Lived:
    """Live that many lives, every ``heal_every``-th to its end; raises :class:`OrderBroken` with the seed."""
    lived = Lived()
    began = time.perf_counter()
    for number in range(lives):
        name = seed * 10_000_000 + number
        try:
            world = one_life(name, steps=steps, machine=machine)
            if number % heal_every == 0:
                world.heal()
                lived.healed += 1
        except Exception as error:
            raise OrderBroken(f"random life {name} of {steps} steps", error) from error
        lived.lives += 1
        lived.steps += steps
        lived.requests += len(world.submitted)
    lived.seconds = time.perf_counter() - began
    return lived
