"""The one place that lets in or turns away: REST, the live stream, WebSockets and the page.

A request shows either ``Authorization: Bearer`` (programs: a key, or a token of the settings) or the session
cookie (the page, whose ``EventSource`` cannot set headers). With the cookie, an unsafe method must also carry
``X-Voiceagent-CSRF``, and it and every WebSocket an ``Origin`` of ours; a foreign page can send neither.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from voiceagent.console.config import LOOPBACK_NAMES, ConsoleConfig
from voiceagent.console.credentials import Credentials, Principal
from voiceagent.console.problems import Problem, too_low
from voiceagent.console.rights import LEAST_ROLE, WEBSOCKET, Right, Role, right_needed
from voiceagent.console.sessions import Sessions

COOKIE = "voiceagent_session"
"""The session cookie's name, with our port added: cookies do not tell ports apart (RFC 6265 §8.5), and two
consoles on one machine must not sign each other's operators out."""
CSRF_HEADER = "x-voiceagent-csrf"
SAFE_METHODS = frozenset({"GET", "HEAD"})
PROBES = frozenset({"/livez", "/readyz"})
"""Probes come with whatever ``Host`` the prober likes (a pod's address), and say nothing worth stealing."""
WEBHOOKS = "/webhooks/realtime"
"""Comes under whatever name the provider was given, and proves itself by its signature."""
NODES = "/v1/cluster/calls/"
"""So do other nodes, by their tickets."""
FIRST_RUN = "first run"
"""Name of the token that is made when there is no other way in."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The one who asks, as the policy found them."""

    role: Role
    via: str
    """bearer, cookie, loopback or none."""
    session: str = ""
    """The session's id, only when ``via`` is cookie."""
    principal: Principal | None = None

    @property
    def name(self) -> str:
        """Who acts, for the directory and the audit log: ``ann via page``."""
        who = "nobody" if self.principal is None else self.principal.name
        return f"{who} via {'page' if self.via == 'cookie' else 'api'}"

    @property
    def key(self) -> str:
        """What to count this visitor's acts by."""
        return "" if self.principal is None else f"{self.principal.kind}:{self.principal.id}"


NOBODY = Visitor(Role.NOBODY, "none")


def new_token() -> str:
    """Return a fresh token: 192 random bits, URL-safe."""
    return secrets.token_urlsafe(24)


class Policy:
    """Times called ``now`` are seconds of one monotonic clock; ``wall`` tells Unix time."""

    def __init__(self, config: ConsoleConfig, *, wall: Callable[[], float] = time.time) -> None:
        self._config = config
        self._wall = wall
        self._hosts = config.host_names()
        self._origins = frozenset(origin.lower() for origin in config.allowed_origins)
        tokens: list[tuple[str, Role, str]] = []
        if config.token is not None:
            tokens.append(
                (config.token, Role.ADMIN, FIRST_RUN if config.token_is_first_run else "console.token")
            )
        if config.viewer_token is not None:
            tokens.append((config.viewer_token, Role.VIEWER, "console.viewer_token"))
        self.credentials = Credentials(tokens)
        self.sessions = Sessions(
            longest_s=config.session_s,
            idle_s=config.session_idle_s,
            still=lambda principal: self.credentials.still(principal, wall()),
        )

    def admit(self, method: str, path: str, headers: Mapping[str, str], peer: str, now: float) -> Visitor:
        """Return who asks, or raise :class:`Problem`. Header names are lower case; ``WS`` is a WebSocket.

        Order: name (421), origin (403), credential (401), forgery (403), role (403).
        """
        if path not in PROBES and path != WEBHOOKS and not path.startswith(NODES):
            self._check_host(headers)
        origin = headers.get("origin")
        if origin is not None and not self._own_origin(origin, headers.get("host", "")):
            raise Problem(403, "foreign_origin", f"Requests from {origin} are not taken.")
        visitor = self._identify(headers, now)
        needed = right_needed(method, path)
        if needed is Right.OPEN:
            return visitor or NOBODY
        if needed is Right.METRICS:
            if self._config.metrics_open or visitor is not None:
                return visitor or NOBODY
            if _from_here(headers, peer):
                return Visitor(Role.NOBODY, "loopback")
        if visitor is None:
            raise Problem(
                401,
                "unauthenticated",
                "This needs a key, or to be signed in.",
                headers={"WWW-Authenticate": 'Bearer realm="voiceagent"'},
            )
        if visitor.via == "cookie" and method not in SAFE_METHODS:
            # A browser sets Origin on its WebSockets by itself and lets no page set another header.
            proven = origin is not None and (method == WEBSOCKET or headers.get(CSRF_HEADER))
            if not proven:
                words = "A page's request must prove that it comes from our page."
                raise _refused(visitor, Problem(403, "csrf", words))
        if not visitor.role.covers(LEAST_ROLE[needed]):
            raise _refused(visitor, too_low(visitor.role, needed))
        return visitor

    def by_token(self, token: str) -> Principal | None:
        """Return whose token or key this is."""
        return self.credentials.by_secret(token, self._wall())

    def still_welcome(self, visitor: Visitor, now: float) -> bool:
        """Whether a long-lived stream may go on; keeps the page's session from idling out."""
        if visitor.via == "cookie":
            principal = self.sessions.get(visitor.session, now)
        else:
            known = visitor.principal
            principal = None if known is None else self.credentials.still(known, self._wall())
        return principal is not None and principal.role.covers(visitor.role)

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
            here = _host_name(parts.netloc) in LOOPBACK_NAMES
            if self._config.secure_cookie and parts.scheme != "https" and not here:
                return False  # a page that came in plain text is whoever's is on the way
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
            principal = self.by_token(token.strip()) if scheme.lower() == "bearer" else None
            return None if principal is None else Visitor(principal.role, "bearer", principal=principal)
        session_id = _cookie(headers.get("cookie", ""), cookie_name(headers.get("host", "")))
        principal = self.sessions.get(session_id, now) if session_id else None
        return None if principal is None else Visitor(principal.role, "cookie", session_id, principal)


def _refused(visitor: Visitor, problem: Problem) -> Problem:
    problem.by = visitor
    return problem


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


def asking(peer: str, forwarded: str, proxies: Collection[str]) -> str:
    """Return the address that asks: ``peer``, or the one that trusted proxies name (``X-Forwarded-For``).

    Only what a trusted proxy has put there counts, so it is read from its end.
    """
    hops = [hop.strip() for hop in forwarded.split(",")]
    while peer in proxies and hops:
        hop = hops.pop()
        try:
            peer = str(ipaddress.ip_address(hop.removeprefix("[").partition("]")[0]))
        except ValueError:
            break
    return peer


def _from_here(headers: Mapping[str, str], peer: str) -> bool:
    """True for a program on this machine; a proxy on this machine speaks for others and does not count."""
    proxied = any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    local = peer in ("127.0.0.1", "::1")
    return local and not proxied and _host_name(headers.get("host", "")) in LOOPBACK_NAMES
