"""Settings of the fleet."""

from __future__ import annotations

import socket
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from voiceagent.settings.base import Section

MOST_NAME = 64
SECRET_CHARS = 16


def default_node_name() -> str:
    """Return this machine's name as far as a node may bear it."""
    plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in socket.gethostname())
    return (plain or "node")[:MOST_NAME]


class ClusterSettings(Section):
    """The fleet this node belongs to. Without ``url`` it is alone, and needs nothing."""

    url: SecretStr | None = Field(
        default=None,
        description="Redis or Valkey, one server: redis://host:6379/0, rediss://… Default: no fleet.",
    )
    node: Annotated[str, Field(max_length=MOST_NAME, pattern=r"^[A-Za-z0-9_.-]*$")] = Field(
        default="", description="This node's name, one of its own in the fleet. Default: the machine's name."
    )
    prefix: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        default="va", description="Begins every key in Redis: fleets with different ones never meet."
    )
    secret: SecretStr | None = Field(
        default=None,
        description="Shared by all nodes, 16 characters or more: with it they let each other hear calls. "
        "Default: a call is heard at its own node only.",
    )
    advertised_console: str = Field(
        default="",
        description="URL at which other nodes reach this node's console, to hear its calls. Default: where "
        "it listens.",
    )
    lease_s: Annotated[float, Field(ge=1, le=60)] = Field(
        default=4.0, description="A node that has not been heard of for so long is taken for dead."
    )
    command_timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="An order to another node is refused when it was not taken by then."
    )

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("redis://", "rediss://", "unix://")
        ):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value

    @field_validator("secret")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SECRET_CHARS:
            raise ValueError(f"must have at least {SECRET_CHARS} characters")
        return value

    @property
    def name(self) -> str:
        """The node's name in force."""
        return self.node or default_node_name()
