"""Bodies about deliveries of webhooks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DeliveryModel(BaseModel):
    """One event for one endpoint."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "n": 41,
                    "id": "msg_5f0c1d7be2a94c3e9d1a7c60b35f8e21",
                    "endpoint": "crm",
                    "type": "call.ended",
                    "call_id": "call_7d0f",
                    "created_at": 1_800_000_000.0,
                    "state": "dead",
                    "attempts": 8,
                    "next_at": 1_800_099_000.0,
                    "ended_at": 1_800_099_001.2,
                    "status": 500,
                    "error": "answered with status 500",
                }
            ]
        }
    )

    n: int = Field(description="Its number, for a retry; rises with each delivery.")
    id: str = Field(description="The event's id (`webhook-id`): the same at every endpoint and attempt.")
    endpoint: str = Field(description="Its name in the settings.")
    type: str
    call_id: str = Field(description="Empty for what is of no call.")
    created_at: float = Field(description="When the event happened, Unix time.")
    state: str = Field(description="waiting, delivered or dead.")
    attempts: int
    next_at: float = Field(description="While it waits: when it is tried next, Unix time.")
    ended_at: float | None = Field(description="When it was delivered or given up.")
    status: int | None = Field(description="HTTP status of the last attempt; null: no answer.")
    error: str = Field(description="What went wrong last.")


class EndpointModel(BaseModel):
    """A receiver of webhooks."""

    name: str
    url: str = Field(description="Without path and query, which may hold secrets.")
    events: list[str]
    state: str = Field(
        description="on; failing: the newest attempt failed; paused: it asked for time (Retry-After); "
        "disabled: it answered 410 Gone, and gets nothing until a retry is taken."
    )
    last_error: str


class DeliveryList(BaseModel):
    """Deliveries, the newest first."""

    deliveries: list[DeliveryModel]
    endpoints: list[EndpointModel]
    counts: dict[str, int] = Field(description="How many there are of each state.")
    next: int | None = Field(description="`before` of the next page; null on the last.")
