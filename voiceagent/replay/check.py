"""I1 to I12 on the journal of a call: the checker of the tests, fed with what was written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from voiceagent.errors import RequestRefused
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.sequencer_invariants import INVARIANTS, InvariantChecker
from voiceagent.replay.trace import Line, read_lines, steps

TOLERANCE_S = 1e-3
"""Times in a journal are rounded, and a loop's clock may tick in milliseconds."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise, at the line where it shows."""

    code: str
    line: int
    message: str


@dataclass(slots=True)
class Verdict:
    """What a journal proves."""

    call_id: str = ""
    steps: int = 0
    sessions: int = 0
    ended: bool = True
    """Every session was closed: otherwise requests may still be under way."""
    missing: int = 0
    """Entries that were dropped when the disk could not follow; then nothing is proven."""
    checked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INVARIANTS, 0))
    """How often each invariant was put to the test."""
    violations: list[Violation] = field(default_factory=list[Violation])

    @property
    def ok(self) -> bool:
        """True when nothing was violated and nothing is missing."""
        return not self.violations and not self.missing

    def plain(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        broken = {violation.code for violation in self.violations}
        return {
            "ok": self.ok,
            "call_id": self.call_id,
            "steps": self.steps,
            "sessions": self.sessions,
            "ended": self.ended,
            "missing_entries": self.missing,
            "invariants": {
                code: {"ok": code not in broken, "checks": self.checked[code], "says": says}
                for code, says in INVARIANTS.items()
            },
            "violations": [
                {"invariant": one.code, "line": one.line, "message": one.message} for one in self.violations
            ],
        }


class _Watch:
    """The checker of one session at a time; a new session starts a new one."""

    def __init__(self, verdict: Verdict, hosted: bool) -> None:
        self._verdict = verdict
        self._hosted = hosted
        self._checker: InvariantChecker | None = None
        self._over = False

    def begin(self, config: SequencerConfig) -> InvariantChecker:
        self.leave()
        self._verdict.sessions += 1
        self._over = False
        self._checker = InvariantChecker(config, strict=False, tolerance_s=TOLERANCE_S)
        return self._checker

    def step(self, line: int, event: io.SequencerEvent | None, effects: list[Any], now: float) -> None:
        checker = self._checker
        if checker is None or (self._over and isinstance(event, io.LinkUp)):
            checker = self.begin(SequencerConfig(owns_output_buffer=self._hosted))
        self._verdict.steps += 1
        checker.step(event, effects, now)
        if isinstance(event, io.Closing) or (isinstance(event, io.LinkDown) and event.terminal):
            self._over = True
            checker.finish()
        self._note(checker, line)

    def _note(self, checker: InvariantChecker, line: int) -> None:
        for broken in checker.broken:
            message = str(broken).removeprefix(f"{broken.code}: ")
            self._verdict.violations.append(Violation(broken.code, line, message))
        checker.broken.clear()

    def leave(self) -> None:
        """Count what this checker has put to the test."""
        if self._checker is None:
            return
        for code, count in self._checker.checked.items():
            self._verdict.checked[code] += count
        self._verdict.ended = self._verdict.ended and self._over
        self._checker = None


def check_journal(path: Path) -> Verdict:
    """Check a journal. Raises :class:`~voiceagent.replay.trace.JournalError` if it cannot be read."""
    verdict = Verdict()
    lines = list(read_lines(path))
    hosted = _look(lines, verdict)
    watches: dict[str, _Watch] = {}
    line = 0
    try:
        for step in steps(iter(lines)):
            line = step.line
            watch = watches.setdefault(step.session, _Watch(verdict, hosted))
            if isinstance(step.event, SequencerConfig):
                watch.begin(step.event)
            else:
                watch.step(step.line, step.event, step.effects, step.now)
    except RequestRefused as refused:
        verdict.violations.append(Violation("I9", line, str(refused)))
    for watch in watches.values():
        watch.leave()
    return verdict


def _look(lines: list[Line], verdict: Verdict) -> bool:
    """Find the call's name, count missing entries, and say whether the provider plays the audio."""
    hosted = False
    last = 0
    for line in lines:
        entry: Mapping[str, Any] = line.entry
        number = entry.get("seq")
        if isinstance(number, int):
            verdict.missing += max(0, number - last - 1)
            last = number
        if entry.get("type") == "call.offered":
            verdict.call_id = str(entry.get("call_id", ""))
            hosted = entry.get("kind") == "hosted"
    return hosted


def report(verdict: Verdict) -> str:
    """Return the verdict as lines for people."""
    worst: dict[str, list[Violation]] = {}
    for violation in verdict.violations:
        worst.setdefault(violation.code, []).append(violation)
    head = f"{verdict.call_id or 'journal'}: {verdict.steps} decisions of {verdict.sessions} session(s)"
    rows = [
        f"  {'✗' if code in worst else '✓'} {code:<4}{says}  ({verdict.checked[code]} checks)"
        for code, says in INVARIANTS.items()
    ]
    broken = chain.from_iterable(worst.values())
    notes = [f"  line {one.line}: {one.code}: {one.message}" for one in broken]
    if verdict.missing:
        notes.append(f"  {verdict.missing} entries are missing, so nothing is proven")
    if not verdict.ended:
        notes.append("  the journal ends before the session does: what is under way may still end")
    return "\n".join([head, *rows, *notes])
