"""Start the console of a service."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

import structlog

from voiceagent.store import DatabaseDown
from voiceagent.store.users import any_admin

if TYPE_CHECKING:
    from voiceagent.app.service import Service
    from voiceagent.console.server import ConsoleServer

_log = structlog.get_logger("voiceagent.service")


async def start_console(service: Service) -> tuple[ConsoleServer, str, str | None] | None:
    """Open it; returns the server, its base URL, and the token if there is one. None where it is off."""
    settings = service.settings.console
    if not settings.enabled:
        return None
    from voiceagent.console.app import create_app
    from voiceagent.console.config import ConsoleConfig
    from voiceagent.console.parts import Parts
    from voiceagent.console.server import ConsoleServer

    token = settings.token.get_secret_value() if settings.token else None
    first_run = token is None and await _nobody_yet(service)
    if first_run:
        token = secrets.token_urlsafe(24)
    config = ConsoleConfig(
        host=settings.host,
        port=settings.port,
        token=token,
        token_is_first_run=first_run,
        allowed_hosts=settings.allowed_hosts,
        metrics_open=settings.metrics_open,
        secure_cookie=settings.tls_in_front,
        trusted_proxies=settings.trusted_proxies,
        max_connections=settings.max_connections,
        max_streams=settings.max_streams,
        max_listeners=settings.max_listeners,
        recordings_dir=service.settings.recordings_dir,
        journal_dir=service.settings.journal_dir,
    )
    app = create_app(
        service.fleet.directory,
        config,
        metrics=service.metrics.pieces,
        webhooks=service.hosted,
        phones=service.phones,
        database=service.database,
        outgoing=service.outgoing,
        tickets=service.fleet.tickets,
        store=service.aftercare.plan.store,
        erasures=service.fleet.erasures,
        drainer=service.drainer,
    )
    if settings.plain_http:
        _log.warning(
            "console.plain_http: passwords, keys and calls can be read on the way",
            host=settings.host,
            port=settings.port,
        )
    server = ConsoleServer(app, settings.host, settings.port)
    parts: Parts = app.state.parts
    service.fleet.erasures.gone = parts.streams.forget
    service.metrics.watch("console_streams", lambda: len(parts.streams))
    service.metrics.watch("console_listeners", lambda: len(parts.listeners))
    service.metrics.watch("console_connections", lambda: len(server.connections))
    service.metrics.watch("audit_waiting", lambda: len(parts.audit))
    refused = service.metrics.limit_reached
    service.totals.follow(lambda: parts.streams.refused, partial(refused, "console.max_streams"))
    service.totals.follow(lambda: parts.listeners.refused, partial(refused, "console.max_listeners"))
    service.totals.follow(lambda: server.connections.refused, partial(refused, "console.max_connections"))
    return server, await server.start(), token


async def _nobody_yet(service: Service) -> bool:
    try:
        return not await service.database.run(any_admin)
    except DatabaseDown:
        return False  # it was used before; whoever may sign in can do so when it is back
