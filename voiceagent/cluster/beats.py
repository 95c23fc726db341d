"""PURE: when to beat, whom to believe, and what time it is in the fleet."""

from __future__ import annotations

from collections.abc import Callable

BEATS_PER_LEASE = 3


FIRST_RETRY_S = 0.1


class Beats:
    """The bookkeeping of one lease. ``now`` is monotonic; ``chance`` gives 0 ≤ x < 1 for the jitter.

    A retry comes within a quarter of a lease, so that all are back before anybody may bury anybody.
    """

    def __init__(self, lease_s: float, chance: Callable[[], float]) -> None:
        self.lease_s = lease_s
        self.why = ""
        """Why the registry is away; empty while it answers."""
        self._chance = chance
        self._due = 0.0
        self._failed = 0
        self._unbroken_since: float | None = None

    def wait(self, now: float) -> float:
        """Return the seconds until the next beat."""
        return max(0.0, self._due - now)

    def hurry(self, now: float) -> None:
        """Something went wrong elsewhere: look at once."""
        self._due = now

    def succeeded(self, now: float, *, late: bool = False) -> None:
        """The registry has the beat; ``late``: by its clock our own lease was over."""
        self.why = ""
        self._failed = 0
        self._due = now + self.lease_s / BEATS_PER_LEASE
        if late or self._unbroken_since is None:
            self._unbroken_since = now

    def failed(self, now: float, why: str) -> None:
        """It has not, or nobody knows."""
        self.why = why
        most = min(self.lease_s / 4, FIRST_RETRY_S * 2 ** min(self._failed, 16))
        self._failed += 1
        self._due = now + most * (0.5 + 0.5 * self._chance())
        self._unbroken_since = None

    def may_bury(self, now: float) -> bool:
        """Tell whether a lease that has run out proves a death.

        Not while the registry has just been away, or this whole machine has slept: then nobody's beats came
        through, and all need the time of a lease to be heard again.
        """
        return self._unbroken_since is not None and now - self._unbroken_since >= self.lease_s

    def trusts(self, sent: float, received: float) -> bool:
        """Tell whether an answer is fresh enough to act on: we may have slept, and been buried, meanwhile."""
        return received - sent <= self.lease_s / 2


class FleetClock:
    """The registry's clock as seen from here: bounds, which every answer narrows.

    Who sets a deadline uses ``earliest``, who judges by one ``latest``: so no error of the estimate ever
    makes a late command look timely.
    """

    def __init__(self, local: Callable[[], float], step_s: float = 0.0) -> None:
        """``step_s``: how coarsely the registry tells its time, always rounded down."""
        self._local = local
        self._step_s = step_s
        self._low = self._high = 0.0
        self._known = False

    def learned(self, theirs: float, sent: float, received: float) -> None:
        """Their clock showed ``theirs`` at some moment from ``sent`` to ``received`` on ours."""
        low, high = theirs - received, theirs + self._step_s - sent
        if self._known and low <= self._high and self._low <= high:
            self._low, self._high = max(low, self._low), min(high, self._high)
        else:  # the first, or a clock has been set or has drifted
            self._low, self._high, self._known = low, high, True

    def earliest(self) -> float:
        """Return the least that their clock can show now."""
        return self._local() + self._low

    def latest(self) -> float:
        """Return the most that it can show."""
        return self._local() + self._high
