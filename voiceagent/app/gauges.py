"""Figures that nobody reports by himself: loop lag, wheel lateness, limits; read once a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceagent.app.service import Service

PERIOD_S = 1.0


async def keep_figures(service: Service) -> None:
    """Feed the metrics until cancelled."""
    loop = asyncio.get_running_loop()
    metrics = service.metrics
    metrics.limit("calls", service.settings.call.max_calls)
    while True:
        due = loop.time() + PERIOD_S
        await asyncio.sleep(PERIOD_S)
        metrics.loop_lagged(max(0.0, loop.time() - due))
        if service.wheel is not None and service.wheel.lateness.count:
            metrics.wheel_turned(service.wheel.lateness.percentile(99) / 1000)
            service.wheel.lateness.clear()
