"""Settings of the console: where it listens, who may come in, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.errors import ConfigError

TOKEN_CHARS = 16
"""Shortest token taken: 16 characters, so that guessing over a network is hopeless."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names under which a browser on this machine may reach us (``Host`` without its port)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConfig:
    """How the console listens and whom it lets in. Times are seconds, sizes are bytes.

    Raises :class:`~voiceagent.errors.ConfigError` naming the setting that is wrong.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    """TCP port; 0 takes any free one."""
    token: str | None = None
    """An admin's bearer token; the app makes one (``auth.new_token``) when nobody else could come in."""
    token_is_first_run: bool = False
    """``token`` was made to begin with, and is over as soon as there is a user who is an admin."""
    viewer_token: str | None = None
    """A second token that may look but not act."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which browsers reach us besides loopback, without port: ``console.example.com``."""
    allowed_origins: tuple[str, ...] = ()
    """Origins besides our own that may send unsafe requests: ``https://desk.example.com``."""
    metrics_open: bool = False
    """Serve ``/metrics`` to everyone. Otherwise a token is asked, but not from this machine itself."""
    secure_cookie: bool = False
    """TLS ends in front of us: the cookie is ``Secure``, pages must come by https, and stay with it."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses whose ``X-Forwarded-For`` is believed: the last address there that is none of them asks."""
    body_limit: int = 1 << 20
    sign_in_limit: int = 16 << 10
    """Largest body of a sign-in: of all that strangers may send, the largest."""
    webhook_limit: int = 256 << 10
    """Largest body of a webhook."""
    body_deadline_s: float = 10.0
    """From the end of a request's head to the end of its body, however slowly bytes drip."""
    header_deadline_s: float = 5.0
    """From a connection's first byte (or its opening) to the end of a request's head."""
    header_limit: int = 16 << 10
    max_connections: int = 256
    max_connections_of_one: int = 64
    """Connections of one address (IPv6: of one /64); this machine and trusted proxies may have all."""
    write_deadline_s: float = 30.0
    """A connection whose peer takes nothing of what is sent for so long is ended."""
    triggers_per_s: float = 20.0
    """Sustained triggers per token; twice as many may come at once."""
    stream_queue: int = 256
    """Events kept for one slow reader of ``/v1/events``; beyond it he gets a fresh snapshot instead."""
    stream_tick_s: float = 0.05
    """After one event, those of this time go out together; 0 sends each by itself."""
    max_streams: int = 64
    max_listeners: int = 32
    """Sockets on which calls are heard, on all calls together."""
    heartbeat_s: float = 15.0
    recordings_dir: str = ""
    """Folder of the recordings that the history plays; empty: there are none."""
    journal_dir: str = ""
    """Folder of the journals that the history hands out; empty: there are none."""
    session_s: float = 12 * 3600.0
    """Longest life of a page's session."""
    session_idle_s: float = 30 * 60.0

    def __post_init__(self) -> None:
        if not self.host:
            raise ConfigError(
                "console.host", "must name an address; 127.0.0.1 keeps the console on this machine"
            )
        if not 0 <= self.port <= 65535:
            raise ConfigError("console.port", f"{self.port} is not a port; take 0 to 65535")
        for name in ("token", "viewer_token"):
            token: str | None = getattr(self, name)
            if token is None:
                continue
            if len(token) < TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
                raise ConfigError(
                    f"console.{name}",
                    f"must be at least {TOKEN_CHARS} printable ASCII characters without spaces",
                )
        if self.token is not None and self.token == self.viewer_token:
            raise ConfigError("console.viewer_token", "must differ from console.token")
        for origin in self.allowed_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise ConfigError(
                    "console.allowed_origins", f"{origin!r} is not an origin such as https://desk.example.com"
                )
        for host in self.allowed_hosts:
            if not host or "/" in host or "*" in host:
                raise ConfigError(
                    "console.allowed_hosts", f"{host!r} is not a host name without scheme or port"
                )
        positive = (
            "body_limit",
            "webhook_limit",
            "body_deadline_s",
            "header_deadline_s",
            "header_limit",
            "max_connections",
            "max_connections_of_one",
            "write_deadline_s",
        )
        positive += (
            "triggers_per_s",
            "stream_queue",
            "max_streams",
            "max_listeners",
            "heartbeat_s",
            "session_s",
            "session_idle_s",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ConfigError(f"console.{name}", "must be above zero")

    def body_limit_of(self, path: str) -> int:
        """Largest body taken at ``path``."""
        if path.startswith("/webhooks/"):
            return min(self.body_limit, self.webhook_limit)
        return min(self.body_limit, self.sign_in_limit) if path == "/v1/session" else self.body_limit

    def host_names(self) -> frozenset[str]:
        """Every ``Host`` (without port, lower case) that is ours."""
        names = set(LOOPBACK_NAMES)
        if self.host not in ("0.0.0.0", "::", ""):
            names.add(f"[{self.host}]" if ":" in self.host else self.host.lower())
        names.update(name.lower() for name in self.allowed_hosts)
        return frozenset(names)
