"""The console as one ASGI application."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI

from voiceagent.cluster.tickets import TicketDesk
from voiceagent.console import (
    actions,
    alerts,
    audit_log,
    calls,
    cluster,
    deliveries,
    dialling,
    drain,
    events,
    flows,
    health,
    history,
    history_audio,
    history_export,
    listening,
    node_listening,
    phone,
    presets,
    problems,
    responses,
    session,
    tags,
    timeline,
    trunks,
    users,
)
from voiceagent.console import erasures as erasing
from voiceagent.console.audit import AuditDesk
from voiceagent.console.audit_spill import NAME, AuditSpill
from voiceagent.console.auth import Policy
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.guard import Guard
from voiceagent.console.identity import Identity
from voiceagent.console.limits import RateLimit
from voiceagent.console.listeners import Listeners
from voiceagent.console.live import Streams
from voiceagent.console.models import ProblemModel
from voiceagent.console.page import page_router
from voiceagent.console.parts import Parts, as_routed
from voiceagent.console.ports import Directory, Phones, Webhooks
from voiceagent.console.ports_drain import Drain
from voiceagent.console.ports_erasure import Erasures
from voiceagent.console.ports_notify import OutgoingWebhooks
from voiceagent.console.rights import WEBSOCKET, without_rule
from voiceagent.errors import ConfigError
from voiceagent.records.objects import ObjectStore
from voiceagent.store import Database

DESCRIPTION = """\
Look at live calls and make the model speak. Every wish enters its call's one queue and ends in one outcome.
Refusals are `application/problem+json` (RFC 9457) and name the field at fault.
"""


def create_app(
    directory: Directory,
    config: ConsoleConfig,
    *,
    metrics: Callable[[], Iterable[str]] | None = None,
    webhooks: Webhooks | None = None,
    phones: Phones | None = None,
    database: Database | None = None,
    outgoing: OutgoingWebhooks | None = None,
    store: ObjectStore | None = None,
    erasures: Erasures | None = None,
    drainer: Drain | None = None,
    tickets: TicketDesk | None = None,
) -> FastAPI:
    """Return the console for these calls. ``metrics`` gives the Prometheus text for ``/metrics``, in pieces.

    ``webhooks`` takes the provider's call offers; without it there is no ``/webhooks/realtime``.

    ``outgoing`` delivers our own webhooks. ``store`` has the recordings that are not in their folder;
    ``erasures`` removes what is kept of somebody.

    ``phones`` takes calls from the page; without it they get 503.

    ``tickets`` lets other nodes hear our calls for their listeners.

    ``drainer`` takes no more calls and ends the node; without it ``/v1/drain`` gets 501.

    ``database`` has users, keys and the audit log; without it the settings' tokens are the only way in.

    Raises :class:`~voiceagent.errors.ConfigError` without a way in: an open console is never served.
    """
    if config.token is None and database is None:
        raise ConfigError("console.token", "is needed; voiceagent.console.auth.new_token() makes one")
    app = FastAPI(
        title="voiceagent console",
        version="1",
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        # The stock documentation pages load scripts from elsewhere, which our policy rightly forbids.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(as_routed)],
        responses={500: {"model": ProblemModel, "description": "Our fault"}},
    )
    policy = Policy(config)
    streams = Streams(
        directory,
        epoch=secrets.token_hex(4),
        queue=config.stream_queue,
        heartbeat_s=config.heartbeat_s,
        most=config.max_streams,
        tick_s=config.stream_tick_s,
    )
    spill = AuditSpill(Path(config.journal_dir) / NAME) if config.journal_dir and database else None
    desk = AuditDesk(database, spill)
    app.state.parts = Parts(
        directory=directory,
        config=config,
        policy=policy,
        identity=Identity(policy, database),
        audit=desk,
        streams=streams,
        listeners=Listeners(config.max_listeners),
        triggers=RateLimit(config.triggers_per_s, 2 * config.triggers_per_s),
        sign_ins=RateLimit(1.0, 10.0),
        metrics=metrics,
        webhooks=webhooks,
        phones=phones,
        database=database,
        outgoing=outgoing,
        store=store,
        erasures=erasures,
        drain=drainer,
        tickets=tickets,
    )
    app.state.keys = responses.KeyMemory()
    app.state.plays = history_audio.Plays()
    problems.install(app)
    for router in (
        calls.router,
        actions.router,
        dialling.router,
        phone.router,
        responses.router,
        timeline.router,
        tags.router,
        history_export.router,  # before /v1/history/{call_id}
        history.router,
        presets.router,
        deliveries.router,
        alerts.router,
        erasing.router,
        events.router,
        listening.router,
        node_listening.router,
        session.router,
        users.router,
        audit_log.router,
        trunks.router,
        flows.router,
        drain.router,
        health.router,
        cluster.router,
        page_router(),
    ):
        app.include_router(router)
    if webhooks is not None:
        from voiceagent.console.webhooks import router as offers

        app.include_router(offers)
    unruled = without_rule(routes_of(app))
    if unruled:
        raise RuntimeError(f"routes without a rule in voiceagent.console.rights: {unruled}")
    app.add_middleware(Guard, policy=policy, config=config, audit=desk)
    return app


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Return (method, path) of everything that ``app`` serves; ``WS`` is a WebSocket."""
    found: set[tuple[str, str]] = set()
    pending: list[Any] = list(app.router.routes)
    while pending:
        route = pending.pop()
        inner = getattr(route, "original_router", None)  # newer FastAPI keeps an included router as one entry
        if inner is not None:
            pending += inner.routes
            continue
        methods: set[str] = getattr(route, "methods", None) or {WEBSOCKET}
        found |= {(method, route.path) for method in methods if method != "HEAD"}
    return found


def close_streams(app: FastAPI) -> None:
    """End every live stream and listening socket cleanly; the first step of closing the console."""
    parts: Parts = app.state.parts
    parts.streams.close()
    parts.listeners.close()
