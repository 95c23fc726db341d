"""PURE. Who is told what, and where: an endpoint of the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from voiceagent.egress import LOOPBACK, is_private_literal
from voiceagent.notify.schedule import WAITS_S


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver of webhooks."""

    name: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    """``whsec_…``; two while rotating."""
    events: tuple[str, ...]
    waits_s: tuple[float, ...] = WAITS_S
    timeout_s: float = 5.0

    @property
    def public_only(self) -> bool:
        """True unless the URL names a host of a private network, or this one, by its address."""
        host = urlsplit(self.url).hostname or ""
        return host not in LOOPBACK and not is_private_literal(host)

    @property
    def shown(self) -> str:
        """The URL without its path and query, which may be secrets."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def url_refusal(url: str) -> str | None:
    """Return why nothing may be sent to ``url``, or None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("https", "http") or not host or not url.isascii() or not url.isprintable():
        return "must be an https:// URL"
    if "@" in parts.netloc:
        return "may hold no user and password; the signature says who we are"
    if parts.scheme == "http" and host not in LOOPBACK:
        return "must be https://; http:// is for this machine's own 127.0.0.1, [::1] and localhost"
    return None
