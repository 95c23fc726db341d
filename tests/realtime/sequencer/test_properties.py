"""I1 to I12 under every source of speech and every vice of a server, with shrinking counterexamples."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from voiceagent.bench.world import FAULTS, World
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import BargePolicy, InterruptedBy, Origin, ResponseRequest, When


class SequencerLife(RuleBasedStateMachine):
    """One call; every rule is one thing that can happen."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(
        auto_create=st.booleans(),
        auto_interrupt=st.booleans(),
        sip=st.booleans(),
        overlap=st.sampled_from(["refuse", "refuse", "supersede"]),
    )
    def begin(self, auto_create: bool, auto_interrupt: bool, sip: bool, overlap: str) -> None:
        self.world = World(
            auto_create=auto_create, auto_interrupt=auto_interrupt, owns_output_buffer=sip, overlap=overlap
        )

    @rule(
        origin=st.sampled_from(list(Origin)),
        when=st.sampled_from(list(When)),
        policy=st.sampled_from(list(BargePolicy)),
        flags=st.integers(0, 63),
        deadline=st.sampled_from([None, None, 3.0]),
    )
    def submit(
        self, origin: Origin, when: When, policy: BargePolicy, flags: int, deadline: float | None
    ) -> None:
        world = self.world
        world.count += 1
        needs: frozenset[str] = frozenset()
        if flags & 1:
            world.items.append(f"item{world.count}")
            needs = frozenset({world.items[-1]})
        follow_up = bool(flags & 2) and origin is Origin.TOOL
        world.submit(
            ResponseRequest(
                id=f"Q{world.count}",
                origin=origin,
                instructions=None if follow_up else "Say it.",
                when=when,
                barge_policy=policy,
                over_speech=flags & 12 == 12,
                interruptible=flags & 48 != 48,
                deadline_s=deadline,
                coalesce="k" if flags & 20 == 20 else None,
                needs=needs,
                retry_on_lost=bool(flags & 32),
                follow_up_of="resp_0" if follow_up else None,
                out_of_band=flags == 63,
                extra={"output_modalities": ["text"]} if flags == 63 else {},
            )
        )

    @rule(frames=st.integers(1, 3), events=st.integers(0, 4))
    def travel(self, frames: int, events: int) -> None:
        for _ in range(frames):
            self.world.serve()
        for _ in range(events):
            self.world.deliver()

    @rule(seconds=st.sampled_from([0.01, 0.06, 0.2, 0.5, 1.6, 2.1, 16.0]))
    def time(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule()
    def speech(self) -> None:
        _ = self.world.speak() or self.world.hush()

    @rule()
    def audio(self) -> None:
        self.world.audio()

    @rule()
    def ear(self) -> None:
        _ = self.world.ear_start() or self.world.ear_end()

    @rule(status=st.sampled_from(["completed", "completed", "failed", "incomplete"]))
    def done(self, status: str) -> None:
        self.world.done(status)

    @rule()
    def others(self) -> None:
        self.world.auto_reply()
        self.world.oob_done()

    @rule(fault=st.sampled_from(FAULTS))
    def fault(self, fault: str) -> None:
        self.world.faults.add(fault)

    @rule(by=st.sampled_from(list(InterruptedBy)), flush=st.booleans())
    def interrupt(self, by: InterruptedBy, flush: bool) -> None:
        self.world.interrupt(by, flush)

    @rule(back=st.integers(1, 4))
    def withdraw(self, back: int) -> None:
        if len(self.world.submitted) >= back:
            self.world.feed(io.Withdrawn(self.world.submitted[-back]))

    @rule(good=st.booleans())
    def acknowledge(self, good: bool) -> None:
        if self.world.items:
            item = self.world.items.pop()
            self.world.feed(io.ItemAcked(item) if good else io.ItemRefused(item, "bad"))

    @rule()
    def link(self) -> None:
        _ = self.world.reattach() or self.world.drop()

    @rule(seed=st.integers(0, 1000))
    def noise(self, seed: int) -> None:
        rng = random.Random(seed)
        self.world.feed(io.ResponseDone(f"nobody{seed}", "completed"))
        self.world.feed(io.PlaybackEnded(f"nobody{seed}", 5))
        self.world.feed(
            rng.choice([io.DigitReceived("1"), io.RoundTripMeasured(0.05), io.TimeoutTriggered()])
        )

    @invariant()
    def wakes_lie_ahead(self) -> None:
        self.world.wake()
        at = self.world.seq.wake_at()
        assert at is None or at > self.world.now

    @invariant()
    def view_holds(self) -> None:
        view = self.world.seq.snapshot(self.world.now)
        assert len(view.requests) == len(self.world.submitted) - len(self.world.settled)
        assert all(one.why != "" or one.state != "queued" for one in view.requests)

    def teardown(self) -> None:
        self.world.heal()


SequencerLife.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestSequencerLife = SequencerLife.TestCase
