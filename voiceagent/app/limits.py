"""Every limit of the settings, as the metric ``limit`` shows it."""

from __future__ import annotations

from collections.abc import Mapping

from voiceagent.observe.limits import MEDIA_PORTS
from voiceagent.settings import Settings


def limits_of(settings: Settings) -> Mapping[str, float]:
    """Return the limits by setting; those that are switched off (0 or none) are left out."""
    call, outbound, console = settings.call, settings.outbound, settings.console
    stream, media = settings.sip.stream, settings.media
    limits: dict[str, float] = {
        "call.max_calls": call.max_calls,
        "call.max_waiting": call.max_waiting,
        "call.max_duration_s": call.max_duration_s,
        "call.overload_lag_ms": call.overload_lag_ms,
        "call.drain_limit_s": call.drain_limit_s,
        "outbound.max_calls": outbound.max_calls,
        "outbound.calls_per_destination": outbound.calls_per_destination,
        "outbound.calls_per_destination_hour": outbound.calls_per_destination_hour,
        "recording.max_minutes": settings.recording.max_minutes,
        "console.max_connections": console.max_connections,
        "console.max_streams": console.max_streams,
        "console.max_listeners": console.max_listeners,
        "console.phone_calls_per_user": console.phone_calls_per_user,
        "sip.stream.connections": stream.connections,
        "sip.stream.per_address": stream.per_address,
        MEDIA_PORTS: len(range(media.port_low + media.port_low % 2, media.port_high + 1, 2)),
    }
    for trunk in settings.trunks:
        limits[f"trunks.{trunk.name}.max_calls"] = trunk.max_calls
        limits[f"trunks.{trunk.name}.calls_per_second"] = trunk.calls_per_second
    for queue in settings.queues:
        limits[f"queues.{queue.name}.max_waiting"] = queue.max_waiting
    if not settings.console.enabled:
        limits = {name: value for name, value in limits.items() if not name.startswith("console.")}
    zero_means_none = ("outbound.", "console.phone")
    return {name: value for name, value in limits.items() if value or name.startswith(zero_means_none)}
