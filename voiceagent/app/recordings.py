"""What a call tells of its recordings, as the database keeps it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from voiceagent.store.recordings import RecordingRecord, State

if TYPE_CHECKING:
    from voiceagent.call.call import Call

_STATES: Mapping[str, State] = {
    "recording.started": "live",
    "recording.finished": "finished",
    "recording.failed": "failed",
}


def record_of(call: Call, kind: str, facts: Mapping[str, Any]) -> RecordingRecord | None:
    """Return what is to be kept of a happening; None where it says nothing new of a file."""
    state = _STATES.get(kind)
    if state is None:
        return None
    file: str = facts["file"]
    begun = dict(zip(call.recorder.files, call.recorder.begun, strict=True))
    return RecordingRecord(
        file=file,
        call_id=call.id,
        name=facts["name"],
        started_at=round(call.started_at + begun[file], 3),
        seconds=facts.get("seconds", 0.0),
        bytes=facts.get("bytes", 0),
        sha256=facts.get("sha256", ""),
        location=file,
        state=state,
        dropped_s=facts.get("dropped_s", 0.0),
        changed_at=round(time.time(), 3),
        error=facts.get("error", ""),
    )
