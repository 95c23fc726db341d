"""Settings of the call handler."""

from __future__ import annotations

from dataclasses import dataclass, field

from voiceagent.call.vigil import VigilConfig


@dataclass(frozen=True, slots=True)
class CallConfig:
    """Limits and waits of one call, in seconds."""

    connect_timeout_s: float = 3.0
    """How long the provider may take; then the caller hears an apology (within 4 s of the INVITE)."""
    max_duration_s: float = 7200.0
    no_input_s: float = 6.0
    transfer_timeout_s: float = 20.0
    transfer_targets: tuple[str, ...] = ()
    """URIs or prefixes ending in ``*`` that flows may transfer to; empty means none."""
    hangup_grace_s: float = 0.2
    """From the last frame of the goodbye to the BYE: the far end's jitter buffer must run dry."""
    goodbye_limit_s: float = 12.0
    """How long a call that is ending may wait for what is still being said."""
    flow_cleanup_s: float = 5.0
    """How long a cancelled flow's ``finally`` blocks may run."""
    vigil: VigilConfig = field(default_factory=VigilConfig)
    """How long the caller may wait in silence, and the provider be silent."""


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """How many calls this node takes."""

    max_calls: int = 100
    retry_after_s: int = 10
