"""The console as one ASGI application."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from fastapi import FastAPI

from voiceagent.console import (
    actions,
    calls,
    dialling,
    events,
    flows,
    health,
    problems,
    responses,
    session,
    trunks,
)
from voiceagent.console.auth import Policy
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.guard import Guard
from voiceagent.console.limits import RateLimit
from voiceagent.console.live import Streams
from voiceagent.console.models import ProblemModel
from voiceagent.console.page import page_router
from voiceagent.console.parts import Parts
from voiceagent.console.ports import Directory, Webhooks
from voiceagent.errors import ConfigError

DESCRIPTION = """\
Look at live calls and make the model speak. Every wish enters its call's one queue and ends in one outcome.
Refusals are `application/problem+json` (RFC 9457) and name the field at fault.
"""


def create_app(
    directory: Directory,
    config: ConsoleConfig,
    *,
    metrics: Callable[[], str] | None = None,
    webhooks: Webhooks | None = None,
) -> FastAPI:
    """Return the console for these calls. ``metrics`` renders the Prometheus text for ``/metrics``.

    ``webhooks`` takes the provider's call offers; without it there is no ``/webhooks/realtime``.

    Raises :class:`~voiceagent.errors.ConfigError` without a token: an open console is never served.
    """
    if config.token is None:
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
    app.state.parts = Parts(
        directory=directory,
        config=config,
        policy=policy,
        streams=streams,
        triggers=RateLimit(config.triggers_per_s, 2 * config.triggers_per_s),
        sign_ins=RateLimit(1.0, 10.0),
        metrics=metrics,
        webhooks=webhooks,
    )
    app.state.keys = responses.KeyMemory()
    problems.install(app)
    for router in (
        calls.router,
        actions.router,
        dialling.router,
        responses.router,
        events.router,
        session.router,
        trunks.router,
        flows.router,
        health.router,
        page_router(),
    ):
        app.include_router(router)
    if webhooks is not None:
        from voiceagent.console.webhooks import router as offers

        app.include_router(offers)
    app.add_middleware(Guard, policy=policy, config=config)
    return app


def close_streams(app: FastAPI) -> None:
    """End every live stream cleanly; the first step of closing the console."""
    parts: Parts = app.state.parts
    parts.streams.close()
