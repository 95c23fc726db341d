"""PURE. Which limit it is that a refusal tells, each limit being named by its setting."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MEDIA_PORTS = "media.ports"
"""The even ports of media.port_low to media.port_high: one setting in two parts."""

LIMIT_OF: Mapping[str, str] = MappingProxyType(
    {
        # calls that are not taken, or not placed
        "capacity": "call.max_calls",
        "overload": "call.overload_lag_ms",
        "outbound_capacity": "outbound.max_calls",
        "destination_busy": "outbound.calls_per_destination",
        "destination_calls": "outbound.calls_per_destination_hour",
        "phone_limit": "console.phone_calls_per_user",
        "no_port": MEDIA_PORTS,
        # calls that are ended
        "max_duration": "call.max_duration_s",
        # SIP connections
        "refused_per_address": "sip.stream.per_address",
        "refused_full": "sip.stream.connections",
    }
)
"""By the code of the refusal. Codes that are no limit (``draining``, ``unknown_number``) are not there."""
