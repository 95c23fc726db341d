"""What the journal says for the record only, so that all that is kept of a call can be read from it.

``record.line``: a line of the transcript as it stands now; a later one of the same ``key`` takes its place.
``record.request``: a request for a response, as it was asked; ``response.ended`` tells its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceagent.call.ledger import LedgerEntry
from voiceagent.call.transcript import Utterance
from voiceagent.records.derive import LINE, REQUEST

if TYPE_CHECKING:
    from voiceagent.call.call import Call

GROWN_S = 1.0
"""What is being spoken is written down so often: a killed process leaves its newest words."""
_NEVER = (None, float("-inf"))


class Keeping:
    """Keeps the lines and requests of one call in its journal."""

    __slots__ = ("_asked", "_call", "_growing")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._growing: dict[str, tuple[Utterance, float]] = {}
        """Lines that grow, and when (seconds since the call began) each was last written."""
        self._asked: set[str] = set()

    def line(self, line: Utterance) -> None:
        """A line is new, longer, or what was heard of it."""
        if line.growing:
            _, written = self._growing.get(line.key, _NEVER)
            if line.changed_at - written < GROWN_S:
                return
            self._growing[line.key] = (line, line.changed_at)
        else:
            self._growing.pop(line.key, None)
        self._write(line)

    def end(self) -> None:
        """The call is over: what was still being spoken has its last words."""
        for line, _ in self._growing.values():
            self._write(line)

    def _write(self, line: Utterance) -> None:
        self._call.journal.record(
            LINE,
            key=line.key,
            since=line.at,
            speaker=line.speaker,
            text=line.text,
            **({"full_text": line.full_text} if line.full_text != line.text else {}),
            **({"cut": True} if line.cut else {}),
        )

    def request(self, entry: LedgerEntry) -> None:
        """A request has changed; only its first word is written here."""
        key = entry.request.id
        if entry.outcome is not None:
            first = key not in self._asked
            self._asked.discard(key)
        elif first := key not in self._asked:
            self._asked.add(key)
        if not first:
            return
        self._call.journal.record(
            REQUEST,
            request_id=key,
            origin=entry.request.origin.value,
            instructions=entry.line,
            metadata=dict(entry.metadata),
            submitted_at=round(self._call.wall(entry.submitted_at), 3),
            **({} if entry.outcome is None else {"state": entry.state, "outcome": entry.outcome}),
        )
