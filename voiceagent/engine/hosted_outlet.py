"""The events of a hosted call, sent to every control socket that is attached at that moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .faults import FaultPlan
from .outbox import Outbox

MOST_CONTROLS = 8
"""Control sockets of one call at the same time."""


class HostedOutlet:
    """Fulfils :class:`~voiceagent.engine.outbox.EventSink`; what nobody is attached for is lost."""

    def __init__(self, tokens: Callable[[], str], plan: FaultPlan, expire: Callable[[], None]) -> None:
        self._tokens = tokens
        self._plan = plan
        self._expire = expire
        self._attached: list[Outbox] = []

    @property
    def full(self) -> bool:
        """No further socket may attach."""
        return len(self._attached) >= MOST_CONTROLS

    def new_id(self, prefix: str) -> str:
        """Return a fresh id such as ``item_…``."""
        return f"{prefix}_{self._tokens()}"

    def emit(self, kind: str, **fields: Any) -> None:
        """Send one server event to all."""
        for outbox in tuple(self._attached):
            outbox.emit(kind, **fields)

    def close(self, code: int, reason: str) -> None:
        """Close all control sockets; the call goes on."""
        attached, self._attached = self._attached, []
        for outbox in attached:
            outbox.close(code, reason)

    def attach(self, session: dict[str, Any]) -> Outbox:
        """Take one more socket; ``session.created`` is the first that it is sent."""
        outbox = Outbox(self._tokens, self._plan, self._expire)
        outbox.emit("session.created", session=session)
        self._attached.append(outbox)
        return outbox

    def detach(self, outbox: Outbox) -> None:
        """A socket is gone."""
        if outbox in self._attached:
            self._attached.remove(outbox)
