"""What ``voiceagent doctor`` finds of the fleet: whether Redis answers, whose clock is right, who lives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from voiceagent.cli.finding import Finding
from voiceagent.errors import ConfigError

if TYPE_CHECKING:
    from voiceagent.settings import Settings

CLOCKS_APART_S = 2.0
"""Times of different nodes stand beside each other in one history."""


async def cluster_findings(settings: Settings) -> list[Finding]:
    """Ask the registry, without taking a place in it; nothing where the node is alone."""
    if settings.cluster.url is None:
        return []
    from voiceagent.cluster.ports import ClusterDown
    from voiceagent.cluster.redis_line import RedisLine
    from voiceagent.cluster.registry import Registry

    name = settings.cluster.name
    try:
        line = RedisLine(settings.cluster.url.get_secret_value())
    except ConfigError as error:
        return [Finding("cluster", False, str(error))]
    try:
        began = time.monotonic()
        seconds, micros = await line.ask("TIME")
        took_s = time.monotonic() - began
        apart_s = abs(time.time() - took_s / 2 - int(seconds) - int(micros) / 1e6)
        nodes = await Registry(line, settings.cluster.prefix, name, "doctor").nodes()
    except ClusterDown as down:
        return [Finding("cluster", False, f"cluster.url: {down}")]
    finally:
        await line.close()
    found = [Finding("cluster", True, f"{line.where} answers in {1000 * took_s:.1f} ms")]
    if apart_s > CLOCKS_APART_S:
        found.append(
            Finding(
                "clock", False, f"{apart_s:.0f} s apart from that of Redis' machine; have both set by NTP"
            )
        )
    others = ", ".join(sorted(node.name for node in nodes)) or "nobody yet"
    if any(node.name == name for node in nodes):
        others += f"; {name!r} is this node's name: it is running, or another one has taken it (cluster.node)"
    return [*found, Finding("nodes", True, others)]
