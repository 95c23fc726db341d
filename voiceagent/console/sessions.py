"""PURE. Sessions of the page: ids in a cookie, ended by age, idleness, sign-out and change of the user."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from voiceagent.console.credentials import Principal

MAX_SESSIONS = 1000
MAX_OF_ONE = 50
"""Of one user or key: nobody can push out everybody else by signing in again and again."""


@dataclass(slots=True)
class _Session:
    principal: Principal
    born: float
    seen: float


class Sessions:
    """Times are seconds of one monotonic clock. ``still`` returns who somebody is by now, or None."""

    def __init__(
        self, *, longest_s: float, idle_s: float, still: Callable[[Principal], Principal | None]
    ) -> None:
        self._longest_s = longest_s
        self._idle_s = idle_s
        self._still = still
        self._sessions: dict[str, _Session] = {}

    def begin(self, principal: Principal, now: float) -> str:
        """Return the id of a new session: 256 random bits."""
        for key, session in list(self._sessions.items()):
            if self._over(session, now):
                del self._sessions[key]
        one = [key for key, session in self._sessions.items() if session.principal.id == principal.id]
        for some, most in ((one, MAX_OF_ONE), (list(self._sessions), MAX_SESSIONS)):
            if len(some) >= most:
                self._sessions.pop(min(some, key=lambda key: self._sessions[key].seen), None)
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = _Session(principal, born=now, seen=now)
        return session_id

    def get(self, session_id: str, now: float) -> Principal | None:
        """Return whose session this is, and count it as used."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        principal = self._still(session.principal)
        if principal is None or self._over(session, now):
            del self._sessions[session_id]
            return None
        session.seen = now
        session.principal = principal
        return principal

    def renew(self, session_id: str, principal: Principal) -> None:
        """The user has changed the own password: this session goes on, the others do not."""
        if session_id in self._sessions:
            self._sessions[session_id].principal = principal

    def end(self, session_id: str) -> None:
        """End a session; harmless when it is gone."""
        self._sessions.pop(session_id, None)

    def clear(self) -> None:
        """End every session."""
        self._sessions.clear()

    def _over(self, session: _Session, now: float) -> bool:
        return now - session.born > self._longest_s or now - session.seen > self._idle_s
