"""The end of a call whose process did not live to write it: one entry, made of what its journal says.

``ended_at`` is the time of the newest entry that reached the disk; what was not written never was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceagent.records.derive import ENDED, Derivation
from voiceagent.records.journal import FORMAT_VERSION
from voiceagent.records.reading import SUFFIX, append, read_whole

CRASHED = "crashed"
"""Reason of calls whose process died: its kind is ``ours``."""
CRASHED_DETAIL = "the process ended before the call did"
CALL_ID = "call_"
"""Begins every call's id, and so the name of its journal."""


def end_entry(made: Derivation, call_id: str, at: float) -> dict[str, Any]:
    """PURE. Return the entry that ends a journal. ``at``: when it was written last, should it not say."""
    ended_at = round(made.at or at, 3)
    started_at = made.started_at or ended_at
    entry: dict[str, Any] = {
        "v": FORMAT_VERSION,
        "seq": made.seq + 1,
        "t": made.t,
        "at": ended_at,
        "type": ENDED,
        "outcome": "ours",
        "reason": CRASHED,
        "detail": CRASHED_DETAIL,
        "status": None,
        "duration_s": round(max(0.0, ended_at - started_at), 3),
        "ended_at": ended_at,
        "barge_ins": made.barge_ins,
        "first_words_s": None,
        "media": {},
        "by": "intake",
    }
    return entry if made.call_id else {**entry, "call_id": call_id, "started_at": started_at}


def close_journal(path: Path, made: Derivation) -> bool:
    """Write the end that ``made``, read from ``path``, lacks. False where it is no journal of a call.

    Raises OSError. Only for a journal that nobody else writes.
    """
    call_id = path.name.removesuffix(SUFFIX)
    if not made.call_id and (made.seq or not call_id.startswith(CALL_ID)):
        return False
    entry: Mapping[str, Any] = end_entry(made, call_id, path.stat().st_mtime)
    append(path, [entry])
    made.take(entry)
    return True


def read_and_close(path: Path) -> Derivation | None:
    """Return what a journal says of its call, its end written where it lacks one; None: of no call.

    Raises UnreadableJournal, OSError.
    """
    made = read_whole(path)
    if made.ended:
        return made
    return made if close_journal(path, made) else None
