"""Tags that are put on calls after their end: into their journals, too, one by one, beside the loop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import structlog

from voiceagent.records.reading import SUFFIX, append_after_end

_log = structlog.get_logger("voiceagent.calls")


class LateTags:
    """Writes them. Nothing here waits or raises."""

    def __init__(self, folder: Path | None) -> None:
        """``folder`` has the journals; None: there are none."""
        self._folder = folder
        self._thread: ThreadPoolExecutor | None = None

    def put(self, call_id: str, tags: Sequence[str], operator: str) -> Future[None] | None:
        """All tags of a call that has ended are these now."""
        if self._folder is None or Path(call_id).name != call_id:
            return None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="late-tags")
        path = self._folder / f"{call_id}{SUFFIX}"
        return self._thread.submit(_write, path, list(tags), operator, time.time())


def _write(path: Path, tags: list[str], operator: str, at: float) -> None:
    try:
        append_after_end(path, "operator.tag", at, operator=operator, tags=tags)
    except OSError as error:
        _log.warning("a tag stands in the database only", journal=path.name, error=error.strerror)
