"""Erase all that is kept of one person's calls, and prove it.

The person is known by a number: who called us, or whom we called. Of each call nothing stays but that it
was, when, and how it ended, in the journal as in the database: neither brings back what the other has lost.
The proof is a line of the audit log, hashed with all lines before it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from voiceagent.app.audio_files import files_of, remove_audio
from voiceagent.app.retention import JOURNAL, Shelves
from voiceagent.errors import Fault, RequestRefused, VoiceAgentError
from voiceagent.records.numbers import may_mention, mentions_in_json, other_side, persons_of, plain_number
from voiceagent.records.objects import StoreError
from voiceagent.records.opus import sha256_of
from voiceagent.records.reading import journals_in
from voiceagent.records.states import RecordingRecord, StateLog, newest_of
from voiceagent.records.stub import entries_in, is_stub, replace_journal
from voiceagent.records.sweep import call_of
from voiceagent.store import erasing, recordings
from voiceagent.store.audit import Deed, append
from voiceagent.store.tables import calls

if TYPE_CHECKING:
    from sqlalchemy import Connection

_log = logging.getLogger("voiceagent.erasure")

ACTION = "erasure"
SHORTEST = 3
"""Characters of a number or name that somebody may be erased by."""
NOBODY = frozenset({"anonymous", "unknown", "unavailable", "restricted", "private", "caller"})
"""Names that many callers bear."""


GOES_ON = "the call has begun meanwhile: its end must be waited for"


class CallIsLive(VoiceAgentError):
    """The person is on the line: what is being written cannot be erased."""

    fault = Fault.CALLER
    code = "call_live"


@dataclass(slots=True)
class Proof:
    """What was removed of one call, or would be."""

    call_id: str
    journal_sha256: str = ""
    """Of the journal that a stub has taken the place of."""
    journal_bytes: int = 0
    recordings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """``sha256``, ``bytes`` and ``at`` (folder, store) of each file."""
    node: str = ""
    """Set where the journal is not here: the node that has it must be asked, too."""
    failed: str = ""
    """What could not be removed; the call can still be found, and is tried again."""


@dataclass(slots=True)
class Erasure:
    """The report. ``sha256`` is over all the rest, as canonical JSON."""

    at: float
    number: str
    """Its last two characters only."""
    dry_run: bool
    calls: list[Proof] = field(default_factory=list[Proof])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    """Lines of the database, by table."""
    audit: dict[str, Any] = field(default_factory=dict[str, Any])
    """Lines of the audit log whose details were removed, and its last hash before and after."""
    mentioned_in: list[str] = field(default_factory=list[str])
    """Calls of others in whose journals the number stands: they are left as they are."""
    nodes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What the other nodes of the fleet have done; see :mod:`voiceagent.app.fleet_erasure`."""
    events: int | None = 0
    """Events of the fleet that were removed; None: its registry was away."""
    audit_line: int | None = None
    """Number of the line of the audit log that holds this report."""

    @property
    def complete(self) -> bool:
        """Nothing of the person is left here or on another node."""
        here = not any(one.failed or one.node for one in self.calls)
        return here and self.events is not None and all(one["result"] == "done" for one in self.nodes)

    def as_data(self) -> dict[str, Any]:
        """Return the report with its hash."""
        told = {**asdict(self), "complete": self.complete}
        del told["audit_line"]
        plain = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return {**told, "sha256": hashlib.sha256(plain.encode()).hexdigest(), "audit_line": self.audit_line}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What an erasure is in the rest of a fleet."""

    calls: Collection[str] = ()
    """Calls of the person that were found there, or before it was asked: of some, no number is left here."""
    nodes: Sequence[dict[str, Any]] = ()
    events: int | None = 0
    here: str = ""
    """The name of this node."""
    asks: bool = False
    """Whoever has asked this node asks all others."""

    def sees_to(self, node: str) -> bool:
        """Whether what lies on a node is erased there."""
        if self.asks or node == self.here:
            return True
        return any(one["node"] == node and one["result"] == "done" for one in self.nodes)


@dataclass(frozen=True, slots=True)
class Found:
    """A call of the person."""

    call_id: str
    node: str
    journal: Path | None


def masked(number: str) -> str:
    """PURE. Return what may be told of a number."""
    return f"…{number[-2:]}"


NOWHERE = Elsewhere()
"""There is no fleet."""


def person_of(written: str, live: Iterable[tuple[str, str]]) -> str:
    """PURE. Return the plain number of who is to be erased; ``live`` has id and person of calls that go on.

    Raises :class:`CallIsLive`, and RequestRefused for what is nobody's number.
    """
    number = plain_number(written)
    if len(number) < SHORTEST or number in NOBODY:
        raise RequestRefused("caller", "is no number or name of one person")
    busy = [call_id for call_id, person in live if plain_number(person) == number]
    if busy:
        raise CallIsLive(f"that person is on the line ({', '.join(busy)}): end the call, or wait for its end")
    return number


# ── finding ──────────────────────────────────────────────────────────────────────────────────────
def find_calls(shelves: Shelves, number: str) -> tuple[list[Found], list[str]]:
    """Return the calls of a person, by journals and database, and others whose journals name the number.

    ``number`` is plain (:func:`plain_number`). Reads every journal: waits for the disk.
    """
    found: dict[str, Found] = {}
    others: list[str] = []
    for path in journals_in(shelves.journals):
        try:
            body = path.read_bytes()
        except OSError:
            continue
        if not may_mention(body, number) or not mentions_in_json(body.decode("utf-8", "replace"), number):
            continue
        call_id = path.name.removesuffix(JOURNAL)
        if number in _persons(body):
            found[call_id] = Found(call_id, "", path)
        else:
            others.append(call_id)
    for call_id, node in shelves.database.run_waiting(lambda c: _rows_of(c, number)):
        path = shelves.journals / f"{call_id}{JOURNAL}"
        here = path.is_file()
        found.setdefault(call_id, Found(call_id, "" if here else node, path if here else None))
    return [found[one] for one in sorted(found)], [one for one in others if one not in found]


def _persons(body: bytes) -> set[str]:
    direction, found = "", set[str]()
    for entry in entries_in(body):
        direction = str(entry.get("direction", direction))
        side = persons_of(entry, direction)
        if side is not None:
            found.add(plain_number(side))
    return found


def _rows_of(connection: Connection, number: str) -> list[tuple[str, str]]:
    wanted = select(calls.c.id, calls.c.node, calls.c.direction, calls.c.caller, calls.c.called)
    return [
        (row.id, row.node)
        for row in connection.execute(wanted)
        if plain_number(other_side(row.direction, row.caller, row.called)) == number
    ]


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────
def erase(
    shelves: Shelves,
    written: str,
    *,
    by: Deed,
    now: float,
    dry_run: bool = False,
    live: Iterable[tuple[str, str]] = (),
    forget: Callable[[Sequence[str], Sequence[str]], None] = lambda calls, files: None,
    elsewhere: Elsewhere = NOWHERE,
) -> Erasure:
    """Erase all of a person's calls that have ended. Waits for disk, store and database; may be done again.

    ``live`` has id and person of each call that goes on; those that ``shelves.live`` names once the calls are
    found have begun since, and are told as failed. ``by`` says who wants it; ``forget`` is told ids and
    recordings before they are removed. Raises :class:`CallIsLive`, RequestRefused for what is nobody's
    number, and DatabaseDown: do it again then.
    """
    number = person_of(written, live)
    report = Erasure(round(now, 3), masked(number), dry_run)
    report.nodes, report.events = list(elsewhere.nodes), elsewhere.events
    found, report.mentioned_in = find_calls(shelves, number)
    going = shelves.live()  # as it is now: reading the journals took its time
    report.calls = [Proof(one.call_id, failed=GOES_ON) for one in found if one.call_id in going]
    found = [one for one in found if one.call_id not in going]
    audio = _recordings_of(shelves, {one.call_id for one in found} | set(elsewhere.calls) - going)
    known = {one.call_id for one in found}
    found += [Found(call_id, "", None) for call_id in sorted(audio) if call_id not in known]
    ids = [one.call_id for one in found]
    if not dry_run:
        forget(ids, [one.file for records in audio.values() for one in records])
    for one in found:
        proof = _erase_one(shelves, one, audio.get(one.call_id, ()), now, dry_run=dry_run)
        proof.node = "" if elsewhere.sees_to(one.node) else one.node
        report.calls.append(proof)
    if dry_run:
        return report
    done = [proof.call_id for proof in report.calls if not proof.failed]
    gone = set(done)
    StateLog(shelves.recordings).rewrite(lambda record: None if record.call_id in gone else record)

    def work(connection: Connection) -> int:
        erasing.overwrite_deleted(connection)
        report.rows = erasing.empty_calls(connection, done)
        report.audit = erasing.empty_audit(connection, done, lambda detail: mentions_in_json(detail, number))
        erasing.forget_words(connection)
        told = report.as_data()
        result = "done" if report.complete else "incomplete"
        line = replace(by, action=ACTION, result=result, detail=told)
        return append(connection, [line], at=now)[0].n

    report.audit_line = shelves.database.run_waiting(work)
    shelves.database.scrub_waiting()
    _log.info("%d calls erased: line %d of the audit log", len(done), report.audit_line)
    return report


def _recordings_of(shelves: Shelves, ids: set[str]) -> Mapping[str, list[RecordingRecord]]:
    """Return the recordings of calls by all that knows of them: database, states, the folder itself."""

    def rows(connection: Connection) -> list[RecordingRecord]:
        return [one for call_id in ids for one in recordings.of_call(connection, call_id)]

    states = [one for one in StateLog(shelves.recordings).read() if one.call_id in ids]
    known = newest_of([*shelves.database.run_waiting(rows), *states])
    for path in sorted(shelves.recordings.glob("*")):
        if path.suffix in (".wav", ".opus", ".part"):
            file = f"{path.name.partition('.opus')[0].removesuffix('.wav')}.wav"
            call_id, name = call_of(file)
            if call_id in ids and file not in known:
                known[file] = RecordingRecord(file=file, call_id=call_id, name=name, started_at=0.0)
    by_call: dict[str, list[RecordingRecord]] = {}
    for one in known.values():
        by_call.setdefault(one.call_id, []).append(one)
    return by_call


def _erase_one(
    shelves: Shelves, one: Found, audio: Sequence[RecordingRecord], now: float, *, dry_run: bool
) -> Proof:
    proof = Proof(one.call_id)
    try:
        for record in audio:
            for path in files_of(shelves.recordings, record):
                digest = "" if path.is_symlink() else sha256_of(path)
                proof.recordings.append({"at": "folder", "bytes": path.lstat().st_size, "sha256": digest})
            if "://" in record.location:
                proof.recordings.append({"at": "store", "bytes": record.bytes, "sha256": record.sha256})
            if not dry_run:
                remove_audio(shelves.recordings, record, shelves.store)
        if one.journal is not None and not is_stub_without_numbers(one.journal):
            if dry_run:
                proof.journal_bytes = one.journal.stat().st_size
                proof.journal_sha256 = sha256_of(one.journal)
            else:
                before = replace_journal(one.journal, why="erasure", at=now, numbers=False)
                proof.journal_bytes, proof.journal_sha256 = before.bytes, before.sha256
    except (OSError, StoreError) as error:
        proof.failed = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
        _log.warning("%s could not be erased: %s", one.call_id, proof.failed)
    return proof


def is_stub_without_numbers(path: Path) -> bool:
    """Return whether a journal holds nothing any more that could be erased."""
    if not is_stub(path):
        return False
    return b'"why":"erasure"' in path.read_bytes().partition(b"\n")[0]
