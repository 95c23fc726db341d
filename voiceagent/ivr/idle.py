"""PURE. What is said to a caller who says nothing, stage by stage, and when.

Questions count their attempts; a conversation without questions keeps an :class:`IdleWatch`: it is told when
the caller or the agent was last heard, and says when the next line is due.
"""

from __future__ import annotations

from collections.abc import Sequence


class IdleWatch:
    """One silence after another. Times are seconds of one monotonic clock.

    ``every_s`` is the silence before each line, counted from when nobody was heard any more. After the last
    line the same silence once more, and :attr:`over` is True: the caller is not there.
    """

    def __init__(self, lines: Sequence[str], every_s: float) -> None:
        self._lines = tuple(lines)
        self._every_s = every_s
        self._silent_since: float | None = None
        self._said = 0
        self.over = False
        """The caller was silent through all stages."""

    @property
    def said(self) -> int:
        """How many lines this silence has taken."""
        return self._said

    def caller_heard(self) -> None:
        """The caller speaks or presses a key: nothing is due until :meth:`silent`; the stages begin anew."""
        self._silent_since = None
        self._said = 0
        self.over = False

    def agent_heard(self) -> None:
        """The agent speaks: nothing is due until :meth:`silent`. The stages go on from where they were."""
        self._silent_since = None

    def silent(self, now: float) -> None:
        """Nobody is heard from now on."""
        if self._silent_since is None:
            self._silent_since = now

    def wake_at(self) -> float | None:
        """Return when :meth:`due` has something to say; None while somebody is heard, and when it is over."""
        if self._silent_since is None or self.over:
            return None
        return self._silent_since + self._every_s

    def due(self, now: float) -> str | None:
        """Return the line to be said now, once; None when none is due or all were said (see :attr:`over`)."""
        at = self.wake_at()
        if at is None or now < at:
            return None
        self._silent_since = None
        if self._said == len(self._lines):
            self.over = True
            return None
        self._said += 1
        return self._lines[self._said - 1]
