"""Bodies about the fleet."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class NodeModel(BaseModel):
    """One node as it told of itself last."""

    name: str
    epoch: str = Field(description="Names this run of it; another start has another one.")
    state: str = Field(description="up or draining.")
    calls: int
    max_calls: int
    console: str = Field(description="Base URL at which other nodes reach its console.")
    sip: str = Field(description="host:port of its first SIP listener.")
    version: str
    seen_at: float = Field(description="Its newest sign of life, Unix time.")


class ClusterModel(BaseModel):
    """The fleet as this node sees it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "node": "a",
                    "shared": True,
                    "stale": "",
                    "nodes": [
                        {
                            "name": "a",
                            "epoch": "7d0c2b9a51e84f36",
                            "state": "up",
                            "calls": 12,
                            "max_calls": 200,
                            "console": "http://10.0.0.5:8080",
                            "sip": "10.0.0.5:5060",
                            "version": "0.7.0",
                            "seen_at": 1_800_000_000.0,
                        }
                    ],
                }
            ]
        }
    )

    node: str = Field(description="This node's name.")
    shared: bool = Field(description="False: this node is alone, by its settings.")
    stale: str = Field(description="Why what is known of the others may be old; empty while all is well.")
    nodes: list[NodeModel] = Field(description="Those that live, this one first.")
