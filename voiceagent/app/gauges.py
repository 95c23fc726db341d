"""Figures that nobody reports by himself: loop lag, wheel lateness, limits; and who acts on lag."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from voiceagent.app.service import Service

_log = structlog.get_logger("voiceagent.service")

PERIOD_S = 1.0
SAMPLE_S = 0.05
"""How often the overload guard looks at the loop."""


async def keep_figures(service: Service) -> None:
    """Feed the metrics until cancelled."""
    loop = asyncio.get_running_loop()
    metrics = service.metrics
    metrics.limit("calls", service.settings.call.max_calls)
    while True:
        due = loop.time() + PERIOD_S
        await asyncio.sleep(PERIOD_S)
        if service.trunks is not None:
            service.trunks.measure()
        metrics.loop_lagged(max(0.0, loop.time() - due))
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
