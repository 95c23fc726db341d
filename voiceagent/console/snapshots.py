"""The list of calls in wire form, made once for all readers who begin, or begin anew, at about the same time.

With a hundred live calls it takes some 20 ms to make. Two hundred readers who come back at once, as behind a
proxy that was started again, would keep the event loop from the calls for seconds if each had its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import NamedTuple

from voiceagent.console.ports import Directory
from voiceagent.console.views import call_data

CHEAP_S = 0.002
"""CPU time up to which every reader may have a list of his own."""
REST = 20
"""A list is handed out again for so many times what it took to make: a twentieth of the loop, at most."""
MOST_S = 0.5
"""But not for longer: what has happened since is sent with it."""


class Snapshot(NamedTuple):
    """Every call as it stood when the event ``number`` had come (None: before any had)."""

    number: int | None
    event_id: str | None
    """The same as readers have it."""
    calls: str
    """JSON, in ASCII."""


class Snapshots:
    """Makes the list of calls, and remembers it while making it again would be too soon."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._newest: Snapshot | None = None
        self._until = 0.0

    def forget(self) -> None:
        """What was made before does not hold any more."""
        self._newest = None

    def remembered(self) -> Snapshot | None:
        """Return the newest list if it is still too soon for another one."""
        return self._newest if asyncio.get_running_loop().time() < self._until else None

    def make(self, number: int | None, event_id: str | None) -> Snapshot:
        """Return the list as it stands now, after the event ``number``."""
        began = time.thread_time()
        calls = json.dumps([call_data(view) for view in self._directory.seen()])
        spent = time.thread_time() - began
        self._newest = Snapshot(number, event_id, calls)
        held_s = min(MOST_S, REST * spent) if spent > CHEAP_S else 0.0
        self._until = asyncio.get_running_loop().time() + held_s
        return self._newest
