"""What the asker of a response holds in hand: how far it is, and how it ended."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable

from voiceagent.flags import Flag
from voiceagent.realtime.requests import Outcome, Progress, ResponseRequest

_log = logging.getLogger("voiceagent.realtime.handles")


class ResponseHandle:
    """Follows one request. Any number of tasks may await :meth:`outcome`; it never hangs past the session."""

    __slots__ = ("_outcome", "_settled", "_steps", "_times", "_watchers", "request", "response_id")

    def __init__(self, request: ResponseRequest) -> None:
        self.request = request
        self.response_id: str | None = None
        self._steps: list[Progress] = []
        self._times = array("d")
        """The loop time of each step: a call has thousands, as numbers instead of objects."""
        self._outcome: Outcome | None = None
        self._settled: Flag | None = None
        self._watchers: tuple[Callable[[ResponseHandle], None], ...] = ()

    def __repr__(self) -> str:
        return f"<ResponseHandle {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """The request's id."""
        return self.request.id

    @property
    def done(self) -> bool:
        """True once the outcome is known."""
        return self._outcome is not None

    @property
    def progress(self) -> Progress | None:
        """The latest progress, or None when nothing has been reported yet."""
        return self._steps[-1] if self._steps else None

    @property
    def history(self) -> tuple[tuple[Progress, float], ...]:
        """Every progress with its loop time in seconds; a second attempt repeats steps."""
        return tuple(zip(self._steps, self._times, strict=True))

    @property
    def state(self) -> str:
        """One word: the kind of the outcome, else the progress, else ``waiting``."""
        if self._outcome is not None:
            return self._outcome.kind.value
        return self._steps[-1].value if self._steps else "waiting"

    @property
    def result(self) -> Outcome | None:
        """The outcome if it is known, without waiting."""
        return self._outcome

    async def outcome(self) -> Outcome:
        """Wait for the one outcome and return it."""
        if self._outcome is None:
            if self._settled is None:
                self._settled = Flag()
            await self._settled.wait()
        assert self._outcome is not None
        return self._outcome

    def on_change(self, watcher: Callable[[ResponseHandle], None]) -> Callable[[], None]:
        """Call ``watcher(handle)`` after every progress and the outcome; the result takes it away again."""
        self._watchers = (*self._watchers, watcher)

        def remove() -> None:
            self._watchers = tuple(one for one in self._watchers if one != watcher)

        return remove

    def advance(self, progress: Progress, now: float, response_id: str | None = None) -> None:
        """Record progress; the session calls this."""
        if self._outcome is not None:
            return
        if response_id is not None:
            self.response_id = response_id
        self._steps.append(progress)
        self._times.append(now)
        self._tell()

    def settle(self, outcome: Outcome) -> bool:
        """Record the outcome and wake all who wait; False when there already was one."""
        if self._outcome is not None:
            return False
        self._outcome = outcome
        if outcome.response_id is not None:
            self.response_id = outcome.response_id
        if self._settled is not None:
            self._settled.set()
            self._settled = None
        self._tell()
        self._watchers = ()
        return True

    def _tell(self) -> None:
        for watcher in self._watchers:
            try:
                watcher(self)
            except Exception:
                _log.exception("a watcher of %s failed", self.id)
