"""What happened in a simulated call, in order: who said what, keys, steps, tools, cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voiceagent.call.ledger import LedgerEntry
from voiceagent.realtime.requests import Origin

if TYPE_CHECKING:
    from voiceagent.call.call import Call
    from voiceagent.call.transcript import Utterance
    from voiceagent.realtime.model_events import RealtimeModelNoticeEvent


SAME_STEPS = 20
"""So often in a row, at one moment, the same step is an event of its own."""


@dataclass(slots=True)
class Event:
    """One thing that happened. ``t`` is seconds since the call was offered.

    ``kind``: ``turn`` (an act of the caller begins), ``agent``, ``caller``, ``keys``, ``operator``, ``step``,
    ``tool``, ``tool_ended``, ``line`` (of our own), ``transfer``, ``queue``, ``hold``, ``note``, ``end``.
    """

    t: float
    kind: str
    text: str = ""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Speech(Event):
    """What the agent said and the caller heard, from one response."""

    response_id: str = ""
    until: float | None = None
    full_text: str = ""
    cut: bool = False


@dataclass(slots=True)
class Asked:
    """One request to speak: what goes with it, how it ended, how many events there were before it."""

    id: str
    at: int
    metadata: Mapping[str, str]
    origin: Origin
    outcome: str = ""
    response_id: str = ""


class Record:
    """Keeps it all. Fulfils ``CallObserver``, and taps the journal."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """``changed`` is called after everything that is told."""
        self._changed = changed
        self.events: list[Event] = []
        self.asked: dict[str, Asked] = {}
        self.journal: list[dict[str, Any]] = []
        self.step = ""
        self.place = ""
        """Where the flow is in its file."""
        self.failed: str = ""
        """The exception that the flow let through, and where: ``ValueError: boom (shop.py:12)``."""
        self.ended: Mapping[str, Any] | None = None
        self.sound_ended: dict[int, float] = {}
        """When the caller's last sound of a turn ended, by its number."""
        self.tools_at_work = 0
        self._speeches: dict[str, Speech] = {}
        self._last_step = (0.0, "", "")
        self._same_steps = 0

    # ── what is known ───────────────────────────────────────────────────────────────────────────
    def add(self, t: float, kind: str, text: str = "", **details: Any) -> None:
        """Add an event."""
        self.events.append(Event(t, kind, text, details))

    def between(self, turn: int, until: int | None = None) -> list[Event]:
        """Return the events from the beginning of one turn to that of another (None: to the end).

        Turn -1 is what comes before the first one.
        """
        first, last = self.index_of(turn), len(self.events) if until is None else self.index_of(until)
        return self.events[first:last]

    def index_of(self, turn: int) -> int:
        """Return where a turn's events begin; the end for one that never came."""
        if turn < 0:
            return 0
        for index, event in enumerate(self.events):
            if event.kind == "turn" and event.details["number"] == turn:
                return index
        return len(self.events)

    @property
    def speeches(self) -> Iterator[Speech]:
        """What was heard of the agent."""
        return (event for event in self.events if isinstance(event, Speech))

    # ── the leg ─────────────────────────────────────────────────────────────────────────────────
    def voice_begins(self, t: float, response_id: str) -> None:
        """The agent's voice is heard."""
        speech = self._speeches.get(response_id)
        if speech is None:
            speech = self._speeches[response_id] = Speech(t, "agent", response_id=response_id)
            self.events.append(speech)
        speech.until = None
        self._changed()

    def voice_ends(self, t: float, response_id: str, cut: bool) -> None:
        """The agent's voice has ended, or was cut."""
        speech = self._speeches.get(response_id)
        if speech is not None:
            speech.until = t
            speech.cut = speech.cut or cut
        self._changed()

    # ── the journal ─────────────────────────────────────────────────────────────────────────────
    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one entry of the journal."""
        self.journal.append(dict(entry))
        self._changed()
        t = float(entry["t"])
        match entry["type"]:
            case "flow.step":
                self.step, self.place = entry["step"], entry.get("place", "")
                self._add_step(t)
            case "tool.called":
                self.tools_at_work += 1
                self.add(t, "tool", entry["tool"], arguments=entry.get("arguments", ""))
            case "tool.ended":
                self.tools_at_work -= 1
                self.add(t, "tool_ended", entry["tool"], ok=entry["ok"])
            case "line.played":
                self.add(t, "line", entry["line"])
            case "apology":
                self.add(t, "line", "apology")
            case "transfer.started" | "transfer.refused" | "transfer.ended":
                self.add(t, "transfer", entry["target"], **_rest(entry))
            case "queue.entered" | "queue.position":
                where = f"number {entry['position']} of {entry['waiting']}"
                self.add(t, "queue", entry["queue"], told=where)
            case "queue.refused" | "queue.left":
                self.add(t, "queue", entry["queue"], told=entry["reason"])
            case "call.held" | "call.resumed" | "caller.held" | "caller.resumed":
                self.add(t, "hold", entry["type"])
            case "flow.failed":
                self.failed = _with_place(entry)
                self.add(t, "note", f"flow.failed: {self.failed}")
            case "task.failed" | "provider.lost" | "recovery.ended" | "goodbye.cut":
                about = entry.get("error") or entry.get("reason") or ""
                self.add(t, "note", f"{entry['type']}: {about}".rstrip(": "))
            case "call.ended":
                self.ended = dict(entry)
                self.add(t, "end", entry["reason"], **_rest(entry))
            case _:
                pass

    def _add_step(self, t: float) -> None:
        """Add a step; of one that is taken again and again at one moment, the last event counts the rest."""
        mine = (t, self.step, self.place)
        self._same_steps = self._same_steps + 1 if mine == self._last_step else 0
        self._last_step = mine
        if self._same_steps < SAME_STEPS:
            self.add(t, "step", self.step, place=self.place)
        else:
            self.events[-1].details = {"place": self.place, "times": self._same_steps - SAME_STEPS + 2}

    # ── CallObserver ────────────────────────────────────────────────────────────────────────────
    def call_changed(self, call: Call) -> None:
        self._changed()

    def response_changed(self, call: Call, entry: LedgerEntry) -> None:
        request = entry.request
        asked = self.asked.get(request.id)
        if asked is None:
            pairs = {**(request.metadata or {}), **entry.metadata}
            asked = self.asked[request.id] = Asked(request.id, len(self.events), pairs, request.origin)
        if entry.outcome is not None:
            asked.outcome = entry.outcome.kind.value
            asked.response_id = entry.outcome.response_id or ""
        self._changed()

    def utterance_changed(self, call: Call, line: Utterance) -> None:
        speech = self._speeches.get(line.key)
        if speech is not None:
            speech.text, speech.full_text = line.text, line.full_text

    def noticed(self, call: Call, notice: RealtimeModelNoticeEvent) -> None: ...

    def digit_pressed(self, call: Call, digit: str) -> None: ...

    def tool_ended(self, call: Call, name: str, ok: bool, seconds: float) -> None: ...

    def happened(self, call: Call, kind: str, facts: Mapping[str, Any]) -> None: ...

    def call_ended(self, call: Call) -> None:
        for line in call.transcript.lines:
            self.utterance_changed(call, line)


def _with_place(failed: Mapping[str, Any]) -> str:
    """Return what a flow has raised, and in which line of its files."""
    frames = failed.get("traceback") or ("",)
    place = str(frames[-1]).partition(" ")[0]
    return f"{failed.get('error', '')} ({place})" if place else str(failed.get("error", ""))


def _rest(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("v", "seq", "t", "at", "target")}
