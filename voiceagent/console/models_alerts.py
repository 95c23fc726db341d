"""Bodies about alerts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AlertModel(BaseModel):
    """Something an operator should know."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "alert_5f0c1d7be2a94c3e",
                    "kind": "trunk_down",
                    "since": 1_800_000_000.0,
                    "call_id": "",
                    "text": "Trunk carrier is down: 403 Forbidden.",
                    "cleared_at": None,
                }
            ]
        }
    )

    id: str
    kind: str = Field(description="dead_air, latency, provider_errors, capacity, trunk_down or disk.")
    since: float = Field(description="When it was raised, Unix time.")
    call_id: str = Field(description="Empty for what is of no call.")
    text: str
    cleared_at: float | None = Field(description="Null while it lasts.")


class AlertList(BaseModel):
    """The newest alerts, the newest first: at least all that last."""

    alerts: list[AlertModel]
