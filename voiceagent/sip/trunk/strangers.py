"""PURE. How often strangers are answered where they are answered at all (``sip.refuse_unknown_sources``).

A refusal must be no weapon: ten a second for one host, a hundred a second for all of them, since a source is
easily forged. The endpoint also sees to it that none is longer than what it answers.
"""

from __future__ import annotations

PER_HOST = 10
IN_ALL = 100
WINDOW_S = 1.0


class ReplyBudget:
    """Counts replies in windows of a second. It never holds more than ``IN_ALL`` hosts."""

    __slots__ = ("_hosts", "_sent", "_window")

    def __init__(self) -> None:
        self._window = float("-inf")
        self._hosts: dict[str, int] = {}
        self._sent = 0

    def left(self, host: str, now: float) -> bool:
        """Tell whether ``host`` may be answered now: to be asked before any work is done for it."""
        if now - self._window >= WINDOW_S:
            self._window = now
            self._hosts.clear()
            self._sent = 0
        return self._sent < IN_ALL and self._hosts.get(host, 0) < PER_HOST

    def spend(self, host: str) -> None:
        """Count one answer to ``host``."""
        self._hosts[host] = self._hosts.get(host, 0) + 1
        self._sent += 1
