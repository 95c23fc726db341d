"""Which cluster the settings mean."""

from __future__ import annotations

from voiceagent.cluster.local import LocalCluster
from voiceagent.cluster.ports import Cluster
from voiceagent.errors import ConfigError


def make_cluster(*, node: str, url: str | None = None, prefix: str = "va", lease_s: float = 4.0) -> Cluster:
    """Return this node's membership, not yet joined: without ``url`` it is alone.

    Raises ConfigError naming ``cluster.url`` when the fleet needs what is not installed.
    """
    if url is None:
        return LocalCluster(node)
    raise ConfigError(
        "cluster.url", f"there is no fleet yet to join as {prefix} with leases of {lease_s:g} s"
    )
