"""PURE. Where a collector takes traces."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

PATH = "/v1/traces"
"""OTLP's own (OpenTelemetry Protocol, OTLP/HTTP Request)."""


def endpoint_url(endpoint: str) -> str:
    """Return the whole URL; one without a path gets OTLP's."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=PATH)) if parts.path in ("", "/") else endpoint
