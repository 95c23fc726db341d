"""PURE. From a journal's entries to what is kept of its call: the database is an index made by this.

What a live call keeps of itself (:func:`voiceagent.app.archive.entry_of`) is the same; tests hold the two to
each other. Journals of older versions, which lack ``record.line`` and ``record.request``, are read by what
else they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from voiceagent.records.rows import RESPONSES_KEPT, CallRecord, LineRecord, ResponseRecord, TagRecord
from voiceagent.records.states import RecordingRecord, State

Entry = Mapping[str, Any]

LINE, REQUEST = "record.line", "record.request"
"""Entries that are written for the record only; nothing is decided by them."""
ENDED = "call.ended"
MEDIA = ("received", "sent", "lost", "late")


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of one call."""

    call: CallRecord
    lines: Sequence[LineRecord]
    responses: Sequence[ResponseRecord]
    tags: Sequence[TagRecord] = ()
    recordings: Sequence[RecordingRecord] = ()
    """As the call left them; what became of them afterwards stands beside the audio."""


def derive(entries: Iterable[Entry], journal: str) -> Kept | None:
    """Return what is kept of the call of this journal (its file's name); None where no call was offered."""
    made = Derivation(journal)
    for entry in entries:
        made.take(entry)
    return made.kept()


@dataclass(slots=True)
class _Line:
    at: float
    speaker: str
    text: str
    full_text: str
    cut: bool


@dataclass(slots=True)
class _Request:
    id: str
    origin: str = ""
    instructions: str | None = None
    metadata: Mapping[str, str] | None = None
    submitted_at: float = 0.0
    state: str = "queued"
    reason: str = ""
    outcome: Mapping[str, Any] | None = None


class Derivation:
    """Takes the entries of one journal in order; :meth:`kept` may be asked at any time."""

    def __init__(self, journal: str) -> None:
        self._journal = journal
        self._made: Entry = {}
        self._offer: Entry = {}
        self._party: dict[str, str] = {}
        self._answered: Entry = {}
        self._end: Entry = {}
        self._lines: dict[str, _Line] = {}
        self._old = False
        """The journal does not say itself what its lines and requests are."""
        self._requests: dict[str, _Request] = {}
        self._recordings: list[tuple[str, float]] = []
        self._names: dict[str, str] = {}
        self._tags: dict[str, TagRecord] = {}
        self.finished: dict[str, Entry] = {}
        """``recording.finished`` or ``recording.failed`` of each recording, by its file."""
        self.seq = 0
        self.t = self.at = 0.0
        """Of the newest entry."""
        self.barge_ins = 0
        self._read: Mapping[str, Callable[[Entry], None]] = {
            "in.call": self._take_made,
            "call.offered": self._take_offer,
            "call.party_changed": self._take_party,
            "call.answered": self._take_answer,
            ENDED: self._take_end,
            LINE: self._take_line,
            REQUEST: self._take_request,
            "sequencer": self._take_submitted,
            "response.ended": self._take_response_end,
            "caller.said": self._take_said,
            "operator.said": self._take_said,
            "operator.note": self._take_said,
            "recording.started": self._take_recording,
            "recording.finished": self._take_recording,
            "recording.failed": self._take_recording,
            "operator.tag": self._take_tags,
        }

    @property
    def call_id(self) -> str:
        """The call's id; empty before it was offered."""
        return str(self._offer.get("call_id", self._end.get("call_id", "")))

    @property
    def ended(self) -> bool:
        """The call's end stands in the journal."""
        return bool(self._end)

    @property
    def open_recordings(self) -> list[str]:
        """Files of recordings that were begun, and of whose end the journal knows nothing."""
        return [file for file, _ in self._recordings if file not in self.finished]

    @property
    def started_at(self) -> float:
        """When the call began, Unix time."""
        told = (one["started_at"] for one in (self._offer, self._made, self._end) if "started_at" in one)
        return round(float(next(told, self._offer.get("at", 0.0))), 3)

    # ── entries ─────────────────────────────────────────────────────────────────────────────────
    def take(self, entry: Entry) -> None:
        """Take the next entry. Those of types that say nothing about the record cost a look."""
        if isinstance(seq := entry.get("seq"), int):
            self.seq = seq
        if not self._end:
            self.t = max(self.t, float(entry.get("t") or 0.0))
            self.at = max(self.at, float(entry.get("at") or 0.0))
        if (read := self._read.get(str(entry.get("type")))) is not None:
            read(entry)

    def _take_made(self, entry: Entry) -> None:
        self._made = entry
        if not self._offer:  # a journal that was torn off here knows at least who called
            info = cast("Mapping[str, Any]", entry.get("info") or {})
            flow = cast("Mapping[str, Any]", entry.get("flow") or {}).get("name", "")
            known = ("call_id", "started_at", "at")
            origin = cast("Mapping[str, Any]", entry.get("origin") or {})
            facts = {name: entry[name] for name in known if name in entry}
            self._offer = {**origin, **info, **facts, "flow": flow}

    def _take_offer(self, entry: Entry) -> None:
        self._offer = entry
        self._old = "started_at" not in entry

    def _take_party(self, entry: Entry) -> None:
        self._party = {name: str(entry[name]) for name in ("caller", "called") if name in entry}

    def _take_answer(self, entry: Entry) -> None:
        self._answered = entry

    def _take_end(self, entry: Entry) -> None:
        self._end = self._end or entry
        for request in self._requests.values():  # whatever was still open has ended with the call
            if request.outcome is None:
                reason = str(entry.get("reason", ""))
                request.state, request.reason = "lost", reason
                request.outcome = {**_OUTCOME, "kind": "lost", "reason": reason}

    def _take_line(self, entry: Entry) -> None:
        text = str(entry.get("text", ""))
        full, cut = str(entry.get("full_text", text)), bool(entry.get("cut"))
        self._line(str(entry["key"]), float(entry["since"]), str(entry["speaker"]), text, full, cut)

    def _take_request(self, entry: Entry) -> None:
        key = str(entry["request_id"])
        outcome = entry.get("outcome")
        request = _Request(
            key,
            str(entry.get("origin", "")),
            entry.get("instructions"),
            dict(cast("Mapping[str, str]", entry.get("metadata") or {})),
            float(entry.get("submitted_at") or 0.0),
        )
        if isinstance(outcome, Mapping):
            request.outcome = cast("Mapping[str, Any]", outcome)
            request.state = str(entry.get("state", ""))
            request.reason = _reason(request.outcome)
        self._add(request)

    def _take_submitted(self, entry: Entry) -> None:
        """Older journals: what the sequencer was given."""
        if not self._old or entry.get("event") != "Submitted":
            return
        body = cast("Mapping[str, Any]", entry.get("body") or {})
        asked = cast("Mapping[str, Any]", body.get("request") or {})
        key = str(asked.get("id", ""))
        if key and key not in self._requests:
            metadata = dict(cast("Mapping[str, str]", asked.get("metadata") or {}))
            at, told = float(entry.get("at") or 0.0), asked.get("instructions")
            self._add(_Request(key, str(asked.get("origin", "")), told, metadata, round(at, 3)))

    def _add(self, request: _Request) -> None:
        self._requests[request.id] = request
        surplus = len(self._requests) - RESPONSES_KEPT
        if surplus > 0:
            for key in [key for key, one in self._requests.items() if one.outcome is not None][:surplus]:
                del self._requests[key]

    def _take_response_end(self, entry: Entry) -> None:
        outcome = cast("Mapping[str, Any]", entry.get("outcome") or {})
        if outcome.get("kind") == "interrupted" and outcome.get("by") == "caller":
            self.barge_ins += 1
        request = self._requests.get(str(entry.get("request_id")))
        if request is not None and request.outcome is None:
            request.outcome, request.state = outcome, str(outcome.get("kind", ""))
            request.reason = _reason(outcome)
        key, heard, text = outcome.get("response_id"), outcome.get("heard_text"), outcome.get("text")
        if self._old and key is not None and (heard or text):
            cut = outcome.get("kind") == "interrupted"
            words = str(heard or "") if cut else str(text or heard or "")
            self._line(str(key), self._since(entry), "agent", words, str(text or words), cut)

    def _take_said(self, entry: Entry) -> None:
        speaker = {"caller.said": "caller", "operator.said": "operator"}.get(str(entry["type"]), "note")
        text = str(entry.get("text") or "")
        if text and self._old:
            self._line(f"{len(self._lines)}", self._since(entry), speaker, text, text, False)

    def _since(self, entry: Entry) -> float:
        return round(float(entry.get("t") or 0.0), 3)

    def _line(self, key: str, at: float, speaker: str, text: str, full: str, cut: bool) -> None:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(at, speaker, text, full, cut)
        line.text, line.full_text, line.cut = text, full, cut

    def _take_recording(self, entry: Entry) -> None:
        file = str(entry["file"])
        if entry["type"] == "recording.started":
            self._recordings.append((file, float(entry.get("began_s", self._since(entry)))))
            self._names[file] = str(entry.get("name", ""))
        else:
            self.finished[file] = entry

    def _take_tags(self, entry: Entry) -> None:
        words = [str(one) for one in cast("Sequence[Any]", entry.get("tags") or ())]
        at, by = float(entry.get("at") or 0.0), str(entry.get("operator", ""))
        self._tags = {word: self._tags.get(word) or TagRecord(word, at, by) for word in words}

    # ── the record ──────────────────────────────────────────────────────────────────────────────
    def kept(self) -> Kept | None:
        """Return what is kept; of a call that has no end, what is known so far. None: no call at all."""
        if not self.call_id:
            return None
        said = self._lines.values()
        lines = [LineRecord(one.at, one.speaker, one.text, one.full_text, one.cut) for one in said]
        asked = [_row(one) for one in self._requests.values()]
        return Kept(self._call(), lines, asked, list(self._tags.values()), self._audio())

    def _audio(self) -> list[RecordingRecord]:
        return [
            RecordingRecord(
                file=file,
                call_id=self.call_id,
                name=self._names[file],
                started_at=round(self.started_at + began, 3),
                seconds=float(end.get("seconds") or 0.0),
                bytes=int(end.get("bytes") or 0),
                sha256=str(end.get("sha256", "")),
                location=file,
                state=_STATES.get(str(end.get("type")), "live"),
                dropped_s=float(end.get("dropped_s") or 0.0),
                changed_at=round(float(end.get("at") or 0.0), 3),
                error=str(end.get("error", "")),
            )
            for file, began in self._recordings
            for end in (self.finished.get(file, {}),)
        ]

    def _call(self) -> CallRecord:
        offer, end, started = self._offer, self._end, self.started_at
        seconds = float(end.get("duration_s") or 0.0)
        first = end.get("first_words_s")
        files = [file for file, _ in self._recordings]
        return CallRecord(
            id=self.call_id,
            node=str(offer.get("node", "")),
            direction=str(offer.get("direction", "")),
            kind=str(offer.get("kind", "")),
            caller=self._party.get("caller", str(offer.get("caller", ""))),
            called=self._party.get("called", str(offer.get("called", ""))),
            flow=str(offer.get("flow", "")),
            trunk=str(offer.get("trunk", "")),
            provider=str(offer.get("provider", "")),
            started_at=started,
            answered_at=self._answered_at(),
            ended_at=float(end.get("ended_at", round(started + seconds, 3))) if end else None,
            duration_s=seconds,
            outcome=str(end.get("outcome", "unknown")),
            reason=str(end.get("reason", "")),
            fault=str(end.get("detail", "")),
            barge_ins=int(end.get("barge_ins", self.barge_ins)),
            first_words_ms=None if first is None else round(float(first) * 1000, 1),
            journal=self._journal,
            recording=next(iter(files), ""),
            figures=self._figures(files),
        )

    def _answered_at(self) -> float | None:
        if not self._answered:
            return None
        told = self._answered.get("answered_at")
        return (
            round(self.started_at + float(self._answered.get("setup_s") or 0.0), 3) if told is None else told
        )

    def _figures(self, files: Sequence[str]) -> Mapping[str, Any]:
        media = cast("Mapping[str, Any]", self._end.get("media") or {})
        return {
            **{name: media[name] for name in MEDIA if name in media},
            **cast("Mapping[str, Any]", media.get("details") or {}),
            "recordings": list(files),
            "recordings_at": [began for _, began in self._recordings],
        }


_STATES: Mapping[str, State] = {"recording.finished": "finished", "recording.failed": "failed"}
_OUTCOME: Mapping[str, Any] = {
    "heard_ms": 0,
    "heard_text": "",
    "text": "",
    "incomplete": False,
    "generated": False,
}
"""What an outcome says that tells of no response."""


def _row(one: _Request) -> ResponseRecord:
    metadata = one.metadata or {}
    at, outcome = one.submitted_at, one.outcome
    return ResponseRecord(one.id, one.origin, one.instructions, metadata, at, one.state, one.reason, outcome)


def _reason(outcome: Mapping[str, Any]) -> str:
    return str(outcome.get("code") or outcome.get("by") or outcome.get("reason") or "")
