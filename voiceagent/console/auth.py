"""Who may do what: one policy for REST, the live stream and the page.

Everything is closed unless :func:`access_needed` opens it. A request shows either ``Authorization: Bearer``
(programs) or the session cookie (the page, whose ``EventSource`` cannot set headers). With the cookie, an
unsafe method must also carry ``X-Voiceagent-CSRF`` and an ``Origin`` of ours; a foreign page can send neither
of them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from voiceagent.console.config import LOOPBACK_NAMES, ConsoleConfig
from voiceagent.console.problems import Problem

COOKIE = "voiceagent_session"
"""The session cookie's name, with our port added: cookies do not tell ports apart (RFC 6265 §8.5), and two
consoles on one machine must not sign each other's operators out."""
CSRF_HEADER = "x-voiceagent-csrf"
SAFE_METHODS = frozenset({"GET", "HEAD"})
PROBES = frozenset({"/livez", "/readyz"})
"""Probes come with whatever ``Host`` the prober likes (a pod's address), and say nothing worth stealing."""
WEBHOOKS = "/webhooks/realtime"
"""Comes under whatever name the provider was given, and proves itself by its signature."""
MAX_SESSIONS = 1000


class Access(StrEnum):
    """What a route asks of the one who comes."""

    OPEN = "open"
    METRICS = "metrics"
    VIEW = "view"
    ACT = "act"


class Role(StrEnum):
    """What a credential is good for. An operator may do all that a viewer may."""

    NOBODY = "nobody"
    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Visitor:
    """The one who asks, as the policy found them."""

    role: Role
    via: str
    """bearer, cookie, loopback or none."""
    session: str = ""
    """The session's id, only when ``via`` is cookie."""

    @property
    def name(self) -> str:
        """Who acted, for the directory and the audit line."""
        return f"{self.role} via {'page' if self.via == 'cookie' else 'api'}"


NOBODY = Visitor(Role.NOBODY, "none")


@dataclass(slots=True)
class _Session:
    role: Role
    born: float
    seen: float


def new_token() -> str:
    """Return a fresh token: 192 random bits, URL-safe."""
    return secrets.token_urlsafe(24)


def access_needed(method: str, path: str) -> Access:
    """Return what a request to ``path`` asks for. Whatever is not named here needs a credential."""
    if (
        path in PROBES
        or path == "/"
        or path.startswith("/static/")
        or path in ("/favicon.ico", "/v1/openapi.json")
    ):
        return Access.OPEN
    if path == "/metrics":
        return Access.METRICS
    if path == WEBHOOKS and method == "POST":
        return Access.OPEN
    if path == "/v1/session":
        return Access.OPEN if method == "POST" else Access.VIEW
    return Access.VIEW if method in SAFE_METHODS else Access.ACT


class Policy:
    """The one place that lets in or turns away. Times are seconds of one monotonic clock."""

    def __init__(self, config: ConsoleConfig) -> None:
        self._config = config
        self._hosts = config.host_names()
        self._origins = frozenset(origin.lower() for origin in config.allowed_origins)
        self._tokens: list[tuple[bytes, Role]] = []
        if config.token is not None:
            self._tokens.append((_digest(config.token), Role.OPERATOR))
        if config.viewer_token is not None:
            self._tokens.append((_digest(config.viewer_token), Role.VIEWER))
        self._sessions: dict[str, _Session] = {}

    def admit(self, method: str, path: str, headers: Mapping[str, str], peer: str, now: float) -> Visitor:
        """Return who asks, or raise :class:`Problem`. Header names are lower case.

        Order: name (421), origin (403), credential (401), role (403), forgery (403).
        """
        if path not in PROBES and path != WEBHOOKS:
            self._check_host(headers)
        origin = headers.get("origin")
        if origin is not None and not self._own_origin(origin, headers.get("host", "")):
            raise Problem(403, "foreign_origin", f"Requests from {origin} are not taken.")
        visitor = self._identify(headers, now)
        needed = access_needed(method, path)
        if needed is Access.OPEN:
            return visitor or NOBODY
        if needed is Access.METRICS:
            if self._config.metrics_open or visitor is not None:
                return visitor or NOBODY
            if _from_here(headers, peer):
                return Visitor(Role.NOBODY, "loopback")
        if visitor is None:
            raise Problem(
                401,
                "unauthenticated",
                "This needs a token.",
                headers={"WWW-Authenticate": 'Bearer realm="voiceagent"'},
            )
        unsafe = method not in SAFE_METHODS
        if visitor.via == "cookie" and unsafe and (origin is None or not headers.get(CSRF_HEADER)):
            raise Problem(403, "csrf", "A page's request must prove that it comes from our page.")
        if needed is Access.ACT and visitor.role is not Role.OPERATOR:
            raise Problem(403, "forbidden", "A viewer may look but not act.")
        return visitor

    # ── sessions of the page ─────────────────────────────────────────────────────────────────────
    def sign_in(self, token: str, now: float) -> tuple[str, Role] | None:
        """Exchange a token for a new session id; None when no token matches."""
        role = self._role_of(token)
        if role is None:
            return None
        self._forget_old(now)
        if len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = _Session(role, born=now, seen=now)
        return session_id, role

    def sign_out(self, session_id: str) -> None:
        """End a session; harmless when it is gone."""
        self._sessions.pop(session_id, None)

    def still_welcome(self, visitor: Visitor, now: float) -> bool:
        """Whether a long-lived stream may go on; keeps the page's session from idling out."""
        return visitor.via != "cookie" or self._session(visitor.session, now) is not None

    def close(self) -> None:
        """End every session."""
        self._sessions.clear()

    # ── parts ────────────────────────────────────────────────────────────────────────────────────
    def _check_host(self, headers: Mapping[str, str]) -> None:
        name = _host_name(headers.get("host", ""))
        if name not in self._hosts:
            raise Problem(421, "foreign_host", f"This console does not answer to {name or 'an empty Host'}.")

    def _own_origin(self, origin: str, host: str) -> bool:
        """Our own page's origin has the very host and port that the browser asked for (RFC 6454 §4)."""
        origin = origin.lower()
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            standard = {"http": 80, "https": 443}.get(parts.scheme)
            asked = urlsplit(f"{parts.scheme}://{host.lower()}")
            return (
                standard is not None
                and parts.hostname is not None
                and (parts.hostname, parts.port or standard) == (asked.hostname, asked.port or standard)
            )
        except ValueError:
            return False

    def _identify(self, headers: Mapping[str, str], now: float) -> Visitor | None:
        """A bearer token that is shown must be right; a cookie does not make up for a wrong one."""
        shown = headers.get("authorization")
        if shown is not None:
            scheme, _, token = shown.partition(" ")
            role = self._role_of(token.strip()) if scheme.lower() == "bearer" else None
            return None if role is None else Visitor(role, "bearer")
        session_id = _cookie(headers.get("cookie", ""), cookie_name(headers.get("host", "")))
        session = self._session(session_id, now) if session_id else None
        return None if session is None else Visitor(session.role, "cookie", session_id)

    def _role_of(self, token: str) -> Role | None:
        """Compare with every token, in constant time, so that timing tells nothing."""
        shown = _digest(token)
        found: Role | None = None
        for known, role in self._tokens:
            if hmac.compare_digest(shown, known):
                found = role
        return found

    def _session(self, session_id: str, now: float) -> _Session | None:
        session = self._sessions.get(session_id)
        if session is None:
            return None
        if now - session.born > self._config.session_s or now - session.seen > self._config.session_idle_s:
            del self._sessions[session_id]
            return None
        session.seen = now
        return session

    def _forget_old(self, now: float) -> None:
        for session_id, session in list(self._sessions.items()):
            if (
                now - session.born > self._config.session_s
                or now - session.seen > self._config.session_idle_s
            ):
                del self._sessions[session_id]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _host_name(host: str) -> str:
    """Return a ``Host`` without its port, lower case."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def cookie_name(host: str) -> str:
    """Return the cookie's name for a console that is reached as ``host`` (the header, with its port)."""
    port = host[len(_host_name(host)) :].removeprefix(":")
    return f"{COOKIE}_{port}" if port.isascii() and port.isdigit() else COOKIE


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _from_here(headers: Mapping[str, str], peer: str) -> bool:
    """True for a program on this machine; a proxy on this machine speaks for others and does not count."""
    proxied = any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    local = peer in ("127.0.0.1", "::1")
    return local and not proxied and _host_name(headers.get("host", "")) in LOOPBACK_NAMES
