"""PURE. How long callers waited for a reply and where the time went, and when nobody was heard at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from voiceagent.replay.telling import Told, seconds

SLOW_TURN_S = 1.5
"""A reply that begins later than this after the caller's last word is called slow."""
LEAST_PART_S = 0.005
"""Shorter parts of a wait are not told."""
GAP_S = 3.0
"""Silence of both sides that is worth a line."""


@dataclass(slots=True)
class Turn:
    """One turn of the caller that was replied to, and the parts of the wait for the reply."""

    stopped: float
    """When the caller's speech ended."""
    heard: float = 0.0
    request: str = ""
    parts: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def latency_s(self) -> float:
        """From the caller's last word to the first sound of the reply."""
        return self.heard - self.stopped

    @property
    def slow(self) -> bool:
        return self.latency_s > SLOW_TURN_S

    def in_words(self) -> str:
        """Return the parts: ``0.20 s transcript, 0.05 s model``."""
        return ", ".join(
            f"{seconds(value)} {name}" for name, value in self.parts.items() if value >= LEAST_PART_S
        )

    def plain(self) -> dict[str, Any]:
        """Return the turn as JSON values."""
        return {
            "stopped_t": self.stopped,
            "latency_s": round(self.latency_s, 3),
            "request": self.request,
            "parts": {name: round(value, 3) for name, value in self.parts.items()},
        }


@dataclass(slots=True)
class Gap:
    """One silence of both sides. ``whose``: ours when somebody waited for us most of it."""

    since: float
    until: float
    whose: str


class Turns:
    """The turns of the caller that were replied to. ``keep`` is how many, the newest ones; None keeps all."""

    __slots__ = ("_committed", "_keep", "_open", "_said", "_sound", "ended")

    def __init__(self, keep: int | None = None) -> None:
        self.ended: list[Turn] = []
        self._keep = keep
        self._open: Turn | None = None
        self._said: float | None = None
        self._committed: float | None = None
        self._sound: float | None = None

    def begun(self) -> None:
        """The caller speaks, or is put on hold: no reply is awaited now."""
        self._open = None

    def stopped(self, t: float) -> None:
        """The caller stopped: the wait begins."""
        self._open, self._said, self._committed = Turn(t), None, None

    def committed(self, t: float) -> None:
        """The provider has taken the turn's sound in."""
        self._committed = t if self._committed is None else self._committed

    def said(self, t: float) -> None:
        """The words of the turn are known."""
        self._said = t if self._said is None else self._said

    def sound(self, t: float) -> None:
        """The first sound of a reply has come from the model."""
        self._sound = t

    def reply(self, t: float, name: str, submitted: float, created: float) -> Turn | None:
        """A reply is heard: return the turn that it answers, None where it answers none."""
        turn, self._open = self._open, None
        if turn is None:
            return None
        turn.heard, turn.request = t, name
        points = [("", turn.stopped)]
        if self._committed is not None and self._committed <= submitted:
            points.append(("commit", self._committed))
        if self._said is not None and self._said <= submitted:
            points.append(("transcript", self._said))
        points += [("flow", submitted), ("queue", created)]
        if self._sound is not None and created <= self._sound <= t:
            points += [("model", self._sound), ("playout", t)]
        else:
            points.append(("model", t))
        reached = turn.stopped
        for (_, _), (part, at) in pairwise(points):
            turn.parts[part] = max(at - reached, 0.0)
            reached = max(at, reached)
        self.ended.append(turn)
        if self._keep is not None:
            del self.ended[: -self._keep]
        return turn


class Line:
    """Who is heard on the line. Feed it every entry, in order."""

    def __init__(self) -> None:
        self._turns = Turns()
        self.reply = self._turns.reply
        self.gaps: list[Gap] = []
        self._playing: set[str] = set()
        self._speaking = False
        self._silent_since: float | None = None
        self._ours = False
        """Somebody waits for us."""
        self._changed = 0.0
        self._ours_s = 0.0
        """So much of the present silence was ours."""
        self._held = 0

    @property
    def turns(self) -> list[Turn]:
        """The turns that were replied to, in order."""
        return self._turns.ended

    def take(self, kind: str, event: str, body: Mapping[str, Any], t: float) -> Iterator[Told]:
        """Take one entry; yield the silence that it ends, if that was long."""
        match kind, event:
            case "call.answered", _:
                self._quiet(t)
            case "sequencer", "PlaybackStarted":
                yield from self._sound(t)
                self._playing.add(str(body.get("response_id")))
            case "sequencer", "PlaybackEnded":
                self._playing.discard(str(body.get("response_id")))
                self._quiet(t)
            case "sequencer", "InputCommitted":
                self._turns.committed(t)
            case "sequencer", "OutputStarted" if body.get("audible") is not False:
                self._turns.sound(t)
            case "sequencer", "Submitted" | "SendCreate":
                self._turn_to(True, t)
            case "sequencer", "Settled":
                self._turn_to(False, t)
            case "caller.speech_started", _:
                yield from self._sound(t)
                self._speaking = True
                self._turns.begun()
            case "caller.speech_stopped", _:
                self._speaking = False
                self._turns.stopped(t)
                self._quiet(t)
                self._turn_to(True, t)
            case "caller.said", _:
                self._turns.said(t)
            case "caller.digit" | "line.played" | "apology", _:
                yield from self._sound(t)
                self._quiet(t)
            case "call.held" | "caller.held" | "queue.entered", _:
                self._held += 1
                self._silent_since = None
                self._turns.begun()
            case "call.resumed" | "caller.resumed" | "queue.left", _:
                self._held = max(self._held - 1, 0)
                self._quiet(t)
            case "call.ended", _:
                yield from self._sound(t)
            case _:
                pass

    def _sound(self, t: float) -> Iterator[Told]:
        self._turn_to(self._ours, t)
        since, self._silent_since = self._silent_since, None
        if since is None or t - since < GAP_S:
            return
        gap = Gap(since, t, "ours" if self._ours_s * 2 > t - since else "the caller's")
        self.gaps.append(gap)
        facts = {"since": since, "whose": gap.whose, "ours_s": round(self._ours_s, 3)}
        yield Told(t, f"nobody was heard for {seconds(t - since)}: most of it {gap.whose}", "gap", facts)

    def _turn_to(self, ours: bool, t: float) -> None:
        """From now on somebody waits for us, or nobody does."""
        if self._ours and self._silent_since is not None:
            self._ours_s += t - max(self._changed, self._silent_since)
        self._ours, self._changed = ours, t

    def _quiet(self, t: float) -> None:
        if not self._playing and not self._speaking and not self._held:
            self._silent_since, self._ours_s = t, 0.0
