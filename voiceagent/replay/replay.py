"""``voiceagent replay``: one journal lived again and compared, and what is to be said about it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from voiceagent.replay.difference import DEFAULT_TOLERANCE_S, Difference, Verdict, as_json, compare
from voiceagent.replay.flow_source import flow_for
from voiceagent.replay.live_again import Replayed, live_again
from voiceagent.replay.recording import Entry, Recording, read_recording
from voiceagent.replay.sip_difference import SipVerdict

SHOWN = 110
"""Characters of one side of a difference."""
LED_IN = 24
"""Characters of a text that are shown before the place where its two sides part."""


@dataclass(slots=True)
class Report:
    """What became of one journal."""

    path: Path
    call_id: str
    seconds: float
    verdict: Verdict
    notes: list[str] = field(default_factory=list[str])
    step: str = ""
    """The flow's step at the first difference."""
    sip: SipVerdict = field(default_factory=SipVerdict)
    """What the SIP endpoint sends, compared by itself."""

    @property
    def same(self) -> bool:
        """True when today's code decides as it did then."""
        return self.verdict.same and self.sip.same

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "journal": str(self.path),
            "call_id": self.call_id,
            "same": self.same,
            "seconds": round(self.seconds, 3),
            "compared": self.verdict.compared,
            "counts": self.verdict.counts(),
            "step": self.step,
            "notes": self.notes,
            "differences": [
                {
                    "kind": one.kind,
                    "t": one.t,
                    "line": one.line,
                    "fields": one.fields,
                    "then": one.then,
                    "now": one.now,
                }
                for one in self.verdict.differences
            ],
            "sip": {
                "compared": self.sip.compared,
                "differences": [one.plain() for one in self.sip.differences],
                "faults": self.sip.faults,
            },
        }


def replay_journal(
    path: Path, *, flows: Sequence[Path] = (), tolerance_s: float = DEFAULT_TOLERANCE_S
) -> Report:
    """Live the call of a journal again, and compare. ``flows`` are files to take its flow from instead.

    Raises JournalError, NotReplayable or ConfigError when that cannot be done.
    """
    recording = read_recording(path)
    flow, notes = flow_for(recording.made["flow"], flows)
    notes += _notes(recording)
    with _quiet():
        replayed = live_again(recording, flow)
    verdict = _compared(recording, replayed, tolerance_s)
    if replayed.stood_still:
        notes.append("the call did not come to its end again")
    if replayed.untaken.count and not verdict.same:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(replayed.untaken.kinds.items()))
        notes.append(f"inputs that nobody was there for: {kinds}")
    first = verdict.differences[0] if verdict.differences else None
    return Report(
        path,
        str(recording.made["call_id"]),
        recording.last,
        verdict,
        notes,
        "" if first is None else _step_at(recording, first.t),
        _sip_compared(recording, tolerance_s),
    )


def _compared(recording: Recording, replayed: Replayed, tolerance_s: float) -> Verdict:
    then = [one.entry for one in recording.decisions]
    now = as_json(replayed.decisions)
    if not recording.ended:
        now = now[: len(then)]  # what was not written down cannot be compared
    return compare(then, now, tolerance_s=tolerance_s, lines=[one.line for one in recording.decisions])


def _sip_compared(recording: Recording, tolerance_s: float) -> SipVerdict:
    if not recording.sip.replayable:
        return SipVerdict()
    from voiceagent.replay.sip_again import sip_again  # with the whole endpoint, which most journals need not

    return sip_again(recording.sip, recording.late, tolerance_s)


def _notes(recording: Recording) -> list[str]:
    notes: list[str] = []
    if recording.missing:
        notes.append(
            f"{recording.missing} entries are missing (the disk could not follow): it may differ by that"
        )
    if not recording.ended:
        notes.append("the journal ends before the call does: compared as far as it goes")
    if recording.secret:
        notes.append("keys are hidden in it: what depends on them is not proven (0 is pressed instead)")
    if recording.sip.unclear:
        notes.append("its SIP is not compared: a Call-ID belongs to two calls of the node")
    unwritten = [one.entry["key"] for one in recording.inputs if "unwritten" in one.entry]
    if unwritten:
        notes.append(f"results that are not in it: {', '.join(unwritten)}")
    return notes


@contextmanager
def _quiet() -> Any:
    """What the call logs was logged when it was made."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _step_at(recording: Recording, t: float) -> str:
    step = ""
    for one in recording.decisions:
        if one.t > t:
            break
        if one.entry.get("type") == "flow.step":
            step = f"{one.entry.get('step')} ({one.entry.get('place', '?')})"
    return step


# ── in words ────────────────────────────────────────────────────────────────────────────────────
def in_words(report: Report) -> str:
    """Return a report as lines for people: one where nothing differs, else the first difference."""
    verdict, sip = report.verdict, report.sip
    messages = f" and {sip.compared} SIP messages" if sip.compared else ""
    head = f"{report.call_id}: {verdict.compared} decisions{messages} in {report.seconds:.1f} s"
    notes = [f"  note: {note}" for note in report.notes]
    if report.same:
        return "\n".join([f"✓ {head}, all as they were", *notes])
    lines = [f"✗ {head}"]
    if not verdict.same:
        lines += _first_in_words(report)
    if not sip.same:
        lines += sip.lines()
    return "\n".join([*lines, *notes])


def _first_in_words(report: Report) -> list[str]:
    verdict = report.verdict
    first = verdict.differences[0]
    where = f" in line {first.line}" if first.line else ""
    lines = [f"  first difference at {first.t:.3f} s{where}, {_means(first)}:"]
    if report.step:
        lines.append(f"    flow:   {report.step}")
    lines += [f"    before: {one_line(entry)}" for entry in verdict.before]
    if first.kind == "time" and first.then is not None and first.now is not None:
        later = float(first.now["t"]) - float(first.then["t"])
        lines.append(f"    {abs(later):.3f} s {'later' if later > 0 else 'earlier'} than it was")
    lines.append(f"    then:   {_side(first.then, first.now, first.fields)}")
    lines.append(f"    now:    {_side(first.now, first.then, first.fields)}")
    counted = [f"{count} {kind}" for kind, count in verdict.counts().items() if count]
    lines.append(f"  in all: {', '.join(counted)}")
    return lines


def _side(entry: Entry | None, other: Entry | None, fields: Sequence[str]) -> str:
    """Return one side of a difference; long texts from shortly before where they part."""
    if entry is None:
        return "–"
    if other is None or not fields:
        return one_line(entry)
    shown: list[str] = []
    for name in fields:
        mine, theirs = _field(entry, name), _field(other, name)
        if isinstance(mine, str) and isinstance(theirs, str):
            parted = next((at for at, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), 0)
            mine = mine if parted <= LED_IN else f"…{mine[parted - LED_IN :]}"
        shown.append(f"{name}={mine!r}"[:SHOWN])
    return f"{_named(entry)} {' '.join(shown)}"


def _named(entry: Entry) -> str:
    name = str(entry.get("type"))
    if "event" in entry:
        name = f"{name} {entry['event']}"
    return f"{float(entry.get('t', 0)):9.3f}  {name}"


def _means(one: Difference) -> str:
    match one.kind:
        case "missing":
            return "it is not decided any more"
        case "extra":
            return "it was not decided then"
        case "time":
            return "it is decided at another time"
        case _:
            return f"it is decided otherwise ({', '.join(one.fields)})"


def one_line(entry: Entry) -> str:
    """Return an entry in a line."""
    text = " ".join(f"{key}={value!r}" for key, value in _body(entry).items() if value is not None)
    return f"{_named(entry)} {text[:SHOWN]}"


def _body(entry: Entry) -> Mapping[str, Any]:
    body = cast("Mapping[str, Any]", entry.get("body") or entry)
    left_out = {"v", "seq", "t", "at", "type", "loop_t", "session", "event", "media"}
    request = body.get("request")
    if isinstance(request, Mapping):
        asked = cast("Mapping[str, Any]", request)
        return {"id": asked.get("id"), "instructions": asked.get("instructions")}
    return {key: value for key, value in body.items() if key not in left_out}


def _field(entry: Entry, dotted: str) -> Any:
    value: Any = entry
    for name in dotted.split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(name)
    return value


def journals_of(paths: Sequence[Path]) -> list[Path]:
    """Return the journals that paths name: files as they are, of folders every ``*.jsonl`` in them."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    return found
