"""Small defects, planted one at a time, and who catches them: a check never seen red is not a check.

Each defect is the sound machine with one rule broken. The walks of :mod:`voiceagent.bench.interleavings` live
with it until a promise breaks; the report names which one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from voiceagent.bench.world import World
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import InterruptedBy, Outcome, OutcomeKind
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_invariants import INVARIANTS, InvariantBroken
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


BUGS: tuple[type[Sequencer], ...] = (
    NoGate,
    NoAutoHold,
    NoFlush,
    FlushAll,
    AnyDoneFrees,
    OutOfBandDoneFrees,
    SettleTwice,
    NamelessCancel,
    ForgetRefused,
    SayAgain,
    NoWatchdog,
    NoProbe,
    CompletedAtDone,
    FirstInFirstOut,
    ReplayAfterLoss,
    KeepUnwanted,
    DeafPlayout,
    FramesAfterClosing,
    InterruptHangs,
    CancelTwice,
)

PROMISES: dict[str, str] = {
    **INVARIANTS,
    "R10": "whoever asks for silence is told when there is silence",
    "R13": "completed means heard to the end",
}
"""The properties by code: the invariants, and what only the world can see."""


@dataclass(frozen=True, slots=True)
class Caught:
    """Which property noticed a defect first, and how."""

    bug: str
    defect: str
    property: str
    """I1 to I12, R10, R13; ``crash`` for an exception of the machine; empty when nothing noticed."""
    how: str
    lives: int
    """Lives until it was noticed."""


def catch(bug: type[Sequencer], *, lives: int = 120, steps: int = 250) -> Caught:
    """Walk at random with a defective machine until a property notices; seeds are counted."""
    defect = (bug.__doc__ or "").strip().rstrip(".")
    for life in range(lives):
        for number in range(2):
            rng = random.Random(life)
            try:
                world = World(machine=bug, auto_create=bool(number))
                for _ in range(steps):
                    world.step(rng)
                world.heal()
            except InvariantBroken as broken:
                return Caught(bug.__name__, defect, broken.code, str(broken), 2 * life + number + 1)
            except Exception as error:
                return Caught(bug.__name__, defect, "crash", repr(error), 2 * life + number + 1)
    return Caught(bug.__name__, defect, "", "", 2 * lives)
