"""The time lines of this node's calls: live ones by the journal's tap, older ones from the journal's file."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from voiceagent.records.journal import Journal
from voiceagent.replay.timeline import Timeline, timeline_of
from voiceagent.replay.turns import Turn

READ_KEPT = 16
"""So many that were read from files are kept: whoever looks at an ended call looks again."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SKIPPED = ("in.", "link.")
"""Types of entries that are most of a journal and say nothing here: they are not even parsed."""
_TYPE = '"type":"'
_HEAD = 160
_log = logging.getLogger(__name__)


class Timelines:
    """Time lines by call."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` has the journals; without it only calls in memory are known."""
        self._folder = folder
        self._kept: dict[str, tuple[Timeline, Journal]] = {}
        self._read: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._reading = asyncio.Lock()
        self.answered: Callable[[Turn], None] = lambda turn: None
        """Called with every turn of every live call that is answered: how long the caller waited, and why."""

    def begin(self, call_id: str, journal: Journal) -> None:
        """Follow a call from now on."""
        timeline = Timeline()
        timeline.answered = self.answered
        self._kept[call_id] = (timeline, journal)

        def take(entry: Mapping[str, Any]) -> None:
            try:
                timeline.take(entry)
            except Exception:  # a picture of a call must not be able to end it
                _log.exception(
                    "the time line of %s cannot take an entry of type %s", call_id, entry.get("type")
                )

        journal.tap(take, inner=False)

    def forget(self, call_id: str) -> None:
        """Let a call go that is remembered no longer."""
        self._kept.pop(call_id, None)
        self._read.pop(call_id, None)

    async def of(self, call_id: str) -> Mapping[str, Any]:
        """Return the time line as JSON values. Raises KeyError for a call of which there is no journal."""
        kept = self._kept.get(call_id)
        if kept is not None:
            timeline, journal = kept
            return timeline.plain(journal.now)
        if self._folder is None or not _NAME.fullmatch(call_id):
            raise KeyError(call_id)
        async with self._reading:  # one at a time: it takes its share of the interpreter from the calls
            known = self._read.get(call_id)
            if known is None:
                known = await asyncio.to_thread(read_timeline, self._folder / f"{call_id}.jsonl")
                self._read[call_id] = known
                while len(self._read) > READ_KEPT:
                    self._read.popitem(last=False)
        return known


def read_timeline(path: Path) -> Mapping[str, Any]:
    """Return the time line of a journal. Raises KeyError where there is none, or none that can be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return {**timeline_of(_entries(file)).plain(), "live": False}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s makes no time line: %s", path, error)
        raise KeyError(path.stem) from None


def _entries(lines: Iterator[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        found = line.find(_TYPE, 0, _HEAD)
        if found >= 0 and line.startswith(_SKIPPED, found + len(_TYPE)):
            continue
        try:
            entry: object = json.loads(line)
        except ValueError:
            return  # the torn last line of a killed process
        if isinstance(entry, dict):
            yield entry  # pyright: ignore[reportUnknownVariableType]
