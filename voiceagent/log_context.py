"""What a log line is about: the ids that every line of a piece of work bears, kept in context variables.

Tasks inherit the context in which they are started, callbacks that in which they were registered. So what
serves all calls (the 20 ms wheel, SIP connections and timers, DNS) starts its own in :func:`nowhere`, or its
lines would bear the id of the call that happened to start it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context

import structlog


@contextmanager
def about(
    *, call_id: str | None = None, response_id: str | None = None, trace_id: str | None = None
) -> Generator[None]:
    """Put these ids on every line logged within, here and in tasks started here."""
    found = {"call_id": call_id, "response_id": response_id, "trace_id": trace_id}
    with structlog.contextvars.bound_contextvars(**{key: value for key, value in found.items() if value}):
        yield


def nowhere() -> Context:
    """Return a context of no call, for work that serves all of them."""
    return Context()
