"""Which cluster the settings mean."""

from __future__ import annotations

from voiceagent.cluster.local import LocalCluster
from voiceagent.cluster.ports import Cluster
from voiceagent.cluster.redis_cluster import RedisCluster
from voiceagent.cluster.redis_line import RedisLine

ANSWER_S = 2.0
"""A Redis that takes longer is away; with short leases, one that takes half a lease."""


def make_cluster(*, node: str, url: str | None = None, prefix: str = "va", lease_s: float = 4.0) -> Cluster:
    """Return this node's membership, not yet joined: without ``url`` it is alone.

    Raises ConfigError naming ``cluster.url`` when the fleet needs what is not installed.
    """
    if url is None:
        return LocalCluster(node)
    line = RedisLine(url, timeout_s=min(ANSWER_S, lease_s / 2))
    return RedisCluster(line, node, prefix=prefix, lease_s=lease_s)
