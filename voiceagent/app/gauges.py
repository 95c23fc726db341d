"""Figures that nobody reports by himself: loop lag, wheel lateness, limits; and who acts on lag."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from voiceagent.app.service import Service
    from voiceagent.observe.metrics import Metrics
    from voiceagent.sip.net.transport import SipTransport

_log = structlog.get_logger("voiceagent.service")

PERIOD_S = 1.0
SAMPLE_S = 0.05
"""How often the overload guard looks at the loop."""
_FULL = {"refused_per_address": "sip_connections_per_address", "refused_full": "sip_connections"}


def _grown(now: Mapping[str, int], before: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Yield what was added to each count since the last look, and remember it."""
    for name, count in list(now.items()):
        added = count - before.get(name, 0)
        if added:
            before[name] = count
            yield name, added


def _connections(
    sip: SipTransport, metrics: Metrics, streams: dict[str, int], errors: dict[str, int]
) -> None:
    metrics.sip_connections(len(sip.streams))
    for what, count in _grown(sip.streams.counts, streams):
        metrics.sip_connection_event(what, count)
        if what in _FULL:
            metrics.limit_reached(_FULL[what])
    for kind, count in _grown(sip.errors, errors):
        metrics.sip_socket_error(kind, count)


async def keep_figures(service: Service) -> None:
    """Feed the metrics until cancelled."""
    loop = asyncio.get_running_loop()
    metrics = service.metrics
    metrics.limit("calls", service.settings.call.max_calls)
    metrics.limit("sip_connections", service.settings.sip.stream.connections)
    streams: dict[str, int] = {}
    errors: dict[str, int] = {}
    while True:
        due = loop.time() + PERIOD_S
        await asyncio.sleep(PERIOD_S)
        if service.trunks is not None:
            service.trunks.measure()
        metrics.loop_lagged(max(0.0, loop.time() - due))
        if service.sip is not None:
            _connections(service.sip, metrics, streams, errors)
        if service.wheel is not None and service.wheel.lateness.count:
            metrics.wheel_turned(service.wheel.lateness.percentile(99) / 1000)
            service.wheel.lateness.clear()


async def guard_against_overload(service: Service) -> None:
    """Sample the loop's lateness, and have admission turn new calls away while it is too late."""
    loop = asyncio.get_running_loop()
    overload = service.admission.overload
    worst, told_at = 0.0, loop.time()
    while True:
        due = loop.time() + SAMPLE_S
        await asyncio.sleep(SAMPLE_S)
        now = loop.time()
        lag = max(0.0, now - due)
        worst = max(worst, lag)
        if overload.lagged(lag, now):
            _log.warning("overload" if overload.shedding else "overload is over", lag_ms=round(lag * 1000))
            service.metrics.overloaded(overload.shedding)
        if now - told_at >= PERIOD_S:
            service.metrics.loop_lag(worst)
            worst, told_at = 0.0, now
