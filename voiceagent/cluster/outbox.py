"""PURE: what is to be written to the registry, gathered: of each call the newest, all events in order."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from voiceagent.cluster.ports import GAP

KEPT_WHILE_AWAY = 2000
"""Events that wait for the registry; of more, the newest."""
MOST_CALLS = 500
MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Queued:
    """An event that waits. ``seq`` counts this node's events: the registry takes each one once."""

    seq: int
    kind: str
    call_id: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """One write. ``changed`` has the call's data as JSON; the two kinds of calls have no id in common."""

    changed: tuple[tuple[str, str], ...]
    ended: tuple[str, ...]
    events: tuple[Queued, ...]

    def words(self) -> list[str | int]:
        """Return it as the arguments of the script that writes it."""
        words: list[str | int] = [len(self.changed), len(self.ended)]
        for call_id, data in self.changed:
            words += (call_id, data)
        words += self.ended
        for event in self.events:
            words += (event.seq, event.kind, event.call_id, as_json(event.data))
        return words


class Outbox:
    """Everything that a node tells its fleet goes through here."""

    def __init__(self, kept: int = KEPT_WHILE_AWAY) -> None:
        self.live: dict[str, Mapping[str, Any]] = {}
        """This node's calls, as they were told last."""
        self._kept = kept
        self._changed: dict[str, None] = {}
        self._ended: dict[str, None] = {}
        self._events: deque[Queued] = deque()
        self._seq = 0
        self._dropped = 0

    def __bool__(self) -> bool:
        return bool(self._changed or self._ended or self._events)

    def call_changed(self, call_id: str, data: Mapping[str, Any]) -> None:
        """A call stands so now."""
        self.live[call_id] = data
        self._changed[call_id] = None
        self._ended.pop(call_id, None)

    def call_ended(self, call_id: str) -> None:
        """A call is over."""
        if self.live.pop(call_id, None) is None:
            return
        self._changed.pop(call_id, None)
        self._ended[call_id] = None

    def publish(self, kind: str, call_id: str, data: Mapping[str, Any]) -> None:
        """Something happened."""
        self._seq += 1
        self._events.append(Queued(self._seq, kind, call_id, data))
        self._bound()

    def batch(self) -> Batch:
        """Take what is to be written next. What could not be written comes back by :meth:`give_back`."""
        changed = tuple(list(self._changed)[:MOST_CALLS])
        ended = tuple(list(self._ended)[:MOST_CALLS])
        events = [self._events.popleft() for _ in range(min(MOST_EVENTS, len(self._events)))]
        for call_id in changed:
            del self._changed[call_id]
        for call_id in ended:
            del self._ended[call_id]
        if self._dropped and events:
            # In the place of the newest that was dropped, whose number nobody will use.
            events.insert(0, Queued(events[0].seq - 1, GAP, "", {"dropped": self._dropped}))
            self._dropped = 0
        return Batch(tuple((id_, as_json(self.live[id_])) for id_ in changed), ended, tuple(events))

    def give_back(self, batch: Batch) -> None:
        """The batch was not written, or nobody knows. What is newer wins."""
        for call_id, _ in batch.changed:
            if call_id in self.live:
                self._changed[call_id] = None
        for call_id in batch.ended:
            if call_id not in self.live:
                self._ended[call_id] = None
        self._events.extendleft(reversed(batch.events))
        self._bound()

    def all_again(self) -> None:
        """The registry has forgotten us: tell all calls again."""
        self._changed = dict.fromkeys(self.live)
        self._ended.clear()

    def forget(self, calls: Collection[str]) -> None:
        """Tell nothing more of what happened in these calls."""
        self._events = deque(one for one in self._events if one.call_id not in calls)

    def _bound(self) -> None:
        while len(self._events) > self._kept:
            gone = self._events.popleft()
            self._dropped += int(gone.data.get("dropped", 1)) if gone.kind == GAP else 1


def as_json(value: Mapping[str, Any]) -> str:
    """Return compact JSON. What JSON has no form for becomes text; what cannot be written at all, nothing."""
    try:
        return json.dumps(value, default=str, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return "{}"
