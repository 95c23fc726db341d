"""Settings of alerts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from voiceagent.observe.alerts import AlertConfig
from voiceagent.settings.base import Section


class AlertSettings(Section):
    """When operators are told that something is wrong."""

    dead_air_s: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="A caller hears nothing for so long while it is our turn; 0 never."
    )
    latency_p95_ms: Annotated[float, Field(ge=0)] = Field(
        default=3000.0,
        description="Callers wait longer for answers (95th percentile, from the end of their speech as the "
        "provider tells it); 0 never.",
    )
    latency_turns: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=20, description="… of so many turns, the newest of all calls within a quarter of an hour."
    )
    provider_errors_per_min: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=5, description="Errors of the provider within a minute; 0 never."
    )
    capacity_percent: Annotated[float, Field(ge=0, le=100)] = Field(
        default=100.0, description="So much of call.max_calls is taken, or the node is overloaded; 0 never."
    )
    trunk_down_s: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="A trunk is down for so long; 0 never."
    )
    calm_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="An alert is cleared after so long without its cause."
    )


def alert_config(settings: AlertSettings) -> AlertConfig:
    """Return the limits as the alerts take them."""
    return AlertConfig(**settings.model_dump())
