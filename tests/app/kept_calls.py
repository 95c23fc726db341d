"""Calls with everything that is kept of them, on disk and in a database of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.store.kit import record
from voiceagent.app.retention import Shelves
from voiceagent.media.wav import WavWriter
from voiceagent.records.objects import ObjectStore
from voiceagent.records.states import RecordingRecord, StateLog
from voiceagent.store import Database, history, outbox, recordings
from voiceagent.store.history import LineRecord, ResponseRecord

DAY = 86_400.0


@contextmanager
def shelves(folder: Path, store: ObjectStore | None = None, *, url: str = "") -> Iterator[Shelves]:
    (folder / "journals").mkdir()
    (folder / "recordings").mkdir()
    database = Database(url or f"sqlite:///{folder}/journals/voiceagent.db")
    database.open_now()
    try:
        yield Shelves(folder / "journals", folder / "recordings", database, store)
    finally:
        database.close_now()


def keep(where: Shelves, call_id: str, at: float, *, words: str = "hello", **facts: Any) -> None:
    """A recorded call that ended at ``at``: journal, audio, rows, a tag, a webhook."""
    kept = record(
        call_id,
        started_at=at - 60,
        answered_at=at - 59,
        ended_at=at,
        reason="completed",
        fault=words,
        **facts,
    )
    file = f"{call_id}-{words.split()[0]}.wav"
    entries: list[dict[str, Any]] = [
        {
            "type": "call.offered",
            "call_id": call_id,
            "kind": kept.kind,
            "direction": kept.direction,
            "caller": kept.caller,
            "called": kept.called,
            "flow": kept.flow,
            "trunk": kept.trunk,
            "provider": kept.provider,
            "node": kept.node,
            "started_at": kept.started_at,
            "claims": {"name": words},
        },
        {"type": "call.answered", "answered_at": at - 59},
        {"type": "in.sip", "text": f"INVITE sip:{kept.called} from {kept.caller} {words}"},
        {"type": "recording.started", "name": words.split()[0], "file": file},
        {"type": "caller.said", "text": words},
        {
            "type": "call.ended",
            "outcome": kept.outcome,
            "reason": "completed",
            "detail": words,
            "duration_s": 60.0,
            "ended_at": at,
            "media": {"received": 5, "details": {"peer": kept.caller, "mos": 4.2}},
        },
    ]
    journal = where.journals / f"{call_id}.jsonl"
    with journal.open("w", encoding="utf-8") as out:
        for seq, entry in enumerate(entries, 1):
            out.write(json.dumps({"v": 1, "seq": seq, "t": float(seq), "at": at, **entry}) + "\n")
    os.utime(journal, (at, at))
    with WavWriter(where.recordings / file, channels=2) as wav:
        wav.write(bytes(4 * 800) + words.encode() * 4)
    os.utime(where.recordings / file, (at, at))
    said = [LineRecord(1.0, "caller", words, words, False)]
    asked = [
        ResponseRecord("req_1", "flow", words, {"about": kept.caller}, at, "completed", "", {"text": words})
    ]
    audio = RecordingRecord(
        file=file, call_id=call_id, name=words.split()[0], started_at=at - 60, location=file, state="finished"
    )
    StateLog(where.recordings).append(audio)

    def work(c: Any) -> None:
        figures = {
            "received": 5,
            "peer": kept.caller,
            "mos": 4.2,
            "recordings": [file],
            "recordings_at": [0.0],
        }
        history.write(
            c,
            record(call_id, **_facts(kept), journal=journal.name, recording=file, figures=figures),
            said,
            asked,
        )
        recordings.put(c, audio)
        history.tag(c, call_id, words.split()[0], by="ann", at=at)
        outbox.put(
            c,
            ["crm"],
            event_id=f"msg_{call_id}",
            kind="call.ended",
            call_id=call_id,
            payload=json.dumps({"caller": kept.caller, "words": words}),
            at=at,
        )

    where.database.run_now(work)


def _facts(kept: history.CallRecord) -> dict[str, Any]:
    names = ("started_at", "answered_at", "ended_at", "caller", "called", "direction", "reason", "fault")
    return {name: getattr(kept, name) for name in names}
