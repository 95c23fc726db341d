"""The time line of a call, as types for the API's document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Generated(BaseModel):
    """What the model made of one reply, laid where it was or would have been heard."""

    from_: float = Field(alias="from", description="Seconds since the call began.")
    to: float = Field(description="May lie beyond what was heard, and beyond the call's end.")
    response_id: str = Field(description="Empty where the oldest stretches of a very long call were merged.")


class Heard(Generated):
    """What the caller heard of it."""

    cut: bool = Field(description="Hearing stopped before the reply's end.")


class Mark(BaseModel):
    """What happened at one moment."""

    at: float
    kind: Literal[
        "barge_in",
        "digit",
        "tool",
        "operator",
        "hold",
        "transfer",
        "listen",
        "take_over",
        "recording",
        "notice",
    ]
    text: str


class TimelineTurn(BaseModel):
    """How long the caller waited for a reply."""

    at: float = Field(description="When the caller stopped; the reply is heard `latency_ms` later.")
    response_id: str
    latency_ms: float
    parts: dict[str, float] = Field(
        description="Milliseconds: commit, transcript, flow, queue, model, playout."
    )


class Latency(BaseModel):
    """Over the turns that are shown; null where there are none."""

    p50_ms: float | None
    p95_ms: float | None


class TimelineModel(BaseModel):
    """Who spoke when, what was generated against what was heard, and what happened meanwhile."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "duration_s": 9.4,
                    "live": True,
                    "caller": [[3.1, 4.6]],
                    "operator": [],
                    "generated": [{"from": 5.2, "to": 11.7, "response_id": "resp_1"}],
                    "heard": [{"from": 5.2, "to": 8.0, "response_id": "resp_1", "cut": True}],
                    "marks": [{"at": 8.0, "kind": "barge_in", "text": "the caller speaks over the agent"}],
                    "turns": [
                        {
                            "at": 4.6,
                            "response_id": "resp_1",
                            "latency_ms": 612.0,
                            "parts": {
                                "commit": 20.0,
                                "flow": 194.0,
                                "queue": 0.0,
                                "model": 356.0,
                                "playout": 42.0,
                            },
                        }
                    ],
                    "latency": {"p50_ms": 612.0, "p95_ms": 612.0},
                }
            ]
        }
    )

    duration_s: float
    live: bool = Field(description="What ends at `duration_s` goes on.")
    caller: list[tuple[float, float]] = Field(description="From and to, as the provider's ear says.")
    operator: list[tuple[float, float]] = Field(description="An operator spoke instead of the agent.")
    generated: list[Generated]
    heard: list[Heard]
    marks: list[Mark]
    turns: list[TimelineTurn]
    latency: Latency
