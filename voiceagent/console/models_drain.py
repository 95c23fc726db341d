"""Bodies of ``/v1/drain``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class DrainBody(BaseModel):
    """How to drain."""

    model_config = ConfigDict(extra="forbid", strict=True)

    limit_s: Annotated[float, Field(ge=0, le=86_400)] | None = Field(
        default=None,
        description="How long running calls may go on, in seconds from the beginning of the drain; default: "
        "`call.drain_limit_s`.",
    )


class DrainModel(BaseModel):
    """How a node stands."""

    state: Literal["serving", "draining", "goodbye", "drained"] = Field(
        description="`draining`: no new calls, running ones go on. `goodbye`: the limit has come."
    )
    calls: int = Field(description="Calls that run.")
    limit_in_s: float | None = Field(description="Seconds until they are said goodbye to.")
    epoch: str = Field(
        description="Names this run of the node, as in `/v1/cluster`; another start has another."
    )
