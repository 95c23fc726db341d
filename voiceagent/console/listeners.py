"""Every open listening socket of the console: bounded, and closed with it."""

from __future__ import annotations

from voiceagent.console.ports_listen import Listener
from voiceagent.console.problems import Problem


class Listeners:
    """At most ``most`` at the same time, on all calls together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.closed = False
        self.refused = 0
        self._open: set[Listener] = set()

    def __len__(self) -> int:
        return len(self._open)

    def check(self) -> None:
        """Raise the 503 where one more would be too many, or too late."""
        again = {"Retry-After": "5"}
        if self.closed:
            raise Problem(503, "shutting_down", "This node is closing.", headers=again)
        if len(self._open) >= self.most:
            self.refused += 1
            raise Problem(503, "too_many_listeners", f"{len(self)} listen already.", headers=again)

    def add(self, listener: Listener) -> None:
        """One more listens."""
        self._open.add(listener)

    def remove(self, listener: Listener) -> None:
        """It is over; harmless when repeated."""
        self._open.discard(listener)

    def close(self) -> None:
        """End them all, and take no more."""
        self.closed = True
        for listener in list(self._open):
            listener.leave()
