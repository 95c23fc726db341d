"""PURE. Whom the loaded flows name must be somebody whom callers may be handed to: told at the start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from voiceagent.call.targets import why_not
from voiceagent.errors import ConfigError
from voiceagent.ivr.flow import Flow


def check_fallbacks(flows: Iterable[Flow], targets: Sequence[str]) -> None:
    """Raise ConfigError for a ``fallback_target`` that ``call.transfer_targets`` does not allow."""
    for flow in flows:
        reason = None if flow.fallback_target is None else why_not(flow.fallback_target, targets)
        if reason is not None:
            raise ConfigError(f"flow {flow.name}", f"fallback_target {reason} (call.transfer_targets)")
