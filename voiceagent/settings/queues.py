"""Settings of queues: ``[[queues]]``. A mistake is one line naming ``queues.NAME.field``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator

from voiceagent.call.queueing import QueueConfig
from voiceagent.call.targets import why_not
from voiceagent.errors import ConfigError
from voiceagent.settings.base import Section
from voiceagent.settings.tables import read_tables, two_of_a_name

MOST_QUEUES = 200
_is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch


class QueueSettings(Section):
    """Callers who wait for a person, first come, first served."""

    name: str = Field(description="What flows call it.")
    targets: tuple[str, ...] = Field(
        min_length=1, description="URIs that are tried in this order; each one of call.transfer_targets."
    )
    max_waiting: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=20, description="Most callers in it; the next one hears from the flow that it is full."
    )
    retry_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=10.0, description="When nobody could be had, the next round begins so much later."
    )
    ring_s: Annotated[float, Field(ge=1, le=300)] = Field(
        default=20.0, description="How long a target may ring."
    )
    announce_every_s: Annotated[float, Field(ge=10, le=3600)] = Field(
        default=45.0, description="How often callers are told their position."
    )
    wait_limit_s: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=900.0, description="Longest wait; a flow may allow less."
    )

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if _is_name(value) is None:
            raise ValueError("must be 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'")
        return value

    @field_validator("targets")
    @classmethod
    def _targets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names one twice")
        return value


def read_queues(value: Any) -> tuple[QueueSettings, ...]:
    """Read all queues. Raises ConfigError naming ``queues.NAME.field``."""
    queues = read_tables(value, "queues", QueueSettings, most=MOST_QUEUES, is_name=_is_name)
    two_of_a_name("queues", [one.name for one in queues])
    return queues


def check_queues(queues: Sequence[QueueSettings], targets: Sequence[str]) -> None:
    """Raise ConfigError for a target that ``call.transfer_targets`` does not allow."""
    for one in queues:
        for target in one.targets:
            reason = why_not(target, targets)
            if reason is not None:
                raise ConfigError(f"queues.{one.name}.targets", f"{reason} (call.transfer_targets)")


def queue_configs(queues: Sequence[QueueSettings]) -> Mapping[str, QueueConfig]:
    """Return the queues by name, as the node's queue room takes them."""
    return {
        one.name: QueueConfig(
            targets=one.targets,
            max_waiting=one.max_waiting,
            retry_s=one.retry_s,
            ring_s=one.ring_s,
            announce_every_s=one.announce_every_s,
            wait_limit_s=one.wait_limit_s,
        )
        for one in queues
    }
