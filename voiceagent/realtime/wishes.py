"""PURE. Requests that have not ended, whatever link they are with, and under what id they are known there."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace

from voiceagent.realtime.requests import BargePolicy, ResponseRequest

LINKS_PER_REQUEST = 2
"""A request goes out over so many links at most."""


@dataclass(slots=True)
class Wish:
    """A request that has not ended. ``alias`` is its id on the present link."""

    request: ResponseRequest
    since: float
    alias: str
    links: int = 0
    """Over how many links its create was sent."""
    submitted: int = 1

    @property
    def id(self) -> str:
        """The asker's id of it."""
        return self.request.id

    @property
    def droppable(self) -> bool:
        """True when the caller, by speaking or by a key, ends it."""
        return self.request.barge_policy is BargePolicy.DROP and self.request.interruptible

    @property
    def worn_out(self) -> bool:
        """True when it was sent over as many links as are allowed."""
        return self.links >= LINKS_PER_REQUEST


class Wishes:
    """All open requests, in the order of asking. Times are seconds of one monotonic clock."""

    __slots__ = ("_ids", "_open")

    def __init__(self) -> None:
        self._open: dict[str, Wish] = {}
        self._ids: dict[str, str] = {}
        """Alias to the asker's id, of what the present link was asked for."""

    def __bool__(self) -> bool:
        return bool(self._open)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._open

    def get(self, request_id: str | None) -> Wish | None:
        """Return an open request."""
        return self._open.get(request_id or "")

    def add(self, request: ResponseRequest, now: float, *, asked: bool) -> None:
        """Take a new request; ``asked``: the present link gets it under its own id."""
        self._open[request.id] = Wish(request, now, request.id)
        if asked:
            self._ids[request.id] = request.id

    def drop(self, request_id: str) -> None:
        """Forget a request: it has ended, or waits elsewhere."""
        wish = self._open.pop(request_id, None)
        if wish is not None:
            self._ids.pop(wish.alias, None)

    def id_of(self, alias: str) -> str:
        """Return the asker's id for the id that the link uses."""
        return self._ids.get(alias, alias)

    def asked(self, request_id: str) -> Wish | None:
        """Return a request that is with the present link."""
        wish = self._open.get(request_id)
        return wish if wish is not None and wish.alias in self._ids else None

    def unasked(self, but: Set[str | None] = frozenset()) -> list[Wish]:
        """Return what the present link has not been asked for."""
        return [wish for key, wish in self._open.items() if key not in but and wish.alias not in self._ids]

    def link_lost(self) -> None:
        """Whatever the link was asked for, it is not with it any more."""
        self._ids.clear()

    def ask_again(self, wish: Wish, now: float) -> ResponseRequest | None:
        """Return the request for the present link, under an id of its own; None when it is too late."""
        deadline = wish.request.deadline_s
        if deadline is not None:
            deadline -= now - wish.since
            if deadline <= 0:
                return None
        wish.submitted += 1
        wish.alias = f"{wish.id}~{wish.submitted}"
        self._ids[wish.alias] = wish.id
        # What ``needs`` names went to the old link; the new one keeps the order.
        return replace(wish.request, id=wish.alias, deadline_s=deadline, needs=frozenset(), follow_up_of=None)
