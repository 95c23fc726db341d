"""PURE. What follows from an attempt: taken, tried again at a time, or given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

WAITS_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""Waits before the second, third … attempt: Standard Webhooks' own (five seconds to ten hours)."""
JITTER = 0.2
"""Each wait is up to so much shorter or longer, so that what failed together does not come back together."""
LONGEST_PAUSE_S = 86_400.0
"""A Retry-After is believed up to here."""
GONE = 410
_SLOW_DOWN = (429, 503)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt."""

    status: int | None
    """HTTP status; None when there was no answer."""
    error: str = ""
    """Why not, in words, when there was no answer."""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """Delivered."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try this one again at ``at`` (Unix seconds); leave the endpoint alone for ``pause_s`` from now."""

    at: float
    pause_s: float
    error: str


@dataclass(frozen=True, slots=True)
class Dead:
    """No further attempt. ``gone``: the endpoint wants nothing any more."""

    error: str
    gone: bool = False


Verdict = Taken | Again | Dead


def verdict(
    answer: Answer, attempts: int, now: float, chance: Callable[[], float], waits_s: Sequence[float] = WAITS_S
) -> Verdict:
    """Judge an attempt, of which there were ``attempts`` before. ``chance`` gives 0 ≤ x < 1.

    Any 2xx is a delivery, any other status a failure, redirects too. 410 says that the endpoint is to be
    left alone for good; 429 and 503 may say for how long (Retry-After).
    """
    status = answer.status
    if status is not None and 200 <= status < 300:
        return Taken()
    error = answer.error or f"answered with status {status}"
    if status == GONE:
        return Dead("answered 410 Gone", gone=True)
    if attempts >= len(waits_s):
        return Dead(error)
    wait = waits_s[attempts] * (1 + JITTER * (2 * chance() - 1))
    pause = 0.0
    if status in _SLOW_DOWN and answer.retry_after_s is not None:
        pause = min(max(0.0, answer.retry_after_s), LONGEST_PAUSE_S)
    return Again(now + max(wait, pause), pause, error)


def retry_after_s(value: str, now: float) -> float | None:
    """Return a Retry-After in seconds (RFC 9110 §10.2.3: seconds or a date); None for anything else."""
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
