"""What an operator may know of a call's response requests: state, why it waits, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from voiceagent.realtime.requests import Origin, Outcome, OutcomeKind, Progress, ResponseRequest
from voiceagent.records.rows import RESPONSES_KEPT

NOTED = "noted"
"""State of what was added to the conversation and asked for no response."""


@dataclass(slots=True)
class LedgerEntry:
    """One response request of a call."""

    request: ResponseRequest
    submitted_at: float
    line: str | None
    """The instructions as the asker gave them, without the standing prompt."""
    metadata: Mapping[str, str]
    state: str = Progress.QUEUED.value
    reason: str = ""
    outcome: Outcome | None = None
    audible_s: float | None = None
    """Seconds from submission to the first sound."""


class Ledger:
    """All response requests of one call, in order of submission."""

    __slots__ = ("_changed", "_entries")

    def __init__(self, changed: Callable[[LedgerEntry], None]) -> None:
        self._entries: dict[str, LedgerEntry] = {}
        self._changed = changed

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self._entries.values())

    def open(self) -> list[LedgerEntry]:
        """Return the requests that have not ended."""
        return [entry for entry in self._entries.values() if entry.outcome is None]

    def waiting(self, origin: Origin) -> list[LedgerEntry]:
        """Return the requests of this origin that wait to be sent."""
        queued = Progress.QUEUED.value
        return [one for one in self.open() if one.request.origin is origin and one.state == queued]

    def get(self, request_id: str) -> LedgerEntry | None:
        """Return the entry, or None for an unknown request."""
        return self._entries.get(request_id)

    def submitted(
        self, request: ResponseRequest, line: str | None, metadata: Mapping[str, str], now: float
    ) -> LedgerEntry:
        """Add a request, once."""
        entry = self._entries.get(request.id)
        if entry is None:
            entry = self._entries[request.id] = LedgerEntry(request, now, line, metadata)
            self._trim()
        self._changed(entry)
        return entry

    def noted(
        self, request: ResponseRequest, line: str, metadata: Mapping[str, str], now: float
    ) -> LedgerEntry:
        """Add what is complete as soon as it is taken: nothing is spoken for it."""
        entry = LedgerEntry(request, now, line, metadata, state=NOTED, reason=NOTED)
        entry.outcome = Outcome(OutcomeKind.COMPLETED, reason=NOTED)
        self._entries[request.id] = entry
        self._trim()
        self._changed(entry)
        return entry

    def progressed(self, request_id: str, progress: Progress, now: float) -> None:
        """Note how far a request has come."""
        entry = self._entries.get(request_id)
        if entry is None or entry.outcome is not None:
            return
        entry.state = progress.value
        if progress is Progress.AUDIBLE and entry.audible_s is None:
            entry.audible_s = round(now - entry.submitted_at, 4)
        if progress is not Progress.QUEUED:
            entry.reason = ""
        self._changed(entry)

    def noticed(self, request_id: str, code: str) -> None:
        """Note why a request is where it is."""
        entry = self._entries.get(request_id)
        if entry is None or entry.outcome is not None or entry.reason == code:
            return
        entry.reason = code
        self._changed(entry)

    def settled(self, request_id: str, outcome: Outcome) -> bool:
        """Note how a request ended; False when it is unknown or had ended before."""
        entry = self._entries.get(request_id)
        if entry is None or entry.outcome is not None:
            return False
        entry.outcome = outcome
        entry.state = outcome.kind.value
        entry.reason = outcome.code or (outcome.by.value if outcome.by else outcome.reason)
        self._changed(entry)
        return True

    def _trim(self) -> None:
        surplus = len(self._entries) - RESPONSES_KEPT
        if surplus <= 0:
            return
        for request_id in [key for key, entry in self._entries.items() if entry.outcome is not None][
            :surplus
        ]:
            del self._entries[request_id]
