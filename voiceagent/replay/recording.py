"""PURE but for reading the file. A journal taken apart: what entered the call, and what it decided then.

Inputs come in the order in which they entered. ``before`` counts the decisions that stood in the journal when
an input entered: that, more than any clock, says in which order things happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from voiceagent.call.inputs import INPUTS_VERSION
from voiceagent.errors import VoiceAgentError
from voiceagent.replay.sip_recording import SipRecording
from voiceagent.replay.trace import JournalError, read_lines

Entry = Mapping[str, Any]

PULLED = frozenset({"in.call", "in.session", "in.dial", "in.heard"})
"""Inputs that the call asks for: they are handed out when it does, at no time of their own."""
NOT_COMPARED = frozenset(
    {
        "operator.trigger",
        "operator.withdraw",
        "operator.hang_up",
        "operator.dial",
        "operator.phone",
        "operator.tag",
        "provider.usage",
    }
)
"""Written by whoever took an operator's wish, beside the call: the wish itself is an input. And what the
provider tells of its work: no decision, and older journals do not have it."""


REPLAYED = (3, INPUTS_VERSION)
"""Versions of inputs that are understood: in 3, pieces of transcript were frames like all others, and that
the loop was late was an entry."""


class NotReplayable(VoiceAgentError):
    """The journal can be read, but holds too little to live its call again."""

    code = "not_replayable"


@dataclass(slots=True)
class Input:
    """One input. ``at``: seconds since the call began."""

    at: float
    entry: Entry
    before: int | None = None
    """Decisions made before it; None where only its time counts (audio of the caller)."""
    turn: int = 0
    """Turn of the loop in which it entered; 0: the loop was at rest before."""
    line: int = 0
    amid: bool = False
    """Others of the call ran after it, in the same turn of the loop."""

    @property
    def kind(self) -> str:
        """The entry's type without ``in.``."""
        return str(self.entry["type"]).removeprefix("in.")


@dataclass(slots=True)
class Decision:
    """One entry that is no input, and its place."""

    t: float
    entry: Entry
    line: int = 0


@dataclass(slots=True)
class Recording:
    """A journal, ready to be lived again."""

    path: Path
    made: Entry
    """``in.call``."""
    begun: float = 0.0
    """``t`` of that entry."""
    inputs: list[Input] = field(default_factory=list[Input])
    pulled: list[Input] = field(default_factory=list[Input])
    decisions: list[Decision] = field(default_factory=list[Decision])
    last: float = 0.0
    missing: int = 0
    """Entries that were dropped when the disk could not follow."""
    ended: bool = False
    """False: the journal was torn off before the call's end."""
    clock: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    """What time it was (seconds since the call began) in which turn of the loop."""
    late: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """From when to when the loop did nothing: timers that were due then fired after it."""
    sip: SipRecording = field(default_factory=SipRecording)
    """Its SIP messages, which are lived again by themselves."""
    secret: bool = False
    """Keys were left out, so what followed from them cannot be lived again."""

    @property
    def loop_start(self) -> float:
        """The time of the loop's clock when the call began."""
        return float(self.made.get("loop_t", 1000.0))


def compared(entry: Entry) -> bool:
    """Return whether an entry is a decision (or a fact that follows)."""
    kind = str(entry.get("type", ""))
    return not kind.startswith(("in.", "record.")) and kind not in NOT_COMPARED


def read_recording(path: Path) -> Recording:
    """Read a journal. Raises :class:`JournalError` or :class:`NotReplayable`."""
    found: Recording | None = None
    decisions: list[Decision] = []
    sip = SipRecording()
    last_seq = 0
    missing = 0
    for line in read_lines(path):
        entry = line.entry
        seq = entry.get("seq")
        if isinstance(seq, int):
            missing += max(0, seq - last_seq - 1)
            last_seq = seq
        t = _number(line.number, entry, "t")
        kind = str(entry.get("type", ""))
        if _is_sip(path, line.number, entry, sip):
            continue
        if kind == "in.call":
            found = Recording(path, entry, t)
            _check_version(path, entry)
        elif kind.startswith("in.") and found is not None:
            try:
                _take(found, line.number, entry, t, len(decisions))
            except (KeyError, TypeError, ValueError, IndexError) as error:
                words = f"{path}, line {line.number}: not a {kind} of this version ({error!r})"
                raise JournalError(words) from None
        elif compared(entry):
            decisions.append(Decision(t, entry, line.number))
            if kind == "call.ended" and found is not None:
                found.ended = True
        if found is not None:
            found.last = max(found.last, t)
    if found is None:
        raise NotReplayable(
            f"{path}: this journal holds no inputs (made by an older version, or with journal.inputs = false)"
        )
    found.decisions, found.sip = decisions, sip
    found.missing = missing
    found.clock.sort()
    found.inputs.sort(key=lambda one: one.at)  # stable: what entered at the same time keeps its order
    return found


def _is_sip(path: Path, line: int, entry: Entry, sip: SipRecording) -> bool:
    try:
        return sip.take(line, entry)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"{path}, line {line}: no SIP entry of this version ({error!r})") from None


def _check_version(path: Path, entry: Entry) -> None:
    version = entry.get("inputs")
    if version not in REPLAYED:
        raise NotReplayable(
            f"{path}: its inputs are of version {version}, this one replays version {INPUTS_VERSION}"
        )


def _number(line: int, entry: Entry, name: str) -> float:
    value = entry.get(name, 0.0)
    if not isinstance(value, int | float):
        raise JournalError(f"line {line}: {name} is no number")
    return float(value)


def _awaited(kind: str, entry: Entry) -> bool:
    """Return whether an input is the answer that somebody of ours was waiting for."""
    return (
        kind in ("in.outside", "in.rest")
        or (kind == "in.leg" and "count" in entry)
        or (kind == "in.link" and entry.get("state") != "closed")
    )


def _take(found: Recording, line: int, entry: Entry, t: float, before: int) -> None:
    kind = str(entry["type"])
    turn = int(entry.get("g", 0))
    found.clock += [(int(number), round(float(ms) / 1000, 6)) for number, ms in entry.get("clock", ())]
    found.late += [(float(since), float(until)) for since, until in entry.get("late", ())]
    if kind == "in.caller_audio":
        at = float(entry["since"])
        gaps: list[Any] = entry["gaps"]
        for gap in gaps:
            ms, frames, *more = cast("list[float]", gap) if isinstance(gap, list) else (gap, 1)
            at += ms / 1000
            one = {"type": "in.caller_frames", "leg": entry["leg"], "frames": int(frames)}
            found.inputs.append(Input(round(at, 6), one, None, int(more[0]) if more else 0, line))
    elif kind == "in.audio":
        since = float(entry["since"])
        turns: list[int] = entry.get("turns") or [0] * len(entry["deltas"])
        for turn, delta in zip(turns, entry["deltas"], strict=True):
            at = round(since + delta[0] / 1000, 6)
            if isinstance(delta[1], str):
                piece = {**entry, "type": "in.words", "words": delta[1]}
            else:
                piece = {**entry, "amounts": delta[1:]}
            found.inputs.append(Input(at, piece, before, turn, line))
    elif kind == "in.timers":
        for fired in entry["fired"]:
            turn, ms, due, name = fired
            one = {"type": "in.timer", "due": round(float(due) / 1000, 6), "name": str(name)}
            at = round(float(entry["since"]) + float(ms) / 1000, 6)
            found.inputs.append(Input(at, one, before, int(turn), line))
    elif kind == "in.clock":
        return
    elif kind == "in.amid":
        last = found.inputs[-1]
        for one in reversed(found.inputs):
            if (one.kind, one.turn) != ("operator", last.turn):
                break
            one.amid = True
    elif kind == "in.late":
        found.late.append((float(entry["since"]), float(entry["until"])))
    else:
        if turn and (_awaited(kind, entry) or kind == "in.recording"):
            # Written down by whom it woke, one turn after it had come. News of a recording wake nobody: what
            # they are written down with is decided in that turn, before what others were woken for.
            turn -= 1
        one = Input(t, entry, before, turn, line)
        (found.pulled if kind in PULLED else found.inputs).append(one)
        if "•" in (entry.get("digit"), entry.get("digits")):
            found.secret = True
