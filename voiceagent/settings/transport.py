"""Settings of SIP over TCP and TLS: certificates, and what connections may cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from voiceagent.settings.base import Section

Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=65_535)]


class TlsSettings(Section):
    """TLS of our listeners, and of connections that we open."""

    certificate: str | None = Field(
        default=None, description="PEM file with our certificate and its chain; a tls listener needs it."
    )
    key: str | None = Field(
        default=None,
        description="PEM file with its private key; default: it stands in the certificate's file.",
    )
    ca: str | None = Field(
        default=None, description="PEM file of the authorities that vouch for peers; default: the system's."
    )
    client_certificates: Literal["none", "optional", "required"] = Field(
        default="none", description="What peers that connect to us must show (mTLS)."
    )
    verify: bool = Field(default=True, description="Check chain and name of servers that we connect to.")


class StreamSettings(Section):
    """What TCP and TLS connections may cost us; the times are absolute."""

    handshake_s: Seconds = Field(default=5.0, description="Longest TLS handshake of a peer.")
    connect_s: Seconds = Field(default=5.0, description="Longest wait for a connection that we open.")
    first_message_s: Seconds = Field(
        default=5.0, description="From accepting a connection to its first whole message."
    )
    message_s: Seconds = Field(default=5.0, description="From the first byte of a message to its last.")
    idle_s: Annotated[float, Field(ge=0)] = Field(
        default=600.0, description="Close a connection without messages and calls after so long; 0 never."
    )
    ping_s: Annotated[float, Field(ge=0)] = Field(
        default=90.0, description="Silence on a connection of ours before a keep-alive (RFC 5626); 0 never."
    )
    pong_s: Seconds = Field(default=10.0, description="Longest wait for the answer to a keep-alive.")
    per_address: Count = Field(default=32, description="Connections from one IP address.")
    connections: Count = Field(default=1024, description="Connections accepted in all …")
    reserve: Annotated[int, Field(ge=0)] = Field(
        default=64, description="… of which so many are kept for allowed sources."
    )

    @model_validator(mode="after")
    def _room(self) -> StreamSettings:
        if self.reserve >= self.connections:
            raise ValueError("reserve must be below connections")
        return self
