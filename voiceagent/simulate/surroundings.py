"""What surrounds a simulated call: what the settings of a service say that its flow meets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voiceagent.call.config import CallConfig
from voiceagent.call.queueing import QueueConfig
from voiceagent.call.session_setup import SessionDefaults


@dataclass(frozen=True, slots=True)
class Surroundings:
    """None stands for no settings: every transfer is allowed, and every queue exists."""

    config: CallConfig | None = None
    """Limits and waits."""
    defaults: SessionDefaults | None = None
    """With what sessions are set up."""
    queues: Mapping[str, QueueConfig] | None = None
    """The queues by name."""


NO_SETTINGS = Surroundings()
