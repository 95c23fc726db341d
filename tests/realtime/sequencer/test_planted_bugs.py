"""Small defects, planted one at a time: each must be caught by the ladders or by the walk, as stated.

A check that was never seen red is not a check.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.realtime.sequencer import test_scenarios_01_17, test_scenarios_18_36, test_scenarios_37_57
from tests.realtime.sequencer.playbook import Playbook
from tests.realtime.sequencer.world import World
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_state import Entry, Link, Phase, Reply, Stage, Turn

Effects = list[io.SequencerEffect]


class NoGate(Sequencer):
    """Create while the caller speaks."""

    def _speech_blocks(self, entry: Entry, now: float) -> bool:
        return False


class NoAutoHold(Sequencer):
    """Do not wait for the automatic reply after a commit."""

    def _await_auto(self, now: float) -> None:
        self._turn = Turn.NONE


class NoFlush(Sequencer):
    """Keep droppable prompts when the caller speaks."""

    def _drop_waiting(self, out: Effects, code: str) -> None:
        return


class FlushAll(Sequencer):
    """Drop everything when the caller speaks, operators included."""

    def _drop_waiting(self, out: Effects, code: str) -> None:
        for entry in list(self._queue):
            self._drop_for_caller(entry, out, code)


class AnyDoneFrees(Sequencer):
    """Free the slot on any done."""

    def _on_done(self, event: io.ResponseDone, now: float, out: Effects) -> None:
        super()._on_done(event, now, out)
        self._active = None


class OutOfBandDoneFrees(Sequencer):
    """Take an out-of-band done for one of the conversation."""

    def _on_done(self, event: io.ResponseDone, now: float, out: Effects) -> None:
        super()._on_done(event, now, out)
        if event.out_of_band:
            self._active = None


class SettleTwice(Sequencer):
    """Announce an end without looking whether it was announced."""

    def _judge(self, reply: Reply, entry: Entry, now: float, out: Effects) -> None:
        super()._judge(reply, entry, now, out)
        if entry.stage is Stage.ENDED:
            out.append(io.Settled(entry.id, Outcome(OutcomeKind.COMPLETED)))


class NamelessCancel(Sequencer):
    """Cancel whatever runs."""

    def _cancel(self, reply: Reply, now: float, out: Effects) -> None:
        before = len(out)
        super()._cancel(reply, now, out)
        out[before:] = [
            io.SendCancel(None, e.event_id) if isinstance(e, io.SendCancel) else e for e in out[before:]
        ]


class ForgetRefused(Sequencer):
    """Let a refused request vanish."""

    def _retry(self, entry: Entry, now: float, out: Effects, **_why: Any) -> bool:
        entry.stage = Stage.LIVE
        return True


class SayAgain(Sequencer):
    """Say again what was heard and interrupted."""

    def _judge(self, reply: Reply, entry: Entry, now: float, out: Effects) -> None:
        if reply.cut_by is InterruptedBy.CALLER and reply.audible:
            self._requeue(entry, now, out, why="planted")
        else:
            super()._judge(reply, entry, now, out)


class NoWatchdog(Sequencer):
    """Wait for ever for ``response.created``."""

    def _create_unanswered(self, entry: Entry, now: float, out: Effects) -> None:
        entry.ack_at = now + 1e6


class NoProbe(Sequencer):
    """Take an unanswered create for lost without proof."""

    def _probe(self, now: float, out: Effects) -> None:
        return


class CompletedAtDone(Sequencer):
    """Report *completed* when the generation ends."""

    def _finish(self, reply: Reply, status: str, now: float, out: Effects) -> None:
        entry = reply.entry
        super()._finish(reply, status, now, out)
        if entry is not None and status == "completed":
            self._settle(entry, Outcome(OutcomeKind.COMPLETED, response_id=reply.rid), out)


class FirstInFirstOut(Sequencer):
    """Ignore classes."""

    def _pump(self, now: float, out: Effects) -> None:
        for entry in list(self._queue):
            if self._held(entry, now) is None:
                self._send(entry, now, out)


class ReplayAfterLoss(Sequencer):
    """Send again after a lost link what was under way."""

    def _on_link_down(self, event: io.LinkDown, now: float, out: Effects) -> None:
        sending = self._sending
        if sending is not None and sending.stage is Stage.SENDING and not event.terminal:
            self._sending = None
            self._requeue(sending, now, out, why="planted")
        super()._on_link_down(event, now, out)


class KeepUnwanted(Sequencer):
    """Let a created response speak although nobody wants it any more."""

    def _unwanted(self, reply: Reply, entry: Entry | None, now: float, out: Effects, why: str) -> None:
        if entry is not None:
            entry.stage, entry.reply, reply.entry = Stage.LIVE, reply, entry


class DeafPlayout(Sequencer):
    """Cancel the generation but leave playing what was bought."""

    def _hush(self, reply: Reply, now: float, out: Effects) -> None:
        return


class FramesAfterClosing(Sequencer):
    """Forget that the session is closed."""

    def _end(self, reason: str, out: Effects) -> None:
        super()._end(reason, out)
        self._link = Link.UP


class InterruptHangs(Sequencer):
    """Never tell who asked for silence that there is silence."""

    def _release(self, **_which: Any) -> None:
        return

    def _expire_waiters(self, now: float, out: Effects) -> None:
        return


class CancelTwice(Sequencer):
    """Forget that a cancel is under way."""

    def _cancel(self, reply: Reply, now: float, out: Effects) -> None:
        if reply.phase is Phase.CANCELLING:
            reply.phase = Phase.ACTIVE
        super()._cancel(reply, now, out)


LADDERS, WALK = "ladders", "walk"
BUGS: dict[type[Sequencer], set[str]] = {
    NoGate: {LADDERS, WALK},
    NoAutoHold: {LADDERS, WALK},
    NoFlush: {LADDERS},
    FlushAll: {LADDERS, WALK},
    AnyDoneFrees: {LADDERS, WALK},
    OutOfBandDoneFrees: {LADDERS, WALK},
    SettleTwice: {LADDERS, WALK},
    NamelessCancel: {LADDERS, WALK},
    ForgetRefused: {LADDERS, WALK},
    SayAgain: {WALK},
    NoWatchdog: {LADDERS, WALK},
    NoProbe: {LADDERS},
    CompletedAtDone: {LADDERS},
    FirstInFirstOut: {LADDERS, WALK},
    ReplayAfterLoss: {LADDERS},
    KeepUnwanted: {LADDERS, WALK},
    DeafPlayout: {LADDERS, WALK},
    FramesAfterClosing: {LADDERS},
    InterruptHangs: {LADDERS, WALK},
    CancelTwice: {LADDERS},
}


def _ladders() -> list[Callable[[], None]]:
    modules = (test_scenarios_01_17, test_scenarios_18_36, test_scenarios_37_57)
    return [
        test
        for module in modules
        for name, test in sorted(vars(module).items())
        if name.startswith("test_scenario_") and not hasattr(test, "pytestmark")
    ]


def caught_by_ladders(machine: type[Sequencer], monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(Playbook, "machine_class", machine)
    for test in _ladders():
        try:
            test()
        except Exception:
            return True
    return False


def caught_by_walk(machine: type[Sequencer], lives: int = 30) -> bool:
    for life in range(lives):
        for config in ({}, {"auto_create": True}):
            rng = random.Random(life)
            try:
                world = World(machine=machine, **config)
                for _ in range(250):
                    world.step(rng)
                world.heal()
            except Exception:
                return True
    return False


def test_at_least_a_dozen_and_the_sound_machine_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(BUGS) >= 12
    assert len(_ladders()) >= 57
    assert not caught_by_ladders(Sequencer, monkeypatch)
    assert not caught_by_walk(Sequencer, lives=5)


@pytest.mark.parametrize("bug", list(BUGS), ids=lambda bug: bug.__name__)
def test_planted_bug_is_caught(bug: type[Sequencer], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = BUGS[bug]
    caught: set[str] = set()
    if LADDERS in expected and caught_by_ladders(bug, monkeypatch):
        caught.add(LADDERS)
    if WALK in expected and caught_by_walk(bug):
        caught.add(WALK)
    assert caught == expected, f"{bug.__doc__} escaped {expected - caught}"
